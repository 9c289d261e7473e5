"""Runs ingest and the nightly score on Spark at growing sizes, and writes benchmarks/spark_growth.json.

python benchmarks/spark_growth.py --data FOLDER
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import psutil
import pyarrow.parquet as pq

from _logs import Recipe, write_log
from _measure import MEGABYTE, machine
from churnlab.config import Engine, read_params
from churnlab.data.ingestion import ingest
from churnlab.engine import connect, write_parquet, write_text
from churnlab.features.signals import NOTHING
from churnlab.models.scorer import Scorer
from churnlab.operations.scoring import Provenance, Terms, write_scores

OUT = Path(__file__).with_name("spark_growth.json")
CUSTOMERS = (4_500, 50_000, 500_000)
CORES = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every size in a process of its own, and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder for the made-up logs, kept")
    parser.add_argument("--params", type=Path, required=True, help="parameters that name the columns")
    parser.add_argument("--model", type=Path, required=True, help="packaged model")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.child:
        sys.stdout.write(json.dumps(measured(given.child, given.params, given.model)))
        return 0
    figures: dict[str, Any] = {"machine": machine(), "cores": CORES, "sizes": []}
    for customers in CUSTOMERS:
        figures["sizes"].append(_in_a_child(_log(given.data, customers), given))
        write_text(json.dumps(figures, indent=1) + "\n", OUT)
    return 0


def _log(folder: Path, customers: int) -> Path:
    """The lines of so many customers, made unless they are there."""
    place = folder / f"b{customers // 1000}k"
    if not (place / "lines.parquet").exists():
        place.mkdir(parents=True, exist_ok=True)
        write_log(Recipe(customers), place)
    return place / "lines.parquet"


def _in_a_child(lines: Path, given: argparse.Namespace) -> dict[str, Any]:
    places = ["--data", given.data, "--params", given.params, "--model", given.model, "--child", lines]
    command = [sys.executable, __file__, *map(str, places)]
    figures: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    sys.stderr.write(f"{figures['lines']:,} lines: {figures}\n")
    return figures


def measured(lines: Path, params_file: Path, model: Path) -> dict[str, Any]:
    """Lines, customers, and what ingest and score took."""
    params = read_params(params_file)
    data = params.data.model_copy(update={"path": str(lines)})
    settings = Engine(
        backend="spark", spark_master=f"local[{CORES}]", spark_conf={"spark.driver.memory": "2g"}
    )
    con = connect(settings)
    with tempfile.TemporaryDirectory() as folder:
        with Meter(con) as ingesting:
            found = ingest(con, data)
            write_parquet(found.orders.to_pyarrow_batches(), Path(folder) / "orders.parquet")
        orders = con.read_parquet(Path(folder) / "orders.parquet")
        scorer = Scorer.load(model)
        source = Provenance("model", "run", found.summary["data_version"])
        with Meter(con) as scoring:
            customers = write_scores(
                orders,
                scorer,
                Terms(scorer.plan.cutoff, params.decisions, source),
                Path(folder) / "scores.parquet",
                NOTHING,
                bucket_customers=params.engine.bucket_customers,
            )
    count = pq.read_metadata(lines).num_rows
    steps = {"ingest": ingesting.figures, "score": scoring.figures}
    return {"lines": count, "customers": customers, **steps}


class Meter:
    """CPU seconds of driver, JVM and Python workers, shuffled bytes and peaks of memory, in a block.

    figures: seconds, driver_cpu_seconds, executor_cpu_seconds, shuffle_mb, driver_mb (the Python
    process that gathers results), jvm_mb and workers_mb, all resident.
    """

    def __init__(self, con: Any) -> None:
        self._store = con._session.sparkContext._jsc.sc().statusStore()
        self._driver = psutil.Process()
        self._workers: dict[int, float] = {}
        self._peaks = {"driver_mb": 0.0, "jvm_mb": 0.0, "workers_mb": 0.0}
        self.figures: dict[str, float] = {}

    def __enter__(self) -> Meter:
        self._begun, self._before = perf_counter(), self._taken()
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._look_on)
        self._watch.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self._ended.set()
        self._watch.join()
        after = self._taken()
        took = {name: round(after[name] - self._before[name], 2) for name in after}
        peaks = {name: round(peak) for name, peak in self._peaks.items()}
        self.figures = {"seconds": round(perf_counter() - self._begun, 1), **took, **peaks}

    def _look_on(self) -> None:
        while not self._ended.is_set():
            self._seen()
            sleep(0.2)

    def _seen(self) -> None:
        """Peaks, and the CPU seconds of workers, which may end before the block does."""
        family = self._driver.children(recursive=True)
        held = {"driver_mb": [self._driver], "jvm_mb": family[:0], "workers_mb": family[:0]}
        for process in family:
            try:
                is_java = process.name() == "java"
                if not is_java:
                    self._workers[process.pid] = sum(process.cpu_times()[:2])
                held["jvm_mb" if is_java else "workers_mb"].append(process)
            except psutil.NoSuchProcess:
                continue
        for name, processes in held.items():
            self._peaks[name] = max(self._peaks[name], sum(map(_resident, processes)) / MEGABYTE)

    def _taken(self) -> dict[str, float]:
        self._seen()
        java = [child for child in self._driver.children(recursive=True) if child.name() == "java"]
        executors = self._store.executorList(True)
        told = [executors.apply(place) for place in range(executors.size())]
        return {
            "driver_cpu_seconds": sum(self._driver.cpu_times()[:2]),
            "executor_cpu_seconds": sum(sum(one.cpu_times()[:2]) for one in java)
            + sum(self._workers.values()),
            "shuffle_mb": sum(one.totalShuffleWrite() for one in told) / MEGABYTE,
        }


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


if __name__ == "__main__":
    sys.exit(main())

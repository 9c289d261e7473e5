"""A made-up shop, two models of it, and `churnlab score` as the process that operators start."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow.parquet as pq

from _logs import FIRST_DAY, Recipe, write_log
from _tasks import PARAMS
from churnlab.config import Params, read_params
from churnlab.data.ingestion import ingest
from churnlab.engine import connect, write_text
from churnlab.evaluation.backtest import fit_scorer

SOURCE = Path(__file__).resolve().parents[1] / "src"
LIMITED = """\
import resource, sys
limit = int(sys.argv.pop(1)) or resource.RLIM_INFINITY
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from churnlab.cli import main
main()
"""
SETTINGS: dict[str, dict[str, Any]] = {
    "features": {"horizon_days": 60, "max_snapshots": 3, "min_step_days": 30, "max_lookback_days": 200},
    "clv": {"families": ["bgnbd"], "penalizers": [0.0, 0.01]},
    "churn": {"max_rounds": 30, "early_stopping_rounds": 10},
    "engine": {"threads": 1, "memory_limit": "512MB"},
}
LONGEST_SECONDS = 600  # of a run that takes seconds: it waits for something that never comes
LAST_CUTOFFS = (90, 60)  # days before the end of the log that the two models know nothing of


@dataclass(frozen=True)
class Run:
    """A process of churnlab and the file of its stderr: a JSON object a line; at a failure, a plain line."""

    process: subprocess.Popen[str]
    log: Path

    @property
    def told(self) -> str:
        """What it has said on stderr so far."""
        return self.log.read_text(encoding="utf-8")

    def wait_for(self, step: str) -> bool:
        """Wait until a step begins; False if the process ended before."""
        while self.process.poll() is None:
            if self.has_begun(step):
                return True
            time.sleep(0.002)
        return self.has_begun(step)

    def has_begun(self, step: str) -> bool:
        """Whether the log tells of the step's beginning."""
        return any(event == ("step begun", step) for event in self._events())

    def _events(self) -> Iterator[tuple[str, str]]:
        for line in self.told.splitlines():
            if line.startswith("{") and line.endswith("}"):
                entry = json.loads(line)
                yield entry["event"], entry.get("step", "")

    def end(self) -> int:
        """Wait for its end and give the exit code, negative for a signal that killed it.

        Raises
        ------
        RuntimeError
            It does not end.
        """
        try:
            return self.process.wait(LONGEST_SECONDS)
        except subprocess.TimeoutExpired as error:
            self.process.kill()
            raise RuntimeError(f"churnlab did not end in {LONGEST_SECONDS} s: {self.told[-2000:]}") from error

    @property
    def failure(self) -> str:
        """What it said last, if that is no JSON: the line of a mistake, or of a traceback."""
        lines = self.told.splitlines()
        return lines[-1] if lines and not lines[-1].startswith("{") else ""


@dataclass(frozen=True)
class Shop:
    """A source, its file of parameters and two models in folders.

    Attributes
    ----------
    folder
        Working directory of every run, and its workspace.
    params
        File of parameters.
    models
        Folders of two models whose forecasts differ, or their addresses in the registry.
    last_day
        The last day of the source.
    """

    folder: Path
    params: Path
    models: tuple[Path | str, Path | str]
    last_day: date

    def start(self, *words: object, environment: Mapping[str, str] | None = None, limit: int = 0) -> Run:
        """Start `churnlab …` and do not wait for it.

        Parameters
        ----------
        environment
            Variables besides those of this process.
        limit
            Bytes that a file may have, at most, as a full disk has it; 0: any number.
        """
        inherited = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
        own = {"PYTHONPATH": str(SOURCE), "TMPDIR": str(self.temporary)}
        log = self.folder / f"run-{uuid4().hex}.log"
        self.temporary.mkdir(exist_ok=True)
        with log.open("w", encoding="utf-8") as told:
            process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", LIMITED, str(limit), *map(str, words)],
                cwd=self.folder,
                env=inherited | own | dict(environment or {}),
                stdout=subprocess.DEVNULL,
                stderr=told,
                text=True,
            )
        return Run(process, log)

    def score(self, day: date, model: int, *words: object) -> list[object]:
        """The words of `churnlab score` for a day, with the first model (0) or the second (1)."""
        named = ["--params", self.params, "--as-of", day, "--model", self.models[model]]
        return ["score", "--log", "json", *named, *words]

    def listed(self, day: date, model: int) -> list[dict[str, Any]]:
        """The list of a day from a run that writes files instead of publishing."""
        out = self.folder / "listed"
        run = self.start(*self.score(day, model, "--out", out))
        if run.end():
            raise RuntimeError(f"churnlab score ended with {run.process.returncode}: {run.told[-2000:]}")
        rows: list[dict[str, Any]] = pq.read_table(out / "scores.parquet").to_pylist()
        return rows

    @property
    def temporary(self) -> Path:
        """Where runs put what they need until they end."""
        return self.folder / "temporary"


def open_shop(folder: Path, customers: int) -> Shop:
    """Write the log, its parameters and the models into `folder`.

    Parameters
    ----------
    folder
        Made if need be.
    customers
        How many the log has, all told.
    """
    recipe = Recipe(customers)
    log, _ = write_log(recipe, folder)
    params = _write_params(log, folder)
    models = tuple(_write_model(params, recipe, days, folder) for days in LAST_CUTOFFS)
    return Shop(folder, folder / "params.yaml", (models[0], models[1]), recipe.last_day)


def twin(shop: Shop, folder: Path) -> Shop:
    """The same shop in another folder, with a source of its own; for runs at the same time."""
    folder.mkdir(parents=True)
    log = folder / "lines.parquet"
    shutil.copyfile(shop.folder / log.name, log)
    _write_params(log, folder)
    return replace(shop, folder=folder, params=folder / shop.params.name)


def _write_params(log: Path, folder: Path) -> Params:
    shipped = read_params(PARAMS).model_dump(mode="json")
    columns = {"order_id": "order_id", "product_id": "product_id"}
    shipped["data"] |= {"dataset": None, "path": str(log)}
    shipped["data"]["columns"] |= columns
    for section, values in SETTINGS.items():
        shipped[section] |= values
    shipped["workspace"] = str(folder)
    write_text(json.dumps(shipped, indent=1), folder / "params.yaml")  # JSON is YAML
    return read_params(folder / "params.yaml")


def _write_model(params: Params, recipe: Recipe, days: int, folder: Path) -> Path:
    con = connect(params.engine)
    orders = con.create_table("orders", ingest(con, params.data).orders.to_pyarrow())
    cutoff = FIRST_DAY + timedelta(days=recipe.days - 1 - days)
    scorer, _ = fit_scorer(orders, cutoff, params.features.horizon_days, params, f"until {cutoff}")
    scorer.save(folder / f"model-{cutoff}")
    return folder / f"model-{cutoff}"

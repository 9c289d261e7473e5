"""Over a Spark Connect server. Authority: DuckDB's answer to the same calls, row for row."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pyspark
import pytest

from churnlab.config import Engine
from churnlab.data.ingestion import ingest
from churnlab.engine import connect
from churnlab.features.signals import Signals
from churnlab.operations.scoring import Provenance, write_scores

ROOT = Path(__file__).parents[2]
SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"
SOURCE = Provenance("model", "run", "data")


@pytest.fixture(scope="module")
def server():
    """The URL of a server in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "spark.connect.grpc.binding.port": port,
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.driver.memory": "1g",
        "spark.sql.shuffle.partitions": 2,
    }
    submit = str(Path(pyspark.__file__).parent / "bin" / "spark-submit")
    options = [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
    command = [submit, "--master", "local[2]", "--class", SERVER, *options, "spark-internal"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYSPARK_PYTHON": sys.executable}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(port, process)
            yield f"sc://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait_for(port, process):
    """Until somebody answers; a server that has ended never will."""
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"the server ended with {process.returncode}")


def test_a_source_is_read_and_scored_as_on_duckdb(server, small_log, small_scorer, tmp_path, assert_equal):
    """Empty side tables, text read by DuckDB in the workers, the model applied there, rows in a stream."""
    params, tables, summaries = small_log.params, [], []
    for engine in (Engine(), Engine(backend="spark", spark_master=server)):
        found = ingest(connect(engine), params.data)
        file = tmp_path / f"{engine.backend}.parquet"
        signals = Signals.of(found.customers, found.interactions, found.contacts)
        day, settings = small_log.TRAINED_ON, params.decisions
        write_scores(found.orders, small_scorer, day, settings, SOURCE, file, signals, bucket_customers=100)
        tables.append(pq.read_table(file))
        summaries.append(found.summary)
        assert pq.read_metadata(file).row_group(0).num_rows == 100
    assert summaries[1] == summaries[0]
    assert_equal(*tables)

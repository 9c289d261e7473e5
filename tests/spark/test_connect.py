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
import yaml

ROOT = Path(__file__).parents[2]
SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"


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
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",  # as conftest.py has it
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


def scored(engine, small_log, small_model, folder):
    """By `churnlab score` in a process of its own: a process that joined a server cannot start a Spark."""
    folder.mkdir()
    file = folder / "params.yaml"
    settings = small_log.settings | {"workspace": str(folder), "engine": engine}
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    options = [
        "--params",
        file,
        "--model",
        small_model,
        "--as-of",
        small_log.TRAINED_ON,
        "--out",
        folder / "out",
    ]
    command = [sys.executable, "-W", "ignore", "-m", "churnlab.cli", "score", *map(str, options)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return pq.read_table(folder / "out" / "scores.parquet")


def test_a_source_is_read_and_scored_as_on_duckdb(server, small_log, small_model, tmp_path, assert_equal):
    """Empty side tables, text read by DuckDB in the workers, the model applied there, rows in a stream."""
    engines = {"here": {"backend": "duckdb"}, "there": {"backend": "spark", "spark_master": server}}
    tables = [scored(engine, small_log, small_model, tmp_path / name) for name, engine in engines.items()]
    assert len(tables[0]) > 300
    assert_equal(*tables)

"""What is told where Spark fails. Authority: the failures themselves, each brought about in a real Spark."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churnlab.config import Columns, Data, Engine
from churnlab.data.ingestion import ingest
from churnlab.engine import connect
from churnlab.errors import ConfigError, DataError, TryLaterError
from churnlab.spark import session

ROOT = Path(__file__).parents[2]
CONNECTING = "from churnlab.config import Engine\nfrom churnlab.engine import connect\nconnect(Engine({}))\n"


def test_a_damaged_file_is_named(spark, tmp_path):
    """Its footer is whole, the pages are not: it shows while Spark reads on."""
    lines = pa.table(
        {"customer_id": [f"c{n}" for n in range(9_000)], "amount": [float(n) for n in range(9_000)]}
    )
    file = tmp_path / "a b.parquet"
    pq.write_table(lines.append_column("ts", pa.array(["2024-01-01"] * 9_000)), file)
    content = bytearray(file.read_bytes())
    content[200:2_000] = b"x" * 1_800
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"^a b\.parquet: is damaged or changed while it was read: export it"):
        ingest(spark, Data(path=str(file), timezone="UTC", columns=Columns(amount="amount")))


@pytest.mark.parametrize("master", ["sc://127.0.0.1:9", "spark://127.0.0.1:9"])
def test_nobody_answers(master):
    line = r"^engine\.spark_master: nobody answers at 127\.0\.0\.1:9 \(.*\): start Spark there"
    with pytest.raises(TryLaterError, match=line):
        connect(Engine(backend="spark", spark_master=master))


def test_pyspark_is_not_installed(monkeypatch):
    monkeypatch.setattr(session, "find_spec", lambda name: None)
    with pytest.raises(
        ConfigError, match=r'needs PySpark, which is not installed: pip install "churnlab\[spark\]"$'
    ):
        connect(Engine(backend="spark"))


def fresh(master, **environment):
    """What a process without Spark says when it starts one."""
    script = CONNECTING.format(f"backend='spark', spark_master={master!r}")
    kept = {name: value for name, value in os.environ.items() if name != "JAVA_HOME"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env=kept | {"PYTHONPATH": str(ROOT / "src")} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr.strip().splitlines()[-1]


def test_there_is_no_java():
    assert "needs a JDK of Java 17 or later, and none is on the PATH or in JAVA_HOME" in fresh(
        "local", PATH=""
    )


@pytest.mark.parametrize(
    ("master", "home"),
    [("nonsense", None), ("local", "nowhere")],
    ids=["no such master", "no Java in JAVA_HOME"],
)
def test_spark_does_not_start(master, home, tmp_path):
    said = fresh(master, **({} if home is None else {"JAVA_HOME": str(tmp_path / home)}))
    assert said.startswith(
        f"churnlab.errors.ConfigError: engine.spark_master: Spark at {master} does not start ("
    )
    assert said.endswith("): check the master and engine.spark_conf")

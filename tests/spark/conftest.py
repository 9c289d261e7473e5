"""One Spark for the session of tests, and both built-in logs on it and on DuckDB."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from _built_in import FILES, quick_scorer, shipped
from churnlab.config import Engine, Params

# C1 alone: the compiler for long runs takes more time than it saves in a short one.
JAVA = {"spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1", "spark.driver.memory": "1g"}
SPARK = Engine(backend="spark", spark_master="local[2]", spark_conf=JAVA)
RELATIVE = 1e-9
# A difference of logarithms may be 0 in one engine and 4e-16 in the other: no share of it tells them alike.
ABSOLUTE = 1e-12


@dataclass(frozen=True)
class Log:
    """One log as ingested by DuckDB: its parameters, its orders there and on Spark, and the file of both."""

    params: Params
    file: Path
    summary: dict[str, Any]
    here: Any
    there: Any


@pytest.fixture(scope="session")
def spark() -> Any:
    """Ibis on Spark."""
    from churnlab.engine import connect

    return connect(SPARK)


@pytest.fixture(scope="session", params=FILES)
def log(request: pytest.FixtureRequest, spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Each built-in log. Read-only."""
    from churnlab.data.ingestion import ingest
    from churnlab.engine import connect, write_parquet

    params = shipped(request.param)
    duck = connect(params.engine)
    found = ingest(duck, params.data)
    file = tmp_path_factory.mktemp(request.param) / "orders.parquet"
    write_parquet(found.orders.to_pyarrow(), file)
    return Log(params, file, found.summary, duck.read_parquet(file), spark.read_parquet(file))


def _assert_equal(here: pa.Table, there: pa.Table, key: str = "customer_id") -> None:
    """Row for row by the key: nulls, integers, texts and dates equal, floats to 1e-9 relative."""
    assert there.schema.equals(here.schema)
    assert there.num_rows == here.num_rows
    here, there = here.sort_by(key), there.sort_by(key)
    for name in here.column_names:
        one, other = here[name].combine_chunks(), there[name].combine_chunks()
        assert one.is_null().equals(other.is_null()), name
        if pa.types.is_floating(one.type):
            numbers = (column.drop_null().to_numpy() for column in (other, one))
            np.testing.assert_allclose(*numbers, RELATIVE, ABSOLUTE, err_msg=name)
        else:
            assert one.equals(other), name


@pytest.fixture(scope="session")
def log_scorer(log: Log) -> Any:
    """A model of the log, learners and all, of few trees."""
    return quick_scorer(log.here, log.params, date.fromisoformat(log.summary["as_of"]))


@pytest.fixture(scope="session")
def assert_equal() -> Any:
    """Two tables hold the same rows and types."""
    return _assert_equal

"""Functions of DuckDB that Spark lacks or answers otherwise, worked out by DuckDB in Spark's workers."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa

FUNCTIONS = {
    "spelt": ("CAST(cell AS VARCHAR)", "string"),
    "nfc_normalize": ("nfc_normalize(cell)", "string"),
    "try_strptime": ("timezone('UTC', CAST(try_strptime(cell, {told}) AS TIMESTAMPTZ))", "timestamp_ntz"),
    "timezone": ("timezone('UTC', timezone({zone}, cell))", "timestamp_ntz"),
}
"""SQL of a column `cell`, and the type of the answer in Spark.

Moments without a time zone are the reading of a clock, instants are the reading of one in UTC. Of a time that
a clock shows twice a year DuckDB and Spark take different ones. `spelt` writes a number: 10000000.0, where
Spark writes 1.0E7.
"""


def registered(session: Any) -> None:
    """Makes the functions known to a session as duckdb_<name>."""
    from pyspark.sql.functions import arrow_udf  # noqa: PLC0415

    for name, (sql, kind) in FUNCTIONS.items():
        session.udf.register(f"duckdb_{name}", arrow_udf(_answer(name, sql), kind))


def _answer(name: str, sql: str) -> Callable[..., pa.Array]:
    def of_cells(cells: pa.Array) -> pa.Array:
        return _asked(sql, cells)

    def by_pattern(cells: pa.Array, patterns: pa.Array) -> pa.Array:
        return _asked(sql.format(told=_quoted(patterns)), cells)

    def at_zone(zones: pa.Array, cells: pa.Array) -> pa.Array:
        return _asked(sql.format(zone=_quoted(zones)), cells)

    return {"try_strptime": by_pattern, "timezone": at_zone}.get(name, of_cells)


def _quoted(constants: pa.Array) -> str:
    text = constants[0].as_py() if len(constants) else ""
    return "'" + text.replace("'", "''") + "'"


def _asked(sql: str, cells: pa.Array) -> pa.Array:
    con = _duckdb()
    con.register("cells", pa.table({"cell": cells}))
    return con.execute(f"SELECT {sql} AS cell FROM cells").to_arrow_table()["cell"].combine_chunks()


@cache
def _duckdb() -> duckdb.DuckDBPyConnection:
    """One for the life of a worker."""
    con = duckdb.connect(config={"threads": 1})
    con.execute("SET TimeZone = 'UTC'")
    return con

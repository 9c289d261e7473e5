"""A database connection by ADBC."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

import pyarrow as pa

from churnlab.errors import SinkError


def driver(name: str) -> ModuleType:
    """The DB-API module of the driver for `name`, postgresql or sqlite.

    Raises
    ------
    SinkError
        It is not installed.
    """
    try:
        return import_module(f"adbc_driver_{name}.dbapi")
    except ModuleNotFoundError:
        extra = name.removesuffix("ql")
        raise SinkError(
            f'--sink: the driver for {name} is not installed: pip install "churnlab[{extra}]"'
        ) from None


class AdbcConnection:
    """A `databases.Connection` over an open ADBC connection in autocommit mode.

    Parameters
    ----------
    raw
        What `connect` of the driver gave.
    columns_sql
        Gives rows of `name` for the table $1.
    """

    def __init__(self, raw: Any, columns_sql: str) -> None:
        self._raw = raw
        self._columns_sql = columns_sql

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Run one statement."""
        with self._raw.cursor() as cursor:
            cursor.execute(sql, tuple(values) or None)
            return cursor.fetch_arrow_table().to_pylist() if cursor.description else []

    def batches(self, sql: str) -> Iterator[pa.RecordBatch]:
        """The answer to one query, as the driver cuts it."""
        with self._raw.cursor() as cursor:
            cursor.execute(sql)
            yield from cursor.fetch_record_batch()

    def columns(self, table: str) -> list[str]:
        """Names of the columns of a table."""
        return [row["name"] for row in self.rows(self._columns_sql, (table,))]

    def load(self, name: str, rows: pa.RecordBatchReader) -> None:
        """In bulk into a temporary table."""
        self.rows(f"DROP TABLE IF EXISTS {name}")
        with self._raw.cursor() as cursor:
            cursor.adbc_ingest(name, rows, mode="create", temporary=True)

    def begin(self) -> None:
        """Open a transaction, by the driver's own means.

        After BEGIN as a statement, the driver for PostgreSQL commits when a moment is among the values of
        one; and DB-API's own `commit` and `rollback` do nothing for a connection opened in autocommit mode.
        """
        self._raw.adbc_connection.set_autocommit(False)

    def commit(self) -> None:
        """Make what it did visible."""
        self._raw.adbc_connection.commit()
        self._raw.adbc_connection.set_autocommit(True)

    def rollback(self) -> None:
        """Undo what it did."""
        self._raw.adbc_connection.rollback()
        self._raw.adbc_connection.set_autocommit(True)

    def close(self) -> None:
        """Also ends its transaction and gives up its locks."""
        self._raw.close()

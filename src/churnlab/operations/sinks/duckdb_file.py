"""Publishes to a DuckDB file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa

from churnlab.errors import SinkError
from churnlab.operations.sinks.database_file import DatabaseFileSink
from churnlab.operations.sinks.databases import Connection
from churnlab.operations.sinks.lists import BATCH_ROWS
from churnlab.operations.sinks.locks import writing
from churnlab.operations.sinks.retrying import PassingError
from churnlab.operations.sinks.tables import Table

COLUMNS = (
    "SELECT column_name AS name FROM information_schema.columns "
    "WHERE table_catalog = current_database() AND table_schema = current_schema() AND table_name = $1"
)
STREAM = "churnlab_stream"
PASSING = ("lock on file", "conflict on key", "Conflict on")
FINDINGS = {
    "ConstraintException": "a customer occurs twice in the scores",
    "OutOfMemoryException": "too little memory for this list",
    "IOException": "it cannot be opened, read or written: check the path, its rights and the disk",
    "TransactionException": "it cannot commit: make room on the disk or check it",
    "FatalException": "the disk is full or fails: make room or check it",
}


class DuckConnection:
    """A `databases.Connection` of DuckDB."""

    def __init__(self, raw: duckdb.DuckDBPyConnection) -> None:
        self._raw = raw

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Run one statement; moments come by way of Arrow, which needs no further package for them."""
        found = self._raw.execute(sql, list(values))
        return found.to_arrow_table().to_pylist() if found.description else []

    def batches(self, sql: str) -> Iterator[pa.RecordBatch]:
        """The answer to one query, so many rows at a time."""
        yield from self._raw.execute(sql).to_arrow_reader(BATCH_ROWS)

    def columns(self, table: str) -> list[str]:
        """Names of the columns of a table."""
        return [row["name"] for row in self.rows(COLUMNS, (table,))]

    def load(self, name: str, rows: pa.RecordBatchReader) -> None:
        """Into a temporary table, which spills beside the file where memory is short."""
        self._raw.register(STREAM, rows)
        self._raw.execute(f"CREATE OR REPLACE TEMPORARY TABLE {name} AS FROM {STREAM}")
        self._raw.unregister(STREAM)

    def begin(self) -> None:
        """Open a transaction."""
        self._raw.begin()

    def commit(self) -> None:
        """Make what it did visible."""
        self._raw.commit()

    def rollback(self) -> None:
        """Undo what it did."""
        self._raw.rollback()


class DuckdbSink(DatabaseFileSink):
    """A Sink in one file, open only while it is written or read.

    One process at a time may have a DuckDB file open for writing, and nobody else then reads it: readers
    of other processes are refused by DuckDB for the seconds of a publication, and never see half of it.
    """

    @contextmanager
    def _connection(self, day: date | None) -> Iterator[Connection]:
        with nullcontext() if day is None else writing(self._path, self.shown):
            spilled = self._path.with_name(f"{self._path.name}.tmp")
            if day is not None:
                shutil.rmtree(spilled, ignore_errors=True)  # of a dead run: the lock is ours
            try:
                config = {"temp_directory": str(spilled)}
                with duckdb.connect(str(self._path), read_only=day is None, config=config) as raw:
                    yield DuckConnection(raw)
            except duckdb.Error as error:
                raise self._fault(error) from None

    def _replace(self, con: Connection, table: Table, day: date, staged: str | None) -> None:
        """DuckDB is slow to delete rows from the index of a key, so rows whose key stays are updated.

        An update takes one of two rows of the same key without a word: the unique index refuses them.
        """
        if staged is None or not table.key:
            super()._replace(con, table, day, staged)
            return
        same = " AND ".join(f"old.{name} = new.{name}" for name in table.key)
        others = ", ".join(f'"{name}" = new."{name}"' for name in table.schema.names if name not in table.key)
        con.rows(f"CREATE UNIQUE INDEX {staged}_key ON {staged} ({', '.join(table.key)})")
        con.rows(
            f"DELETE FROM {table.name} AS old WHERE as_of = $1 "
            f"AND NOT EXISTS (FROM {staged} AS new WHERE {same})",
            (day,),
        )
        con.rows(f"UPDATE {table.name} AS old SET {others} FROM {staged} AS new WHERE {same}")
        con.rows(
            f"INSERT INTO {table.name} ({table.columns}) SELECT {table.columns} FROM {staged} AS new "
            f"WHERE NOT EXISTS (FROM {table.name} AS old WHERE {same})"
        )

    def _fault(self, error: duckdb.Error) -> Exception:
        """What to tell of it; its own words may quote rows."""
        if any(phrase in str(error) for phrase in PASSING):
            return PassingError(f"{self.shown}: another process has it open")
        kind = type(error).__name__
        return SinkError(f"{self.shown}: {FINDINGS.get(kind, f'DuckDB refuses ({kind})')}")

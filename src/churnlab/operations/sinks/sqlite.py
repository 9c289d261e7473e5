"""Publishes to an SQLite file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from churnlab.errors import SinkError
from churnlab.operations.sinks.adbc import AdbcConnection, driver
from churnlab.operations.sinks.database_file import DatabaseFileSink
from churnlab.operations.sinks.databases import Connection
from churnlab.operations.sinks.retrying import PassingError, Patience

COLUMNS = "SELECT name FROM pragma_table_info($1)"
LONGEST_BUSY_MS = 5_000
PASSING = ("database is locked", "database table is locked", "database schema is locked")
FINDINGS = {
    "unable to open": "it cannot be opened: check the path and its rights",
    "failed to open": "it cannot be opened: check the path and its rights",
    "readonly": "it may not be written: check its rights",
    "disk is full": "the disk is full: make room",
    "disk I/O error": "the disk is full or fails: make room or check it",
    "not a database": "it is no SQLite database: choose another file",
    "malformed": "it is damaged: restore it from a copy",
    "UNIQUE constraint": "a customer occurs twice in the scores",
}


class SqliteSink(DatabaseFileSink):
    """A Sink in one file. Readers see the old list until the new one is whole (write-ahead log).

    Dates and moments are ISO 8601 text. Lists are staged in SQLite's temporary files, which die with the
    process; SQLITE_TMPDIR says where.
    """

    types: ClassVar[dict[pa.DataType, str]] = DatabaseFileSink.types | {
        pa.date32(): "TEXT",
        pa.timestamp("us", "UTC"): "TEXT",
    }
    dates_as_text: ClassVar[bool] = True

    def __init__(self, path: Path, shown: str, patience: Patience) -> None:
        super().__init__(path, shown, patience)
        self._driver = driver("sqlite")

    @contextmanager
    def _connection(self, day: date | None) -> Iterator[Connection]:
        """SQLite itself lets one transaction write at a time; the others wait."""
        busy = min(LONGEST_BUSY_MS, int(self._patience.total_seconds * 1000))
        try:
            with closing(self._driver.connect(str(self._path), autocommit=True)) as raw:
                con = AdbcConnection(raw, COLUMNS)
                con.rows(f"PRAGMA busy_timeout = {busy}")
                if day is not None:
                    con.rows("PRAGMA journal_mode = WAL")
                yield con
        except self._driver.Error as error:
            raise self._fault(error) from None

    def _before_erasing(self, con: Connection) -> None:
        con.rows("PRAGMA secure_delete = ON")

    def _fault(self, error: Any) -> Exception:
        """What to tell of it; its own words may quote rows."""
        words = str(error)
        if any(phrase in words for phrase in PASSING):
            return PassingError(f"{self.shown}: another process is writing it")
        found = (said for phrase, said in FINDINGS.items() if phrase in words)
        return SinkError(f"{self.shown}: {next(found, 'SQLite refuses (' + type(error).__name__ + ')')}")

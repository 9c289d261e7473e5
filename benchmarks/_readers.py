"""What a reader of a list sees, and what runs have left behind; read without churnlab."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pyarrow.parquet as pq

PARTING_SECONDS = 5.0
MARKS = ("customer_id", "churn_probability", "model_version", "run_id", "data_version")
Row = dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """A list in brief.

    Attributes
    ----------
    rows, customers
        Rows, and different customers among them.
    digest
        Of every row's `MARKS`, sorted.
    """

    rows: int
    customers: int
    digest: str

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Seen:
        """Of the rows of one date."""
        marks = sorted(repr(tuple(row[name] for name in MARKS)) for row in rows)
        digest = hashlib.sha256("\n".join(marks).encode()).hexdigest()[:12]
        return cls(len(rows), len({row["customer_id"] for row in rows}), digest)


NOTHING = Seen.of([])


class Reader(Protocol):
    """One place of publication, seen by those who read it."""

    @property
    def name(self) -> str:
        """What tables call it."""

    @property
    def target(self) -> str:
        """What --sink is given."""

    def rows(self, day: date) -> list[Row]:
        """The current list of a date, with `MARKS` at least; empty where there is none."""

    def leftovers(self) -> list[str]:
        """What should not be there when no run is at work."""


@dataclass(frozen=True)
class Folder:
    """A folder of Parquet files, read as data tools read it: names that begin with . or _ are not data."""

    path: Path
    name: str = "folder"

    @property
    def target(self) -> str:
        """What --sink is given."""
        return str(self.path)

    def rows(self, day: date) -> list[Row]:
        """See Reader."""
        files = (self.path / "scores" / f"as_of={day}").glob("[!._]*.parquet")
        return [row for file in sorted(files) for row in _rows_of(file)]

    def leftovers(self) -> list[str]:
        """Hidden files other than locks, whatever their folder."""
        return sorted(
            str(path.relative_to(self.path))
            for path in self.path.rglob("*")
            if path.is_file() and ".tmp" in path.name
        )


@dataclass(frozen=True)
class Postgres:
    """A schema of a PostgreSQL server."""

    url: str
    name: str = "postgresql"

    @property
    def target(self) -> str:
        """What --sink is given."""
        return self.url

    def rows(self, day: date) -> list[Row]:
        """See Reader."""
        if not self._ask("SELECT to_regclass('scores') IS NOT NULL")[0][0]:
            return []
        found = self._ask(f"SELECT {', '.join(MARKS)} FROM scores WHERE as_of = %s", day)
        return [dict(zip(MARKS, row, strict=True)) for row in found]

    def leftovers(self) -> list[str]:
        """Tables of one run; sessions of churnlab that outlive it by seconds, and their locks."""
        until = time.monotonic() + PARTING_SECONDS
        while (found := self._left()) and time.monotonic() < until:
            time.sleep(0.05)  # the server ends a session a moment after its process
        return found

    def _left(self) -> list[str]:
        tables = self._ask(
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_name ~ 'stag|tmp|temp'"
        )
        sessions = self._ask(
            "SELECT application_name || ' ' || state FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name LIKE 'churnlab%%'"
        )
        locks = self._ask(
            "SELECT 'advisory lock ' || objid FROM pg_locks WHERE locktype = 'advisory' "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        return sorted(str(row[0]) for row in [*tables, *sessions, *locks])

    def _ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(psycopg.connect(self.url, autocommit=True)) as connection:
            return connection.execute(query, values).fetchall()


def _rows_of(file: Path) -> Iterator[Row]:
    yield from pq.read_table(file, columns=list(MARKS), partitioning=None).to_pylist()

"""What all databases share: their tables, and the one transaction that puts a list in place."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

import pyarrow as pa

from churnlab.errors import SinkError
from churnlab.operations.scoring import SCORES
from churnlab.operations.sinks import erased_rows
from churnlab.operations.sinks.lists import check, dated, stored
from churnlab.operations.sinks.locks import LockedByDate
from churnlab.operations.sinks.publication import Publication, RunIdentity, Trace
from churnlab.operations.sinks.retrying import Patience, persist
from churnlab.operations.sinks.tables import (
    ERASURES,
    PUBLICATIONS,
    QUARANTINE_TABLE,
    SCORES_TABLE,
    STAGED,
    STAGED_QUARANTINE,
    SUPERSEDED,
    TABLES,
    Table,
)

if TYPE_CHECKING:
    from churnlab.operations.erasure.traces import Wanted

T = TypeVar("T")


class Connection(Protocol):
    """An open database, every statement its own transaction until `begin`."""

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Run one statement; `$1`, `$2` … stand for the values, in this order."""

    def batches(self, sql: str) -> Iterator[pa.RecordBatch]:
        """The answer to one query, so many rows at a time."""

    def columns(self, table: str) -> list[str]:
        """Names of its columns; none if it is not there."""

    def load(self, name: str, rows: pa.RecordBatchReader) -> None:
        """Make the rows readable under a name that only this connection sees and that dies with it."""

    def begin(self) -> None:
        """Open a transaction."""

    def commit(self) -> None:
        """Make what it did visible, all at once."""

    def rollback(self) -> None:
        """Undo what it did."""


class DatabaseSink(LockedByDate):
    """A Sink of tables: scores, scores_superseded, quarantine and publications."""

    types: ClassVar[dict[pa.DataType, str]] = {
        pa.string(): "TEXT",
        pa.int64(): "BIGINT",
        pa.float64(): "DOUBLE PRECISION",
        pa.date32(): "DATE",
        pa.timestamp("us", "UTC"): "TIMESTAMP WITH TIME ZONE",
    }
    dates_as_text: ClassVar[bool] = False

    def __init__(self, shown: str, patience: Patience) -> None:
        super().__init__()
        self.shown = shown
        self.manifests: Path | None = None
        self._patience = patience

    @abstractmethod
    def _connection(self, day: date | None) -> AbstractContextManager[Connection]:
        """To write the list of a date whose lock is held; to read only, if None.

        Raises PassingError or SinkError, with the driver's own error dropped: it may quote rows or passwords.
        """

    def _is_there(self) -> bool:
        """Whether there is a database at all."""
        return True

    def _before_creating(self, con: Connection) -> None:
        """Keep another run from creating the same tables, inside the transaction that does."""

    def publish(
        self, scores: Path, run: RunIdentity, now: datetime, *, restate: bool, quarantine: Path | None
    ) -> Publication:
        """See `Sink.publish`."""
        check(scores, run)
        with self._holding(run.as_of):
            return persist(lambda: self._published(scores, run, now, restate, quarantine), self._patience)

    def _published(
        self, scores: Path, run: RunIdentity, now: datetime, restate: bool, quarantine: Path | None
    ) -> Publication:
        """One attempt. A commit that went through, its answer lost, is found as the current list."""
        with self._connection(run.as_of) as con:
            self._create_tables(con)
            current = max(self._history(con, run.as_of), key=lambda past: past.revision, default=None)
            if current is not None and current.is_of(run):
                return current
            made = Publication.of(run, current.revision + 1 if current else 1, now)
            con.load(STAGED, stored(scores, SCORES, dates_as_text=self.dates_as_text))
            if quarantine is not None:
                con.load(STAGED_QUARANTINE, dated(quarantine, run.as_of, dates_as_text=self.dates_as_text))
            with self._transaction(con):
                if restate and current is not None:
                    self._keep(con, current)
                self._replace(con, SCORES_TABLE, run.as_of, STAGED)
                self._replace(con, QUARANTINE_TABLE, run.as_of, STAGED_QUARANTINE if quarantine else None)
                self._insert(con, PUBLICATIONS, vars(made))
        return made

    def _create_tables(self, con: Connection) -> None:
        missing = [table for table in TABLES if not self._fits(con, table)]
        if not missing:
            return
        with self._transaction(con):
            self._before_creating(con)
            for table in missing:
                columns = [f'"{field.name}" {self.types[_kind(field)]}' for field in table.schema]
                key = [f"PRIMARY KEY ({', '.join(table.key)})"] if table.key else []
                con.rows(f"CREATE TABLE IF NOT EXISTS {table.name} ({', '.join([*columns, *key])})")

    def _fits(self, con: Connection, table: Table) -> bool:
        """Whether it is there; refused if it is another table."""
        found = con.columns(table.name)
        if found and set(found) != set(table.schema.names):
            odd = min(set(found) ^ set(table.schema.names))
            raise SinkError(
                f"{self.shown}: table {table.name} is not one of churnlab's (column {odd}): "
                "rename it or choose another database or schema"
            )
        return bool(found)

    def _keep(self, con: Connection, current: Publication) -> None:
        columns = SCORES_TABLE.columns
        con.rows(
            f"INSERT INTO {SUPERSEDED.name} (revision, {columns}) "
            f"SELECT CAST($1 AS BIGINT), {columns} FROM {SCORES_TABLE.name} WHERE as_of = $2",
            (current.revision, self._value(current.as_of)),
        )

    def _replace(self, con: Connection, table: Table, day: date, staged: str | None) -> None:
        con.rows(f"DELETE FROM {table.name} WHERE as_of = $1", (self._value(day),))
        if staged is not None:
            con.rows(f"INSERT INTO {table.name} ({table.columns}) SELECT {table.columns} FROM {staged}")

    def _insert(self, con: Connection, table: Table, row: dict[str, Any]) -> None:
        names = table.schema.names
        places = ", ".join(f"${place}" for place, _ in enumerate(names, start=1))
        con.rows(
            f"INSERT INTO {table.name} ({table.columns}) VALUES ({places})",
            [self._value(row[name]) for name in names],
        )

    @contextmanager
    def _transaction(self, con: Connection) -> Iterator[None]:
        con.begin()
        try:
            yield
            con.commit()
        except BaseException:
            with suppress(Exception):  # where the connection is lost, the first error says more
                con.rollback()
            raise

    def history(self, day: date | None = None) -> list[Publication]:
        """See `Sink.history`."""

        def read() -> list[Publication]:
            with self._connection(None) as con:
                return self._history(con, day) if con.columns(PUBLICATIONS.name) else []

        return persist(read, self._patience) if self._is_there() else []

    def _history(self, con: Connection, day: date | None) -> list[Publication]:
        where, values = ("", ()) if day is None else ("WHERE as_of = $1", (self._value(day),))
        found = con.rows(
            f"SELECT {PUBLICATIONS.columns} FROM {PUBLICATIONS.name} {where} ORDER BY as_of, revision", values
        )
        return [Publication.from_record(row) for row in found]

    def rows_of(self, customer_id: str, day: date) -> list[tuple[Publication, dict[str, Any]]]:
        """See `Sink.rows_of`."""

        def read() -> list[dict[str, Any]]:
            with self._connection(None) as con:
                return self._rows_of(con, customer_id, day) if con.columns(PUBLICATIONS.name) else []

        found = persist(read, self._patience) if self._is_there() else []
        published = {past.revision: past for past in self.history(day)} if found else {}
        return [(published[row.pop("revision")], _row(row)) for row in found]

    def _rows_of(self, con: Connection, customer_id: str, day: date) -> list[dict[str, Any]]:
        """One statement, so that no publication falls between its parts."""
        columns = SCORES_TABLE.columns
        newest = f"(SELECT MAX(revision) FROM {PUBLICATIONS.name} WHERE as_of = $1)"
        return con.rows(
            f"SELECT revision, {columns} FROM {SUPERSEDED.name} WHERE as_of = $1 AND customer_id = $2 "
            f"UNION ALL SELECT {newest} AS revision, {columns} FROM {SCORES_TABLE.name} "
            "WHERE as_of = $1 AND customer_id = $2 ORDER BY revision",
            (self._value(day), customer_id),
        )

    def read_list(self, day: date, columns: Sequence[str], read: Callable[[pa.RecordBatch], T]) -> list[T]:
        """See `Sink.read_list`; one statement, so that it is one whole list."""

        def read_all() -> list[T]:
            with self._connection(None) as con:
                if not con.columns(SCORES_TABLE.name):
                    return []
                names = ", ".join(f'"{name}"' for name in columns)
                chosen = f"SELECT {names} FROM {SCORES_TABLE.name} WHERE as_of = '{day.isoformat()}'"
                return [read(batch) for batch in con.batches(chosen)]

        return persist(read_all, self._patience) if self._is_there() else []

    def traces(self, wanted: Wanted) -> list[Trace]:
        """See `Sink.traces`."""

        def read() -> list[Trace]:
            with self._connection(None) as con:
                return [
                    Trace(day, f"{self.shown}: {table} of {day}", hits)
                    for (day, table), hits in erased_rows.found(con, wanted).items()
                ]

        return persist(read, self._patience)

    def among_refused(self, read: Callable[[pa.RecordBatch], set[str]]) -> set[str]:
        """See `Sink.among_refused`."""

        def read_all() -> set[str]:
            with self._connection(None) as con:
                found = (read(batch) for batch in con.batches(f"SELECT raw FROM {QUARANTINE_TABLE.name}"))
                return set().union(*found)

        return persist(read_all, self._patience)

    def erase(self, wanted: Wanted, day: date, now: datetime) -> None:
        """See `Sink.erase`."""
        with self._holding(day):
            persist(lambda: self._erase(wanted, day, now), self._patience)

    def _erase(self, wanted: Wanted, day: date, now: datetime) -> None:
        with self._connection(day) as con:
            self._create_tables(con)
            self._before_erasing(con)
            refused = erased_rows.refused(con, wanted, self._value(day))
            with self._transaction(con):
                for revision, rows_left in erased_rows.erase(con, wanted.ids, self._value(day)).items():
                    done = {"as_of": day, "revision": revision, "rows_left": rows_left, "erased_at": now}
                    self._insert(con, ERASURES, done)
                erased_rows.withhold(con, refused, self._value(day))

    def _before_erasing(self, con: Connection) -> None:
        """Have the database leave nothing of deleted rows in its file, where it can be told to."""

    def _value(self, value: Any) -> Any:
        """A value as a parameter of this database."""
        return value.isoformat() if self.dates_as_text and isinstance(value, date) else value

    def close(self) -> None:
        """See `Sink.close`: connections do not outlive a call or a lock."""


def _kind(field: pa.Field) -> pa.DataType:
    return pa.string() if pa.types.is_list(field.type) else field.type


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """A stored row as it was scored."""
    return {field.name: _as_scored(row[field.name], field.type) for field in SCORES}


def _as_scored(value: Any, kind: pa.DataType) -> Any:
    if pa.types.is_list(kind) and value is not None:
        return json.loads(value)
    return date.fromisoformat(value) if pa.types.is_date(kind) and isinstance(value, str) else value

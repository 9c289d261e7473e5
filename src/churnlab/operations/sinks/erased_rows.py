"""Finds customers in the tables of a database, and takes them out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from churnlab.operations.erasure.erased_tables import WITHHELD, refused_theirs, without
from churnlab.operations.erasure.traces import Hits, Wanted
from churnlab.operations.sinks.tables import PUBLICATIONS, QUARANTINE_TABLE, SCORES_TABLE, SUPERSEDED

if TYPE_CHECKING:
    from churnlab.operations.sinks.databases import Connection

IDS_PER_STATEMENT = 500


def found(con: Connection, wanted: Wanted) -> dict[tuple[date, str], Hits]:
    """How often the list of a date, in a table, names the wanted."""
    hits: defaultdict[tuple[date, str], Hits] = defaultdict(Hits)
    for table in (SCORES_TABLE.name, SUPERSEDED.name):
        for some in _some(wanted.ids):
            counts = (
                f"SELECT as_of, COUNT(*) AS rows_found FROM {table} WHERE {_among(some, 1)} GROUP BY as_of"
            )
            for row in con.rows(counts, some):
                hits[_day(row["as_of"]), table] += Hits(rows=row["rows_found"])
    # SQLite's driver takes the type of a column from its first values
    lines = (
        f"SELECT as_of, COALESCE(detail, '') AS detail, COALESCE(raw, '') AS raw FROM {QUARANTINE_TABLE.name}"
    )
    for batch in map(pa.table, con.batches(lines)):
        for value in batch["as_of"].unique():
            theirs = batch.filter(pc.equal(batch["as_of"], value)).select(["detail", "raw"])
            hits[_day(value.as_py()), QUARANTINE_TABLE.name] += without(theirs, wanted)[1]
    return {place: hits[place] for place in sorted(hits) if hits[place].total}


def refused(con: Connection, wanted: Wanted, day: Any) -> set[str]:
    """The refused lines of a date that are about the wanted; `day` as the database takes it."""
    lines = con.rows(f"SELECT DISTINCT raw FROM {QUARANTINE_TABLE.name} WHERE as_of = $1", (day,))
    texts = pa.chunked_array([pa.array([row["raw"] for row in lines if row["raw"]], pa.large_string())])
    return set(texts.filter(refused_theirs(texts, wanted)).to_pylist())


def erase(con: Connection, ids: Iterable[str], day: Any) -> dict[int, int]:
    """Delete the customers' rows of a date; revision of each list that had one → rows left of it.

    The caller holds the lock of the date, and a transaction.
    """
    newest = f"(SELECT MAX(revision) FROM {PUBLICATIONS.name} WHERE as_of = $1)"
    left: dict[int, int] = {}
    for table, revision in ((SUPERSEDED.name, "revision"), (SCORES_TABLE.name, newest)):
        touched: set[int] = set()
        for some in _some(ids):
            theirs = f"FROM {table} WHERE as_of = $1 AND {_among(some, 2)}"
            lists = con.rows(f"SELECT DISTINCT {revision} AS revision {theirs}", (day, *some))
            touched |= {row["revision"] for row in lists}
            con.rows(f"DELETE {theirs}", (day, *some))
        counts = (
            f"SELECT {revision} AS revision, COUNT(*) AS rows_left FROM {table} WHERE as_of = $1 GROUP BY 1"
        )
        kept = {row["revision"]: row["rows_left"] for row in con.rows(counts, (day,))}
        left |= {number: kept.get(number, 0) for number in touched}
    return left


def withhold(con: Connection, lines: Iterable[str], day: Any) -> None:
    """Take the text of refused lines away; the rows and their reasons stay."""
    for line in sorted(lines):
        con.rows(
            f"UPDATE {QUARANTINE_TABLE.name} SET raw = $1 WHERE as_of = $2 AND raw = $3",
            (WITHHELD["raw"], day, line),
        )


def _some(ids: Iterable[str]) -> Iterator[list[str]]:
    """As many at a time as one statement takes."""
    names = sorted(ids)
    for begin in range(0, len(names), IDS_PER_STATEMENT):
        yield names[begin : begin + IDS_PER_STATEMENT]


def _among(some: list[str], first: int) -> str:
    """A condition with values from place `first` on."""
    return f"customer_id IN ({', '.join(f'${first + place}' for place, _ in enumerate(some))})"


def _day(value: date | str) -> date:
    return date.fromisoformat(value) if isinstance(value, str) else value

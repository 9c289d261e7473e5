"""`churnlab migration`: which labels and types customers moved between, from one list to a later one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pandas.errors import MergeError
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from churnlab.decisions.migration import COLUMNS, migration
from churnlab.engine import read_parquet
from churnlab.errors import DataError, SinkError
from churnlab.operations.sinks.publication import Sink

READ = ("customer_id", "clv", *COLUMNS, "model_version")


@dataclass(frozen=True)
class DatedList:
    """A list of scores, and its name for people."""

    name: str
    rows: pd.DataFrame


@dataclass(frozen=True)
class Migration:
    """The table of :func:`churnlab.decisions.migration.migration`, and what to know of it."""

    table: pd.DataFrame
    notes: tuple[str, ...]


def from_file(path: Path) -> DatedList:
    """A list from a file of scores, or from scores.parquet in a folder.

    Raises
    ------
    DataError
        It cannot be read, or lacks a column.
    """
    file = path / "scores.parquet" if path.is_dir() else path
    mend = "name a scores.parquet that churnlab score wrote"
    if not file.is_file():
        raise DataError(f"{file}: is not there: {mend}")
    try:
        rows = read_parquet(file, READ)
    except DataError as error:
        raise DataError(f"{file}: cannot be read as Parquet: {mend}") from error
    missing = [name for name in READ if name not in rows.columns]
    if missing:
        raise DataError(f"{file}: has no column {missing[0]}: {mend}")
    return DatedList(str(file), rows)


def from_sink(sink: Sink, day: date) -> DatedList:
    """The list of a date.

    Raises
    ------
    SinkError
        None was published, or the sink cannot be read.
    """
    found = sink.read_list(day, READ, lambda batch: batch)
    if not found:
        raise SinkError(f"{sink.shown}: holds no list of {day}: name another date, or another --sink")
    return DatedList(f"{sink.shown} of {day}", pa.Table.from_batches(found).to_pandas())


def migrated(before: DatedList, after: DatedList) -> Migration:
    """Compare two lists.

    Raises
    ------
    DataError
        A list names a customer twice.
    """
    try:
        table = migration(before.rows, after.rows)
    except MergeError as error:
        raise DataError(
            f"{before.name}, {after.name}: one of them names a customer twice: score again"
        ) from error
    models = set(before.rows["model_version"]) | set(after.rows["model_version"])
    moved = "The lists are by different models: their cut points differ, so labels move by that alone"
    return Migration(table, (moved,) if len(models) > 1 else ())


def show(found: Migration, console: Console) -> None:
    """Who moved, and how many stayed; no id of a customer."""
    for column, rows in found.table.groupby("column", sort=False):
        moves = rows[rows["from"] != rows["to"]]
        stayed = int(rows["customers"].sum() - moves["customers"].sum())
        table = Table(
            title=f"{column}: {stayed:,} of {rows['customers'].sum():,} as before",
            title_justify="left",
            box=SIMPLE_HEAD,
        )
        for title in ("from", "to", "customers", "clv before", "clv after"):
            table.add_column(title, justify="left" if title in ("from", "to") else "right")
        for move in moves.itertuples(index=False):
            source, target, customers, *money = move[1:]
            table.add_row(source, target, f"{customers:,}", *(f"{amount:,.2f}" for amount in money))
        console.print(table, markup=False)
    for note in found.notes:
        console.print(f"Note: {note}", markup=False, soft_wrap=True)

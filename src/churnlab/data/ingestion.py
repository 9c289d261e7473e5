"""From the sources that params.yaml names to orders, optional tables and one quarantine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
from filelock import FileLock

from churnlab.config import Data
from churnlab.data import cleaning, datasets, side_tables, sources
from churnlab.data.contract import NUMBERS, WORDS
from churnlab.data.doubts import many_refused, stale, strangers
from churnlab.data.orders import ROWS_PER_BATCH, data_version
from churnlab.data.readers.parquet_files import scanned
from churnlab.engine import cause
from churnlab.errors import DataError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.duckdb import Backend

SIDE_TABLES = ("customers", "interactions", "contacts")


@dataclass(frozen=True)
class Ingested:
    """Everything that the sources hold.

    Attributes
    ----------
    orders, quarantine
        As :mod:`churnlab.data.contract` describes them; the quarantine of all tables.
    customers, interactions, contacts
        The optional tables, without a row where the shop has none.
    summary
        Counts of the transactions, and of the other tables under `tables`.
    cautions
        What looks odd about the lines, in sentences.
    """

    orders: ir.Table
    quarantine: ir.Table
    customers: ir.Table
    interactions: ir.Table
    contacts: ir.Table
    summary: dict[str, Any]
    cautions: list[str]


def ingest(con: Backend, data: Data, landing: Path | None = None) -> Ingested:
    """Read and judge every source.

    Parameters
    ----------
    data
        The section `data` of params.yaml.
    landing
        Folder where an incremental source keeps the lines of files it has read.

    Raises
    ------
    ConfigError
        A setting cannot be used.
    DataError
        A source cannot be read.
    TryLaterError
        The database of a source is away for the moment.

    Notes
    -----
    Another run on the same landed lines is waited for; a killed one holds nobody up.
    """
    with _undisturbed(data, landing):
        return _ingested(con, data, landing)


@contextmanager
def _undisturbed(data: Data, landing: Path | None) -> Iterator[None]:
    """No other run changes the landed lines while they are read."""
    sources_of = (data, data.customers, data.interactions, data.contacts)
    if landing is None or not any(source is not None and source.incremental for source in sources_of):
        yield
        return
    lock = FileLock(landing.with_name(f".{landing.name}.lock"))
    try:
        landing.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise DataError(
            f"{landing}: cannot be locked ({cause(error)}): check the folder and its rights"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _ingested(con: Backend, data: Data, landing: Path | None) -> Ingested:
    with scanned("data"):
        cleaned = cleaning.clean(con, _transactions(con, data, landing), data)
    sides = {}
    for name in SIDE_TABLES:
        with scanned(f"data.{name}"):
            sides[name] = _side(con, name, data, landing)
    there = {name: side for name, side in sides.items() if side.summary}
    quarantine = ibis.union(cleaned.quarantine, *(side.quarantine for side in there.values()), distinct=False)
    doubts = [*many_refused("transactions", cleaned.summary), *cleaned.cautions]
    for name, side in there.items():
        doubts += many_refused(name, side.summary)
        doubts += [*strangers(side.table, cleaned.orders, name), *stale(side.table, cleaned.orders, name)]
    return Ingested(
        orders=cleaned.orders,
        quarantine=quarantine.order_by("table", "source_file", "source_row"),
        summary=_summary(cleaned, there),
        cautions=doubts,
        **{name: side.table for name, side in sides.items()},
    )


def _summary(cleaned: cleaning.Cleaned, there: dict[str, side_tables.SideTable]) -> dict[str, Any]:
    """With the counts of the tables that there are, and a data version that covers them."""
    whole = cleaned.summary | {"tables": {name: side.summary for name, side in there.items()}}
    if not there:
        return whole
    versions = {
        name: data_version(side.table.to_pyarrow_batches(chunk_size=ROWS_PER_BATCH))
        for name, side in there.items()
    }
    said = json.dumps({"orders": cleaned.summary["data_version"], **versions}, sort_keys=True)
    return whole | {"data_version": hashlib.sha256(said.encode()).hexdigest()}


def _transactions(con: Backend, data: Data, landing: Path | None) -> ir.Table:
    if data.dataset is not None:
        return datasets.load(con, data.dataset)
    return sources.read(
        con,
        data,
        mapped_words(data),
        numbers=NUMBERS,
        moments=("ts",),
        landing=landing and landing / "transactions",
    )


def mapped_words(data: Data) -> dict[str, str]:
    """churnlab's word → the source's column, for the columns that the source has."""
    names = data.columns.model_dump()
    if names["amount"] is not None:
        names["unit_price"] = None
    return {word: names[word] for word in WORDS if names[word] is not None}


def _side(con: Backend, name: str, data: Data, landing: Path | None) -> side_tables.SideTable:
    source = getattr(data, name)
    if source is None:
        return side_tables.empty(con, name)
    columns = side_tables.schema_of(name, data).columns
    kinds = {
        kind: [w for w, c in columns.items() if c.metadata["kind"] == kind] for kind in ("number", "moment")
    }
    raw = sources.read(
        con,
        source,
        side_tables.mapped(name, data),
        section=f"data.{name}",
        numbers=kinds["number"],
        moments=kinds["moment"],
        landing=landing and landing / name,
    )
    return side_tables.clean_side(con, raw, name, data)

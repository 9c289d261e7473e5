"""Turns whatever a table is kept in into one table of raw lines."""

from __future__ import annotations

import glob
import shutil
import tempfile
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import ibis
import pyarrow.parquet as pq

from churnlab.config import Source
from churnlab.data.readers import (
    databases,
    delimited,
    files,
    json_lines,
    parquet_files,
    raw_lines,
    spreadsheets,
)
from churnlab.data.readers.files import Found
from churnlab.data.readers.landing import land
from churnlab.data.readers.moments import is_moment, iso
from churnlab.data.readers.raw_lines import Request, Row
from churnlab.engine import cause
from churnlab.errors import ConfigError, DataError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.duckdb import Backend

READERS: dict[str, Callable[[Path, str, Request], Iterator[Row]]] = {
    "csv": delimited.rows,
    "jsonl": json_lines.rows,
    "excel": spreadsheets.rows,
}


def read(
    con: Backend,
    source: Source,
    mapped: Mapping[str, str],
    *,
    section: str = "data",
    numbers: Collection[str] = (),
    moments: Collection[str] = (),
    landing: Path | None = None,
) -> ir.Table:
    """The lines of a source, unchecked.

    Parameters
    ----------
    mapped
        churnlab's word -> the source's column, for the columns that the source has.
    section
        Where the source stands in params.yaml, for messages.
    numbers, moments
        The words whose cells may be numbers or moments by their type.
    landing
        The folder where `source.incremental` keeps the lines of files that were read.

    Returns
    -------
    ibis table
        `source_file` (base name; below a folder the path in it; of a database the table, or `query`),
        `source_row` (record in it, from 1), `malformed` (text of a row that is not a record, else null),
        then the text of every mapped cell under churnlab's word, null where there is none. Unless no file
        gives its cells types: `typed_<number>` (float64) and `typed_<moment>` (ISO 8601, or native where all
        are Parquet), null where the cell was text.

    Raises
    ------
    DataError
        Nothing is found, something cannot be read, or a mapped column is not in it. Damage within Parquet
        files shows when the table is computed: see :func:`churnlab.data.readers.parquet_files.scanned`.
    ConfigError
        An encoding, a delimiter or the URL of a database is not usable.
    """
    request = Request(source, mapped, section, frozenset(numbers), frozenset(moments))
    if source.database is not None:
        return _read_database(con, request)
    if source.incremental and landing is not None:
        return _read_landed(con, request, landing)
    found = files.find(source, section)
    return _united(_tables(con, found, request))


def _read_database(con: Backend, request: Request) -> ir.Table:
    source = request.source
    assert source.database is not None  # read: only then
    if source.incremental:
        raise ConfigError(f"{request.section}.incremental: is for files: set it to false for a database")
    return _set_down(con, [(databases.name(source.database), databases.rows(request))], request, typed=True)


def _tables(con: Backend, found: list[Found], request: Request) -> list[ir.Table]:
    """Delimited files in one table, files of typed records in another, Parquet files by their schemas."""
    groups: dict[str, list[Found]] = {"text": [], "typed": [], "parquet": []}
    for file in found:
        groups[{"csv": "text", "parquet": "parquet"}.get(file.kind, "typed")].append(file)
    tables = parquet_files.tables(con, groups["parquet"], request)
    for group in ("text", "typed"):
        if groups[group]:
            tables.append(_set_down(con, _rows(groups[group], request), request, typed=group == "typed"))
    return tables


def _rows(found: Iterable[Found], request: Request) -> Iterator[tuple[str, Iterator[Row]]]:
    return ((file.name, READERS[file.kind](file.path, file.name, request)) for file in found)


def _set_down(
    con: Backend, records: Iterable[tuple[str, Iterable[Row]]], request: Request, *, typed: bool
) -> ir.Table:
    """Records as a table, by way of a file for the time of the connection."""
    try:
        target = _temporary(con)
        raw_lines.write(records, request, target, typed=typed)
    except OSError as error:  # of writing: readers tell their own as DataError
        raise DataError(
            f"{tempfile.gettempdir()}: cannot be written ({cause(error)}): free space there, or name "
            "another folder in the environment variable TMPDIR"
        ) from error
    return _raw(con, [target])


def _temporary(con: Backend) -> Path:
    """A place for one Parquet file, which goes when the connection does."""
    folder = tempfile.mkdtemp(prefix="churnlab-")
    weakref.finalize(con, shutil.rmtree, folder, ignore_errors=True)
    return Path(folder) / "raw.parquet"


def _raw(con: Backend, paths: list[Path]) -> ir.Table:
    return con.read_parquet([glob.escape(str(path)) for path in paths], hive_partitioning=False)


def _read_landed(con: Backend, request: Request, folder: Path) -> ir.Table:
    def convert(file: Found, target: Path) -> None:
        if file.kind == "parquet":
            with parquet_files.scanned(file.name):
                con.to_parquet(_united(parquet_files.tables(con, [file], request)), target)
        else:
            raw_lines.write(_rows([file], request), request, target, typed=file.kind != "csv")

    groups: dict[str, list[Path]] = {}
    for path in land(folder, request, convert):
        groups.setdefault(str(pq.read_schema(path)), []).append(path)
    return _united([_raw(con, group) for group in groups.values()])


def _united(tables: list[ir.Table]) -> ir.Table:
    """One table of all lines; a `typed_` column that some lack is null there."""
    if len(tables) == 1:
        return tables[0]
    typed = dict.fromkeys(name for table in tables for name in table.columns if name.startswith("typed_"))
    for name in typed:
        tables = _alike(tables, name)
    columns = [name for name in tables[0].columns if name not in typed] + list(typed)
    return ibis.union(*(table.select(columns) for table in tables), distinct=False)


def _alike(tables: list[ir.Table], name: str) -> list[ir.Table]:
    """A `typed_` column of one type in all tables: its own, or ISO 8601 text where types differ."""
    kinds = {table[name].type() for table in tables if name in table.columns}
    kind = kinds.pop()
    if kinds:
        tables = [
            table.mutate(**{name: iso(table[name])})
            if name in table.columns and is_moment(table[name].type())
            else table
            for table in tables
        ]
        kind = ibis.dtype("string")
    return [table if name in table.columns else table.mutate(**{name: ibis.null(kind)}) for table in tables]

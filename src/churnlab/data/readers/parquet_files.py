"""Reads Parquet files column by column, files of one schema at a time."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from churnlab.data.readers.files import Found, shown
from churnlab.data.readers.moments import is_moment, iso
from churnlab.data.readers.raw_lines import Request
from churnlab.errors import DataError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.duckdb import Backend

DAMAGE = (duckdb.Error, duckdb.IOException, duckdb.InvalidInputException, duckdb.SerializationException)
FILE, ROW = "churnlab_source_file", "file_row_number"


def tables(con: Backend, files: list[Found], request: Request) -> list[ir.Table]:
    """Raw lines, one table for the files of each schema, as types must not be mixed before they are text.

    Numbers and moments keep their type in `typed_` columns.

    Raises
    ------
    DataError
        A file is no Parquet file, or a mapped column is not in it.
    """
    groups: dict[str, list[Found]] = {}
    names: dict[str, list[str]] = {}
    for file in files:
        schema = _schema(file)
        key = str([(field.name, str(field.type)) for field in schema])
        groups.setdefault(key, []).append(file)
        names[key] = schema.names
    return [_raw_lines(con, group, names[key], request) for key, group in groups.items()]


@contextmanager
def scanned(what: str) -> Iterator[None]:
    """Damage that shows only once the engine reads on becomes one line.

    Raises
    ------
    DataError
        The engine fails at reading. Running out of memory or disk is not the file's fault and passes through.
    """
    try:
        yield
    except duckdb.Error as error:
        if type(error) not in DAMAGE:
            raise
        line = next(iter(str(error).splitlines()), "")
        raise DataError(
            f"{what}: a file is damaged or changed while it was read ({shown(_base_names(line), 200)}): "
            "export it again"
        ) from error


def _base_names(line: str) -> str:
    """A message with its paths cut to the names of files."""
    return " ".join(word.rpartition("/")[2] if "/" in word else word for word in line.split(" "))


def _schema(file: Found) -> pa.Schema:
    try:
        with pq.ParquetFile(file.path) as opened:
            schema = opened.schema_arrow
    except (OSError, ValueError, pa.ArrowException) as error:  # ValueError: names that are no UTF-8
        raise DataError(
            f"{shown(file.name)}: is not a readable Parquet file: export it again, or check its rights"
        ) from error
    return schema


def _raw_lines(con: Backend, files: list[Found], names: list[str], request: Request) -> ir.Table:
    positions = request.positions(names, files[0].name)
    table = _read(con, [file.path for file in files], files[0].name)
    cells = {word: table[table.columns[place]] for word, place in zip(request.mapped, positions, strict=True)}
    return table.select(
        source_file=table[FILE].substr(len(str(files[0].path)) - len(files[0].name)),
        source_row=table[ROW].cast("int64") + 1,
        malformed=ibis.null("string"),
        **{word: _text(cell, is_number=word in request.numbers) for word, cell in cells.items()},
        **dict(_typed(cells, request)),
    )


def _read(con: Backend, paths: Iterable[Path], name: str) -> ir.Table:
    try:
        return con.read_parquet(
            [glob.escape(os.fspath(path)) for path in paths],
            filename=FILE,
            file_row_number=True,
            binary_as_string=True,
            hive_partitioning=False,
        )
    except duckdb.Error as error:
        raise DataError(
            f"{shown(name)}: the engine cannot read this Parquet file "
            f"({shown(next(iter(str(error).splitlines()), ''), 200)}): export it again"
        ) from error


def _text(cell: ir.Value, *, is_number: bool) -> ir.StringValue:
    """As :func:`churnlab.data.readers.cells.text` gives it."""
    kind = cell.type()
    if is_moment(kind):
        return iso(cell)
    if kind.is_nested():
        return cell.cast("json").cast("string")
    if kind.is_floating() and not is_number:
        cell = cell.isnan().ifelse(ibis.null(kind), cell)
    return cell.cast("string")


def _typed(cells: dict[str, ir.Value], request: Request) -> Iterator[tuple[str, ir.Value]]:
    for word, cell in cells.items():
        if word in request.numbers and cell.type().is_numeric() and not cell.type().is_boolean():
            yield f"typed_{word}", cell.cast("float64")
        elif word in request.moments and is_moment(cell.type()):
            yield f"typed_{word}", cell

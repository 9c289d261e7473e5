"""Turns whatever the transactions are kept in into one table of raw lines."""

from __future__ import annotations

import glob
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from churnlab.config import Columns, Data
from churnlab.data import datasets, delimited
from churnlab.data.contract import NUMBERS, WORDS
from churnlab.errors import DataError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.duckdb import Backend

PARQUET_ENDINGS = (".parquet", ".pq")
TEXT_ENDINGS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
ROWS_PER_CHUNK = 1_024  # more of them at a time keep Python's garbage collector busy
ROWS_PER_GROUP = 131_072
NAMES_SHOWN = 40


def read(con: Backend, data: Data) -> ir.Table:
    """The lines of the source, unchecked.

    Returns
    -------
    ibis table
        `source_file` (base name), `source_row` (data row in it, from 1), `malformed` (text of a row that is
        not a record, else null), then every mapped column under churnlab's word. Cells of delimited text are
        strings; numbers and moments of a Parquet file keep their type.

    Raises
    ------
    DataError
        Nothing is found at the path, a file cannot be read, or a mapped column is not in it.
    ConfigError
        An encoding or a delimiter is not usable.
    """
    if data.dataset is not None:
        return datasets.load(con, data.dataset)
    assert data.path is not None  # config.Data: one of the two
    files = _files(data.path, data.format)
    if _are_parquet(files, data):
        return _read_parquet(con, files, data.columns)
    return _read_text(con, files, data)


def _files(path: str, kind: str) -> list[Path]:
    """The files meant by a path, a folder or a glob, in the order of their names."""
    found = Path(path).expanduser()
    if found.is_file():
        return [found]
    if found.is_dir():
        endings = {"csv": TEXT_ENDINGS, "parquet": PARQUET_ENDINGS}.get(kind, TEXT_ENDINGS + PARQUET_ENDINGS)
        files = [
            file
            for file in found.rglob("*")
            if _is_visible(file.relative_to(found)) and file.name.lower().endswith(endings)
        ]
    else:
        files = [Path(name) for name in glob.glob(str(found), recursive=True)]  # noqa: PTH207 - absolute globs too
    files = sorted(file for file in files if file.is_file())
    if not files:
        raise DataError(
            f"data.path: nothing to read at {path!r}: name a CSV or Parquet file, a folder or a glob"
        )
    return files


def _is_visible(file: Path) -> bool:
    return not any(part.startswith((".", "_")) for part in file.parts)


def _are_parquet(files: list[Path], data: Data) -> bool:
    if data.format != "auto":
        return data.format == "parquet"
    parquet = [file.name.lower().endswith(PARQUET_ENDINGS) for file in files]
    if any(parquet) and not all(parquet):
        raise DataError(
            f"data.path: {data.path!r} holds Parquet and text files: name one kind with data.format"
        )
    return all(parquet)


def _mapped(columns: Columns) -> dict[str, str]:
    """churnlab's word -> the source's name, for the columns that the source has."""
    names = columns.model_dump()
    if names["amount"] is not None:
        names["unit_price"] = None
    return {word: names[word] for word in WORDS if names[word] is not None}


def _check_names(names: list[str], mapped: dict[str, str], file: str) -> None:
    """Every mapped column must be in the file, once."""
    for word, name in mapped.items():
        if names.count(name) == 1:
            continue
        found = "is there twice" if name in names else "is not there"
        shown = ", ".join(names[:NAMES_SHOWN]) + (", …" if len(names) > NAMES_SHOWN else "")
        raise DataError(
            f"{file}: column {name!r} {found}: correct data.columns.{word} or data.csv.delimiter; "
            f"the file has: {shown}"
        )


def _read_parquet(con: Backend, files: list[Path], columns: Columns) -> ir.Table:
    mapped = _mapped(columns)
    for file in files:
        try:
            names = pq.ParquetFile(file).schema_arrow.names
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{file.name}: is not a readable Parquet file: export it again") from error
        _check_names(names, mapped, file.name)
    table = con.read_parquet(
        [glob.escape(str(file)) for file in files], union_by_name=True, filename=True, file_row_number=True
    )
    return table.select(
        source_file=table["filename"].re_extract(r"[^/\\]+$", 0),
        source_row=table["file_row_number"].cast("int64") + 1,
        malformed=ibis.null("string"),
        **{word: _cell(table[name], word) for word, name in mapped.items()},
    )


def _cell(cell: ir.Value, word: str) -> ir.Value:
    """Numbers and moments keep their type; all else becomes text, a missing id of a float column null."""
    kind = cell.type()
    if (word in NUMBERS and kind.is_numeric()) or (word == "ts" and (kind.is_timestamp() or kind.is_date())):
        return cell
    if kind.is_floating():
        cell = cell.isnan().ifelse(ibis.null(kind), cell)
    return cell.cast("string")


def _read_text(con: Backend, files: list[Path], data: Data) -> ir.Table:
    """Delimited files by way of one temporary Parquet file, which goes when the connection does."""
    folder = tempfile.mkdtemp(prefix="churnlab-")
    weakref.finalize(con, shutil.rmtree, folder, ignore_errors=True)
    target = Path(folder) / "raw.parquet"
    mapped = _mapped(data.columns)
    schema = pa.schema(
        [("source_file", pa.string()), ("source_row", pa.int64()), ("malformed", pa.string())]
        + [(word, pa.string()) for word in mapped]
    )
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for file in files:
            with delimited.opened(file, data.csv) as records:
                _check_names(records.header, mapped, file.name)
                for columns in _chunks(records, [records.header.index(name) for name in mapped.values()]):
                    size = len(columns[0])
                    batch = pa.record_batch([pa.repeat(file.name, size), *columns], schema=schema)
                    writer.write_batch(batch, row_group_size=ROWS_PER_GROUP)
    return con.read_parquet(glob.escape(str(target)))


def _chunks(records: Iterable[list[str] | str], positions: list[int]) -> Iterator[list[pa.Array]]:
    """Arrow columns of some records at a time: source_row, malformed, then the cells at `positions`."""
    numbered = iter(records)
    first = 1
    while rows := list(islice(numbered, ROWS_PER_CHUNK)):
        yield [
            pa.array(range(first, first + len(rows)), pa.int64()),
            pa.array([row if isinstance(row, str) else None for row in rows], pa.string()),
            *_cells(rows, positions),
        ]
        first += len(rows)


def _cells(rows: list[list[str] | str], positions: list[int]) -> Iterator[pa.Array]:
    nothing: list[str | None] = [None] * (max(positions) + 1)
    columns = list(zip(*(nothing if isinstance(row, str) else row for row in rows), strict=False))
    return (pa.array(columns[position], pa.string()) for position in positions)

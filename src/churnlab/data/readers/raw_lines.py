"""The one shape of raw lines, and how records of any source get into it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from sys import getsizeof
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from churnlab.config import Source
from churnlab.data.readers import cells
from churnlab.data.readers.files import shown
from churnlab.errors import DataError

Row = Sequence[Any] | str
"""The cells of a record in the order of `Request.mapped`, or the text of a row that is none."""

ROWS_PER_CHUNK = 1_024  # more of them at a time keep Python's garbage collector busy
BYTES_PER_CHUNK = 8_388_608
ROWS_PER_GROUP = 131_072
NAMES_SHOWN = 40
DATED = re.compile(r"[0-9۰-۹٠-٩]+[-/.][0-9۰-۹٠-٩]+[-/.][0-9۰-۹٠-٩]|@")
"""What a date or an address has and a column's name has not."""

PLACE = [("source_file", pa.string()), ("source_row", pa.int64()), ("malformed", pa.string())]


@dataclass(frozen=True)
class Request:
    """What is wanted of a source.

    `mapped`: churnlab's word -> the source's column; `section`: where the source stands in params.yaml;
    `numbers`, `moments`: the words whose cells may have a type of their own.
    """

    source: Source
    mapped: Mapping[str, str]
    section: str = "data"
    numbers: Collection[str] = ()
    moments: Collection[str] = ()

    def positions(self, names: Sequence[str], file: str, remedy: str = "") -> list[int]:
        """Where the mapped columns stand; each must be there, once. `remedy`: another key to look at."""
        for word, name in self.mapped.items():
            if names.count(name) != 1:
                raise DataError(self._not_once(word, name, names, file) + self._there_are(names, remedy))
        return [names.index(name) for name in self.mapped.values()]

    def _not_once(self, word: str, name: str, names: Sequence[str], file: str) -> str:
        found = "is there twice" if name in names else "is not there"
        return f"{shown(file)}: column {name!r} {found}: correct {self.section}.columns.{word}"

    def _there_are(self, names: Sequence[str], remedy: str) -> str:
        if any(DATED.search(name) for name in names):  # without a header, the first row is a customer's
            return " and write a header row: the first row holds data, which is not shown here"
        listed = ", ".join(shown(name) for name in names[:NAMES_SHOWN])
        more = ", …" if len(names) > NAMES_SHOWN else ""
        other = f" or {self.section}.{remedy}" if remedy else ""
        return f"{other}; it has: {listed}{more}"


def write(files: Iterable[tuple[str, Iterable[Row]]], request: Request, target: Path, *, typed: bool) -> None:
    """Write the records of files, each under its name, as raw lines into one Parquet file.

    `typed`: the cells are values rather than text, so that `typed_` columns stand beside the texts.
    On an error nothing is left at `target`.
    """
    columns = _columns(request, typed)
    schema = pa.schema(PLACE + [(name, kind) for name, kind, _, _ in columns])
    try:
        with pq.ParquetWriter(target, schema, compression="zstd") as writer:
            for name, rows in files:
                for first, chunk, group in _chunks(rows):
                    arrays = [*_places(name, first, chunk), *_cells(chunk, columns, len(request.mapped))]
                    batch = pa.record_batch(arrays, schema=schema)
                    writer.write_batch(batch, row_group_size=group)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


Column = tuple[str, pa.DataType, int, Callable[[Any], Any] | None]
"""Name, type, which of the mapped cells it is made of, and by what."""


def _columns(request: Request, typed: bool) -> list[Column]:
    words = list(enumerate(request.mapped))
    if not typed:
        return [(word, pa.string(), place, None) for place, word in words]
    texts: list[Column] = [
        (word, pa.string(), place, cells.text if word in request.numbers else cells.text_or_missing)
        for place, word in words
    ]
    numbers: list[Column] = [
        (f"typed_{word}", pa.float64(), place, cells.number)
        for place, word in words
        if word in request.numbers
    ]
    moments: list[Column] = [
        (f"typed_{word}", pa.string(), place, cells.moment)
        for place, word in words
        if word in request.moments
    ]
    return texts + numbers + moments


def _chunks(rows: Iterable[Row]) -> Iterator[tuple[int, list[Row], int]]:
    """Some records at a time, the number of the first of them, and how many may share a row group.

    Records of long texts come fewer at a time and in groups of their own: memory holds a whole group.
    """
    chunk: list[Row] = []
    first, size = 1, 0
    for row in rows:
        chunk.append(row)
        size += getsizeof(row) if isinstance(row, str) else sum(map(getsizeof, row))
        if len(chunk) == ROWS_PER_CHUNK or size > BYTES_PER_CHUNK:
            yield first, chunk, len(chunk) if size > BYTES_PER_CHUNK else ROWS_PER_GROUP
            first, size, chunk = first + len(chunk), 0, []
    if chunk:
        yield first, chunk, ROWS_PER_GROUP


def _places(name: str, first: int, chunk: list[Row]) -> list[pa.Array]:
    return [
        pa.array([name] * len(chunk), pa.string()),
        pa.array(range(first, first + len(chunk)), pa.int64()),
        pa.array([row if isinstance(row, str) else None for row in chunk], pa.string()),
    ]


def _cells(chunk: list[Row], columns: list[Column], width: int) -> Iterator[pa.Array]:
    nothing = (None,) * width
    values = list(zip(*(nothing if isinstance(row, str) else row for row in chunk), strict=True))
    for _, kind, place, made_by in columns:
        cells_of = values[place] if made_by is None else [made_by(value) for value in values[place]]
        yield pa.array(cells_of, kind)

"""What kind of file one is, and how customers are found in it and taken out."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from churnlab.data.readers.delta import is_table
from churnlab.operations.erasure import erased_tables, erased_texts
from churnlab.operations.erasure.traces import LINES, OWNER, Hits, Wanted

UNREADABLE = (OSError, ValueError, pa.ArrowException, csv.Error, sqlite3.Error)
"""What the search of a damaged or protected file raises."""

LONGEST_HEADER = 1 << 20  # bytes


class Kind(NamedTuple):
    """How a kind of file is searched, and how the wanted are taken out; None: only with the whole file."""

    search: Callable[[Path, Wanted], Hits]
    erase: Callable[[Path, Wanted], None] | None = None
    is_made_again: bool = False  # the whole file may go


KINDS = {
    "parquet": Kind(erased_tables.search, erased_tables.erase),
    "delta": Kind(erased_tables.search),  # its log tells the size of each file: delete the rows with SQL
    "csv": Kind(erased_texts.search_csv, erased_texts.erase_csv),
    "json lines": Kind(erased_texts.search_json_lines, erased_texts.erase_json_lines),
    "page": Kind(erased_texts.search_page, is_made_again=True),
    "json": Kind(erased_texts.search_json),
    "sqlite": Kind(erased_texts.search_sqlite),
    "text": Kind(erased_texts.search_text),
}


def kind_of(path: Path) -> Kind:
    """What a file is, by how it begins: DVC's objects have no endings."""
    with path.open("rb") as handle:
        line = handle.readline(LONGEST_HEADER)
    if line.startswith(b"PAR1"):
        return KINDS["delta" if any(map(is_table, path.parents)) else "parquet"]
    if line.startswith(b"SQLite format 3\x00"):
        return KINDS["sqlite"]
    head = line.decode("utf-8", errors="replace").strip("\ufeff \t\r\n")
    if head.lower().startswith(("<!doctype html", "<html")):
        return KINDS["page"]
    if head.startswith(("{", "[")):
        return KINDS["json lines" if _is_object(head) else "json"]
    return KINDS["csv" if _is_header(head) else "text"]


def search(path: Path, wanted: Wanted) -> Hits:
    """How often a file names the wanted; raises what is in `UNREADABLE`."""
    return kind_of(path).search(path, wanted)


def is_parquet(path: Path) -> bool:
    """Whether a file is a whole Parquet table."""
    try:
        return kind_of(path) in (KINDS["parquet"], KINDS["delta"]) and bool(pq.read_schema(path).names)
    except UNREADABLE:
        return False


def _is_object(line: str) -> bool:
    """Whether a line is the whole of a JSON object about a customer."""
    try:
        record = json.loads(line)
    except ValueError:
        return False
    return isinstance(record, dict) and OWNER in record


def _is_header(line: str) -> bool:
    """Whether a line is the header of a list of customers or of refused lines."""
    try:
        return bool({OWNER, *LINES} & set(next(csv.reader([line]), [])))
    except csv.Error:
        return False


def unreadable(error: Exception) -> str:
    """The finding, without what the file holds."""
    return f"cannot be read ({getattr(error, 'strerror', None) or type(error).__name__})"

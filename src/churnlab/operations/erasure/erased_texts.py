"""Takes customers out of CSV and JSON lines; finds them in pages, JSON, texts and SQLite."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

from churnlab.engine import write_atomically
from churnlab.operations.erasure.erased_tables import WITHHELD
from churnlab.operations.erasure.traces import LINES, MENTION, OWNER, Hits, Wanted
from churnlab.operations.sinks.csv_files import BYTE_ORDER_MARK, FORMULA_STARTS

Record = tuple[str, str | None, Hits]
"""A record's own text, what is to stand in its place (None: nothing), and what was found in it."""


def search_csv(path: Path, wanted: Wanted) -> Hits:
    """How often a delimited list names the wanted."""
    return _searched(path, _csv_records, wanted)


def erase_csv(path: Path, wanted: Wanted) -> None:
    """Remove the rows about the wanted, empty `referrer` and withhold refused lines that name them.

    All else stays as it is.
    """
    _erased(path, _csv_records, wanted)


def search_json_lines(path: Path, wanted: Wanted) -> Hits:
    """How often a list of one JSON object a line names the wanted."""
    return _searched(path, _json_records, wanted)


def erase_json_lines(path: Path, wanted: Wanted) -> None:
    """As :func:`erase_csv`."""
    _erased(path, _json_records, wanted)


def search_page(path: Path, wanted: Wanted) -> Hits:
    """How often an HTML page shows the wanted."""
    return Hits(elsewhere=wanted.in_html(_read(path)))


def search_json(path: Path, wanted: Wanted) -> Hits:
    """How often a JSON document names the wanted."""
    return Hits(elsewhere=wanted.in_json(_read(path)))


def search_text(path: Path, wanted: Wanted) -> Hits:
    """How often any other file names the wanted."""
    return Hits(elsewhere=wanted.in_text(_read(path)))


def search_sqlite(path: Path, wanted: Wanted) -> Hits:
    """How often the tables of an SQLite file name the wanted; the file is not written to."""
    with closing(sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)) as con:
        return Hits(elsewhere=sum(wanted.in_text(statement) for statement in con.iterdump()))


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="surrogateescape")


def _open(path: Path) -> TextIO:
    return path.open(encoding="utf-8", errors="surrogateescape", newline="")


Reader = Callable[[TextIO, Wanted], Iterator[Record]]


def _searched(path: Path, records: Reader, wanted: Wanted) -> Hits:
    with _open(path) as text:
        return sum((hits for _, _, hits in records(text, wanted)), Hits())


def _erased(path: Path, records: Reader, wanted: Wanted) -> None:
    def write(temporary: Path) -> None:
        with (
            _open(path) as text,
            temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as kept,
        ):
            kept.writelines(instead for _, instead, _ in records(text, wanted) if instead is not None)

    write_atomically(path, write)


def _csv_records(text: TextIO, wanted: Wanted) -> Iterator[Record]:
    # what `csv_files.write_csv` makes of an id that a spreadsheet would run
    ids = wanted.ids | {f"'{name}" for name in wanted.ids if name.lstrip(" ").startswith(FORMULA_STARTS)}
    records = _with_own_text(text)
    header, own = next(records, ([], ""))
    yield own, own, Hits(elsewhere=wanted.in_text(own))
    for cells, own in records:
        named = dict(zip(header, cells, strict=False))
        if named.get(OWNER) in ids:
            yield own, None, Hits(rows=1)
        elif named.get(MENTION) in ids:
            emptied = ["" if name == MENTION else cell for name, cell in zip(header, cells, strict=False)]
            yield own, _csv_line(emptied, own), Hits(cells=1)
        elif any(wanted.in_refused(named[name]) for name in LINES if name in named):
            withheld = [WITHHELD.get(name, cell) if name in LINES else cell for name, cell in named.items()]
            yield own, _csv_line(withheld, own), Hits(cells=1)
        else:
            others = "\n".join(cell for name, cell in named.items() if name not in (OWNER, MENTION, *LINES))
            yield own, own, Hits(elsewhere=wanted.in_text(others))


def _csv_line(cells: list[str], like: str) -> str:
    line = io.StringIO(newline="")
    end = "\r\n" if like.endswith("\r\n") else "\n"
    # as `csv_files.write_csv` quotes: a spreadsheet that splits at another character must find no formula
    is_quoted = like.startswith('"')
    writer = csv.writer(line, lineterminator=end, quoting=csv.QUOTE_ALL if is_quoted else csv.QUOTE_MINIMAL)
    writer.writerow(cells)
    return line.getvalue()


def _with_own_text(text: TextIO) -> Iterator[tuple[list[str], str]]:
    """The cells of each record, and the physical lines it was read from."""
    taken: list[str] = []

    def lines() -> Iterator[str]:
        for line in text:
            taken.append(line)
            yield line

    first = next(text, "")
    mark = BYTE_ORDER_MARK if first.startswith(BYTE_ORDER_MARK) else ""
    text_lines = chain([first.removeprefix(mark)], lines())
    taken.append(first)
    for cells in csv.reader(text_lines):
        yield cells, "".join(taken)
        taken.clear()


def _json_records(text: TextIO, wanted: Wanted) -> Iterator[Record]:
    for own in text:
        record = json.loads(own) if own.strip() else {}
        if str(record.get(OWNER)) in wanted.ids:
            yield own, None, Hits(rows=1)
        elif str(record.get(MENTION)) in wanted.ids:
            yield own, json.dumps(record | {MENTION: None}, ensure_ascii=False) + "\n", Hits(cells=1)
        else:
            others = {name: cell for name, cell in record.items() if name not in (OWNER, MENTION)}
            yield own, own, Hits(elsewhere=wanted.in_text(json.dumps(others, ensure_ascii=False)))

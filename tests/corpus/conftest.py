"""Broken files that no editor could write, made by their own kind of library and then damaged."""

from __future__ import annotations

import datetime
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

GOOD = [
    ("c1", datetime.datetime(2024, 1, 5), 10.0),
    ("c2", datetime.datetime(2024, 2, 6), 20.5),
    ("c1", datetime.datetime(2024, 3, 7), -5.0),
]
WORDS = ("customer_id", "ts", "amount")
HOSTILE_NAMES = ("'; DROP TABLE x; --.csv", "a[1]*?.csv", "<b>{x}.csv", "=cmd().csv", "l\u202eine\nend.csv")

Builder = Callable[[Path], None]
BUILDERS: dict[str, Builder] = {}


def builder(build: Builder) -> Builder:
    BUILDERS[build.__name__] = build
    return build


@pytest.fixture(scope="session")
def builders() -> dict[str, Builder]:
    """Name → function that fills a folder."""
    return BUILDERS


def parquet(path: Path, rows=GOOD, words=WORDS, **options) -> Path:
    columns = zip(*rows, strict=True)
    pq.write_table(pa.table(dict(zip(words, columns, strict=True))), path, **options)
    return path


def damage(path: Path, at: int, content: bytes) -> None:
    """Overwrite bytes; a place below 0 counts from the end."""
    whole = bytearray(path.read_bytes())
    at = at if at >= 0 else len(whole) + at
    whole[at : at + len(content)] = content
    path.write_bytes(bytes(whole))


@builder
def parquet_whole(folder):
    parquet(folder / "lines.parquet")


@builder
def parquet_footer(folder):
    damage(parquet(folder / "lines.parquet"), -60, b"\xff" * 40)


@builder
def parquet_length(folder):
    damage(parquet(folder / "lines.parquet"), -8, b"\xff\xff\xff\x7f")


@builder
def parquet_cut(folder):
    path = parquet(folder / "lines.parquet")
    path.write_bytes(path.read_bytes()[:-100])


@builder
def parquet_page(folder):
    rows = [(f"customer-{n}", datetime.datetime(2024, 1, 5), float(n)) for n in range(5_000)]
    path = parquet(folder / "lines.parquet", rows, compression="zstd")
    for place in range(40, path.stat().st_size // 2, 7):
        damage(path, place, b"\xa5\x5a")


@builder
def parquet_named(folder):
    (folder / "lines.parquet").write_text("customer_id,ts,amount\nc1,2024-01-05,10\n")
    (folder / "none.parquet").write_bytes(b"")


@builder
def parquet_column(folder):
    parquet(folder / "lines.parquet", words=("customer_id", "ts", "money"))


@builder
def parquet_values(folder):
    day = datetime.datetime(2024, 3, 8)
    odd = [
        (None, day, 7.0),
        ("c3", None, 7.0),
        ("c3", day, None),
        ("c3", day, float("nan")),
        ("c3", day, float("inf")),
        ("c3", day, -1e300),
        ("c3", datetime.datetime(1970, 1, 1), 7.0),
        ("\u200b", day, 7.0),
    ]
    parquet(folder / "lines.parquet", [*GOOD, *odd])


@builder
def parquet_text_and_types(folder):
    """One file of types, and one of text in which other things are wrong."""
    parquet(folder / "a.parquet", GOOD[:2])
    parquet(
        folder / "b.parquet", [("c1", "2024-03-07", "-5"), ("c3", "soon", "7"), ("c3", "2024-03-08", "x")]
    )


@builder
def parquet_of_numbers(folder):
    """Ids as floats with a gap, moments as text, amounts as decimals."""
    table = pa.table(
        {
            "customer_id": pa.array([1.0, None, 2.0, float("nan")]),
            "ts": pa.array(["2024-01-05", "2024-02-06", "2024-02-06T00:00:00", "2024-03-07"]),
            "amount": pa.array([10, 7, 20, 7], pa.int32()).cast(pa.decimal128(20, 3)),
        }
    )
    pq.write_table(table, folder / "lines.parquet")


def workbook(path: Path, rows, sheet="Sheet1") -> Path:
    book = openpyxl.Workbook()
    book.active.title = sheet
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


@builder
def excel_values(folder):
    """Real dates beside dates as text, and the errors of formulas."""
    rows = [
        WORDS,
        ("c1", datetime.date(2024, 1, 5), 10),
        ("c2", "2024-02-06", "20.5"),
        ("c3", datetime.date(2024, 3, 8), "#N/A"),
        ("c3", "#VALUE!", 7),
        ("#N/A", datetime.date(2024, 3, 8), 7),
        ("c3", "31.02.2024", 7),
        ("c3", 45359, 7),
        (None, None, 7),
        ("c1", datetime.datetime(2024, 3, 7), -5),
    ]
    workbook(folder / "lines.xlsx", rows)


@builder
def excel_cut(folder):
    path = workbook(folder / "lines.xlsx", [WORDS, *GOOD])
    path.write_bytes(path.read_bytes()[:-300])


@builder
def excel_garbled(folder):
    path = workbook(folder / "lines.xlsx", [WORDS, *GOOD])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["xl/worksheets/sheet1.xml"] = parts["xl/worksheets/sheet1.xml"][:-60] + b"<c r=<<<"
    write_zip(path, parts)


def write_zip(path: Path, parts: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


@builder
def excel_outside(folder):
    """Its sheet is said to lie outside the archive."""
    path = workbook(folder / "lines.xlsx", [WORDS, *GOOD])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    links = "xl/_rels/workbook.xml.rels"
    parts[links] = parts[links].replace(b"/xl/worksheets/sheet1.xml", b"../../../../../../etc/passwd")
    write_zip(path, parts)


@builder
def excel_bomb(folder):
    """A sheet with one cell far away."""
    path = workbook(folder / "lines.xlsx", [WORDS, *GOOD])
    book = openpyxl.load_workbook(path)
    book.active["XFD1048576"] = "far"
    book.save(path)


@builder
def excel_empty(folder):
    workbook(folder / "lines.xlsx", [])


@builder
def excel_title(folder):
    workbook(folder / "lines.xlsx", [("Sales of 2024",), WORDS, *GOOD])


@builder
def excel_named(folder):
    (folder / "lines.xls").write_text("<html><table><tr><td>customer_id</td></tr></table></html>")


@builder
def excel_csv(folder):
    (folder / "lines.xlsx").write_text("customer_id,ts,amount\nc1,2024-01-05,10\n")


@builder
def long_lines(folder):
    lines = ["customer_id,ts,amount", "c1,2024-01-05,10", "x" * 3_000_000, "c2,2024-02-06,20.5"]
    (folder / "lines.csv").write_text(
        "\n".join([*lines, "c1,2024-03-07,-5", '"' + ("y" * 999 + "\n") * 1_200]) + "\n"
    )


@builder
def long_id(folder):
    (folder / "lines.csv").write_text(
        f"customer_id,ts,amount\n{'i' * 100_000},2024-01-05,10\n,2024-01-05,7\n"
    )


@builder
def hostile_names(folder):
    """Files whose names are SQL, wildcards, markup, a formula and two lines."""
    for name in HOSTILE_NAMES:
        (folder / name).write_text("customer_id,ts,amount\nc1,2024-01-05,10\n,2024-01-05,7\n")
    parquet(folder / "p'); SELECT 1; --.parquet", GOOD[1:2])


@builder
def link_nowhere(folder):
    (folder / "lines.csv").symlink_to(folder / "none.csv")


@builder
def pipe(folder):
    import os

    os.mkfifo(folder / "lines.csv")


@builder
def sqlite(folder):
    with sqlite3.connect(folder / "shop.db") as database:
        frame = pd.DataFrame(GOOD, columns=list(WORDS)).astype({"ts": "str"})
        frame.to_sql("orders", database, index=False)
        hostile = frame.rename(columns={"amount": '"; DROP TABLE orders; --'})
        hostile.to_sql("o\"; DROP TABLE orders; --'", database, index=False)
    database.close()
    (folder / "broken.db").write_bytes(b"SQLite format 3\0" + b"\xa5" * 5_000)

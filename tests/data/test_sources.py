"""Authority: one hand-written ledger in every dress must give the same raw lines, cell for cell."""

import gzip
import json
import sqlite3
from datetime import datetime

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnlab.config import CsvFormat, Database, Source
from churnlab.data import sources
from churnlab.data.readers import raw_lines
from churnlab.errors import ChurnlabError, ConfigError, DataError

HEADER = ["customer_id", "ts", "amount", "order_id"]
GREEK = [
    ["001", "2024-01-01", "12.50", "Α1"],
    ["001", "2024-01-03 10:30", "0.10", "Α2"],
    ["Ελένη", "2024-01-02T09:15:30", "1234567.25", "Β1"],
    ["Νίκος", "2024-02-01", "-3.75", ""],
]
MAPPED = {name: name for name in HEADER}
TYPED = {"numbers": ("amount",), "moments": ("ts",)}
CELLS = sorted(GREEK)


@pytest.fixture(scope="session")
def read(con):
    """Raw lines of a path as dicts, in order of their place."""

    def run(path, mapped=None, csv=None, **changes):
        source = Source(path=str(path), csv=CsvFormat(**csv or {}), **changes)
        table = sources.read(con, source, mapped or MAPPED, **TYPED)
        return table.order_by("source_file", "source_row").to_pyarrow().to_pylist()

    return run


def cells(lines):
    return sorted([[line[name] for name in HEADER] for line in lines])


@pytest.mark.parametrize(
    ("encoding", "delimiter"),
    [("utf-8", ";"), ("utf-8-sig", "\t"), ("iso-8859-7", "|"), ("cp1253", ","), ("utf-16", ";")],
)
def test_encodings_and_delimiters(tmp_path, read, write_csv, encoding, delimiter):
    path = write_csv(tmp_path / "a.csv", HEADER, GREEK, encoding=encoding, delimiter=delimiter)
    assert cells(read(path, csv={"encoding": encoding, "delimiter": delimiter})) == CELLS


def test_a_delimiter_of_two_characters(tmp_path, read):
    path = tmp_path / "long.csv"
    path.write_text("\n".join("||".join(row) for row in [HEADER, *GREEK]), encoding="utf-8")
    assert cells(read(path, csv={"delimiter": "||"})) == CELLS


def test_persian_in_its_windows_encoding(tmp_path, read, write_csv):
    rows = [["فاطمه", "2024-01-01", "1500000000", "1"]]
    path = write_csv(tmp_path / "b.csv", HEADER, rows, "cp1256")
    assert cells(read(path, csv={"encoding": "cp1256"})) == rows


def test_gzip_even_without_its_ending(tmp_path, read, write_csv):
    content = write_csv(tmp_path / "a.csv", HEADER, GREEK).read_bytes()
    for name in ("zipped.csv.gz", "zipped.csv"):
        (tmp_path / name).write_bytes(gzip.compress(content))
        assert cells(read(tmp_path / name)) == CELLS


@pytest.mark.parametrize("meant_by", ["folder", "glob"])
def test_split_files_whose_columns_stand_in_another_order(tmp_path, read, write_csv, meant_by):
    folder = tmp_path / "parts"
    folder.mkdir()
    write_csv(folder / "b.csv", HEADER, GREEK[:1])
    write_csv(folder / "a.csv", HEADER[::-1], [row[::-1] for row in GREEK[1:]])
    (folder / "_SUCCESS").touch()
    assert cells(read(folder if meant_by == "folder" else folder / "*.csv")) == CELLS


def write_in_kind(kind, folder, rows):
    """The ledger as text in a file of a kind."""
    if kind == "csv":
        (folder / "a.csv").write_text("\n".join(",".join(row) for row in [HEADER, *rows]), encoding="utf-8")
    elif kind == "jsonl":
        lines = [json.dumps(dict(zip(HEADER, row, strict=True)), ensure_ascii=False) for row in rows]
        (folder / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    elif kind == "xlsx":
        book = openpyxl.Workbook()
        for row in [HEADER, *rows]:
            book.active.append(row)
        book.save(folder / "a.xlsx")
    else:
        pd.DataFrame(rows, columns=HEADER).to_parquet(folder / "a.parquet", index=False)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "xlsx", "parquet"])
def test_one_text_in_every_kind_of_file(tmp_path, read, kind):
    write_in_kind(kind, tmp_path, GREEK)
    lines = read(tmp_path)
    nothing = None if kind == "xlsx" else ""  # a workbook has no empty text
    assert cells(lines) == [*CELLS[:-1], [*CELLS[-1][:-1], nothing]]
    assert [line["source_row"] for line in lines] == [1, 2, 3, 4]
    assert {line["source_file"] for line in lines} == {f"a.{kind}"}
    assert {line.get("typed_amount") for line in lines} == {None}


def test_kinds_may_be_mixed_in_one_folder(tmp_path, read):
    for number, kind in enumerate(["csv", "jsonl", "xlsx", "parquet"]):
        (tmp_path / kind).mkdir()
        write_in_kind(kind, tmp_path / kind, GREEK[number : number + 1])
    lines = read(tmp_path)
    assert [line["source_file"] for line in lines] == [
        "csv/a.csv",
        "jsonl/a.jsonl",
        "parquet/a.parquet",
        "xlsx/a.xlsx",
    ]
    assert [line["customer_id"] for line in lines] == ["001", "001", "Νίκος", "Ελένη"]
    assert cells(read(tmp_path, format="parquet")) == GREEK[3:]
    assert cells(read(tmp_path, format="csv")) == GREEK[:1]


def test_the_same_values_give_the_same_text_and_types_in_every_typed_source(tmp_path, con):
    values = {"id": 9007199254740993, "v": 12.5, "s": "007", "b": True, "n": None}
    mapped = {"customer_id": "id", "amount": "v", "order_id": "s", "channel": "b", "category": "n"}
    (tmp_path / "a.jsonl").write_text(json.dumps(values))
    pq.write_table(pa.table({name: [value] for name, value in values.items()}), tmp_path / "b.parquet")
    with sqlite3.connect(tmp_path / "c.sqlite") as base:
        base.execute(
            "CREATE TABLE t AS SELECT 9007199254740993 AS id, 12.5 AS v, '007' AS s, 'true' AS b, NULL AS n"
        )
    base.close()
    one = {"customer_id": "9007199254740993", "amount": "12.5", "order_id": "007", "channel": "true"}
    expected = one | {"category": None, "typed_amount": 12.5, "source_row": 1, "malformed": None}
    database = Database(url=f"sqlite:///{tmp_path}/c.sqlite", table="t")
    for source in (
        Source(path=f"{tmp_path}/a.jsonl"),
        Source(path=f"{tmp_path}/b.parquet"),
        Source(database=database),
    ):
        found = sources.read(con, source, mapped, numbers=["amount"]).to_pyarrow().to_pylist()
        assert [line | expected for line in found] == found


def test_typed_columns_stand_beside_the_text_where_a_source_has_types(tmp_path, read):
    book = openpyxl.Workbook()
    for row in (HEADER, [7, datetime(2024, 3, 1, 10), 2, None], ["7", "2024-03-01", "2", 1]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    first, second = read(tmp_path / "a.xlsx")
    assert (first["customer_id"], first["ts"], first["amount"]) == ("7", "2024-03-01T10:00:00", "2")
    assert (first["typed_ts"], first["typed_amount"]) == ("2024-03-01T10:00:00", 2.0)
    assert (second["typed_ts"], second["typed_amount"]) == (None, None)


def test_text_files_have_no_typed_columns(tmp_path, read):
    write_in_kind("csv", tmp_path, GREEK)
    assert list(read(tmp_path)[0]) == ["source_file", "source_row", "malformed", *HEADER]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_malformed_row_keeps_its_text_and_its_place(tmp_path, read, name):
    good = {"a.csv": "1,2,3,4", "a.jsonl": '{"customer_id": "1", "ts": "2", "amount": "3", "order_id": "4"}'}[
        name
    ]
    head = [",".join(HEADER)] if name == "a.csv" else []
    (tmp_path / name).write_text("\n".join([*head, good, "broken", good]))
    lines = read(tmp_path)
    assert [line["malformed"] for line in lines] == [None, "broken", None]
    assert [line["customer_id"] for line in lines] == ["1", None, "1"]
    assert [line["source_row"] for line in lines] == [1, 2, 3]


def test_a_row_may_be_malformed_where_one_column_is_mapped(tmp_path, read):
    (tmp_path / "a.csv").write_text("customer_id,x\n1,2\n1\n")
    found = read(tmp_path, {"customer_id": "customer_id"})
    assert [(line["customer_id"], line["malformed"]) for line in found] == [("1", None), (None, "1")]


def test_rows_are_numbered_from_1_in_each_file(tmp_path, read, write_csv):
    for name in ("a.csv", "b.csv"):
        write_csv(tmp_path / name, HEADER, GREEK[:2])
    found = read(tmp_path / "*.csv")
    assert [(line["source_file"], line["source_row"]) for line in found] == [
        ("a.csv", 1),
        ("a.csv", 2),
        ("b.csv", 1),
        ("b.csv", 2),
    ]


def test_more_rows_than_one_chunk_keep_their_numbers(tmp_path, con, write_csv):
    n = raw_lines.ROWS_PER_CHUNK + 2
    path = write_csv(tmp_path / "long.csv", HEADER, [["c", "2024-01-01", i, i] for i in range(1, n + 1)])
    raw = sources.read(con, Source(path=str(path)), MAPPED)
    assert raw.filter(raw.source_row.cast("string") != raw.amount).count().execute() == 0
    assert raw.source_row.max().execute() == n


def test_nothing_at_the_path(tmp_path, con):
    for path in ("no.csv", "*.csv", ""):
        with pytest.raises(DataError, match=r"^data\.path: nothing to read at [^\n]*$"):
            sources.read(con, Source(path=f"{tmp_path}/{path}"), MAPPED)


def test_a_missing_column_is_named_beside_those_there_are(tmp_path, read, write_csv):
    path = write_csv(tmp_path / "a.csv", HEADER, GREEK)
    pq.write_table(
        pa.table({"customer_id": ["1"], "ts": ["2024-01-01"], "amount": [1.0]}), tmp_path / "a.parquet"
    )
    with pytest.raises(
        DataError, match=r"^a\.csv: column 'price' is not there: [^\n]*customer_id, ts, amount, order_id$"
    ):
        read(path, MAPPED | {"amount": "price"})
    with pytest.raises(
        DataError, match=r"^a\.parquet: column 'order_id' is not there: [^\n]*customer_id, ts, amount$"
    ):
        read(tmp_path / "a.parquet")


def test_messages_name_the_section(tmp_path, con, write_csv):
    path = write_csv(tmp_path / "a.csv", HEADER, GREEK)
    for source, mapped, message in (
        (Source(path=str(path)), {"score": "x"}, r"^a\.csv: [^\n]*data\.interactions\.columns\.score"),
        (Source(path="nowhere"), MAPPED, r"^data\.interactions\.path: "),
    ):
        with pytest.raises(DataError, match=message):
            sources.read(con, source, mapped, section="data.interactions")
    with pytest.raises(ConfigError, match=r"^data\.interactions\.csv\.encoding: "):
        wrong = Source(path=str(path), csv=CsvFormat(encoding="klingon"))
        sources.read(con, wrong, MAPPED, section="data.interactions")


def test_a_column_that_is_there_twice_is_refused(tmp_path, read, write_csv):
    path = write_csv(
        tmp_path / "a.csv", ["customer_id", "ts", "amount", "amount"], [["1", "2024-01-01", "1", "2"]]
    )
    with pytest.raises(DataError, match="'amount' is there twice"):
        read(path, {"amount": "amount"})


def test_many_and_strange_column_names_stay_one_line(tmp_path, read):
    (tmp_path / "a.csv").write_text('"a\nb",' + ",".join(f"c{n}" for n in range(99)) + "\n")
    with pytest.raises(DataError, match=r"it has: a b, c0, [^\n]*, c38, …$"):
        read(tmp_path / "a.csv")


def test_an_error_leaves_no_file_behind(tmp_path, read, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_bytes(b"customer_id\n" + b"1\n" * 5_000 + b"\xff\n")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(DataError, match="bytes that are not utf-8"):
        read(tmp_path / "in", {"customer_id": "customer_id"})
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.csv"]


@given(st.binary(max_size=120), st.sampled_from(["a.csv", "a.jsonl", "a.parquet", "a.xlsx", "a.ods"]))
def test_any_bytes_in_any_kind_of_file_are_read_or_refused_in_one_line(tmp_path_factory, con, content, name):
    path = tmp_path_factory.mktemp("fuzz") / name
    path.write_bytes(content)
    try:
        sources.read(con, Source(path=str(path)), {"customer_id": "a"}).to_pyarrow()
    except ChurnlabError as error:
        assert "\n" not in str(error)

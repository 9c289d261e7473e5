"""Whatever a source holds, a run reads it or ends in one line. Authority: the law that no row is lost."""

import datetime
import io
import math

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from churnlab.config import Contacts, Customers, Interactions
from churnlab.data import cleaning, side_tables, sources
from churnlab.data.contract import LATEST, NUMBER_LIMIT, NUMBERS, REASONS, transactions
from churnlab.data.ingestion import mapped_words
from churnlab.data.readers.parquet_files import scanned
from churnlab.errors import ChurnlabError

DAY = datetime.datetime(2024, 1, 5)
ROWS = [(f"c{n}", DAY + datetime.timedelta(days=n), n + 0.5) for n in range(40)]
WORDS = ("customer_id", "ts", "amount")


def csv_bytes() -> bytes:
    return "".join(f"{a},{b},{c}\n" for a, b, c in [WORDS, *ROWS]).encode()


def jsonl_bytes() -> bytes:
    return "".join(f'{{"customer_id": "{a}", "ts": "{b}", "amount": {c}}}\n' for a, b, c in ROWS).encode()


def xlsx_bytes() -> bytes:
    book, held = openpyxl.Workbook(), io.BytesIO()
    for row in [WORDS, *ROWS]:
        book.active.append(row)
    book.save(held)
    return held.getvalue()


def parquet_bytes() -> bytes:
    held = io.BytesIO()
    columns = dict(zip(WORDS, map(list, zip(*ROWS, strict=True)), strict=True))
    pq.write_table(pa.table(columns), held, compression="zstd")
    return held.getvalue()


FILES = {"csv": csv_bytes(), "jsonl": jsonl_bytes(), "xlsx": xlsx_bytes(), "parquet": parquet_bytes()}
EDITS = st.lists(
    st.tuples(
        st.floats(0, 1),  # where
        st.none() | st.integers(0, 30),  # how many bytes are cut out; None: as many as are put in
        st.binary(max_size=6) | st.sampled_from([b'"', b"\r", b"\n", b"\0", b",", b"\xff", b"{", b"}"]),
    ),
    min_size=1,
    max_size=6,
)


def edited(content: bytes, edits: list[tuple[float, int | None, bytes]]) -> bytes:
    for share, cut, put in edits:
        at = int(share * len(content))
        content = content[:at] + put + content[at + (len(put) if cut is None else cut) :]
    return content


@pytest.mark.parametrize("kind", FILES)
@given(edits=EDITS)
@examples(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_read_row_by_row_or_is_one_line(con, settings, tmp_path, kind, edits):
    path = tmp_path / f"lines.{kind}"
    path.write_bytes(edited(FILES[kind], edits))
    data = settings(path)
    try:
        with scanned("data"):
            raw = sources.read(con, data, mapped_words(data), numbers=NUMBERS, moments=("ts",)).to_pyarrow()
    except ChurnlabError as error:
        assert str(error) and "\n" not in str(error)
        return
    assert sorted(raw["source_row"].to_pylist()) == list(range(1, len(raw) + 1))


@pytest.mark.parametrize("name", ["lines.csv", "lines.jsonl", "lines.csv.gz", "lines.xlsx", "lines.parquet"])
@given(content=st.binary(max_size=200))
@examples(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_one_line(con, settings, tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ChurnlabError) as caught:
        sources.read(con, settings(path), {"customer_id": "customer_id"}).to_pyarrow()
    assert "\n" not in str(caught.value)


CHARACTERS = st.characters(codec="utf-8")
NEARLY = st.text(st.sampled_from("0123456789٠۵۹.,٫٬-−+()eE%/:TZ €$US\u00a0\u202f'’_\u200e"), max_size=14)
MOMENTS = st.datetimes().map(str) | st.text(st.sampled_from("0123456789-/:T +Z."), max_size=26)
CELL = st.none() | st.text(CHARACTERS, max_size=12) | NEARLY | MOMENTS | st.just("2024-01-05")
ANY_DATA = st.fixed_dictionaries(
    {
        "customer_ids": st.sampled_from(["exact", "text", "integer"]),
        "calendar": st.sampled_from(["gregorian", "jalali"]),
        "source_timezone": st.sampled_from([None, "Asia/Tehran"]),
        "currency": st.sampled_from([None, "EUR"]),
        "as_of": st.sampled_from([None, datetime.date(2024, 1, 5)]),
        "exact_duplicates": st.sampled_from(["keep", "quarantine"]),
        "overlapping_rows": st.sampled_from(["keep", "quarantine"]),
        "order_conflicts": st.sampled_from(["keep", "newest_file", "quarantine"]),
        "return_order_prefix": st.sampled_from([None, "("]),
    }
)
ANY_CSV = st.fixed_dictionaries(
    {
        "decimal": st.sampled_from([".", ","]),
        "date_format": st.sampled_from([None, "%d/%m/%Y", ("%Y-%m-%d", "%m/%d/%Y")]),
    }
)


def raw_lines(con, words, rows):
    """Raw lines as sources.read gives them, some of no record."""
    schema = pa.schema([(word, pa.string()) for word in words])
    raw = pa.Table.from_pylist([dict(zip(words, row, strict=True)) for row in rows], schema=schema)
    places = pa.array(range(1, len(rows) + 1), pa.int64())
    raw = raw.append_column("malformed", pa.array([None] * len(rows), pa.string()))
    raw = raw.append_column("source_file", pa.array([f"{n % 2}.csv" for n in range(len(rows))]))
    return con.create_table(
        f"fuzz_{id(raw)}", raw.append_column("source_row", places), temp=True, overwrite=True
    )


def lines_of(words):
    good = st.fixed_dictionaries({word: st.just("2024-01-05") | CELL for word in words})
    return st.lists(good.map(lambda row: tuple(row.values())), min_size=1, max_size=40)


TRANSACTIONS = tuple(transactions().columns)


@given(rows=lines_of(TRANSACTIONS), changes=ANY_DATA, csv=ANY_CSV)
@examples(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_cells_are_accepted_or_refused(con, settings, rows, changes, csv):
    data = settings("x.csv", csv=csv, **changes)
    try:
        found = cleaning.clean(con, raw_lines(con, TRANSACTIONS, rows), data)
    except ChurnlabError as error:
        assert "\n" not in str(error)  # several currencies, or a pattern of another calendar
        return
    orders, quarantine = found.orders.to_pyarrow(), found.quarantine.to_pyarrow().to_pylist()
    assert found.summary["rows_read"] == len(rows)
    assert sum(orders["n_lines"].to_pylist()) + len(quarantine) == len(rows)
    assert {row["reason"] for row in quarantine} <= set(REASONS)
    for name in ("amount", "gross", "returned", "items", "discount"):
        assert all(math.isfinite(n) and abs(n) <= len(rows) * NUMBER_LIMIT for n in orders[name].to_pylist())
    assert all(data.earliest_date <= ts.date() and ts < LATEST for ts in orders["ts"].to_pylist())


SIDES = {
    "customers": Customers(
        path="x.csv",
        columns={
            **{w: w for w in ("signup", "known_from", "is_business", "referrer", "language")},
            "consent": {"email": "email"},
        },
    ),
    "interactions": Interactions(
        path="x.csv",
        columns={
            w: w
            for w in (
                "score",
                "channel",
                "topic",
                "responded",
                "resolved",
                "response_hours",
                "resolution_hours",
            )
        },
    ),
    "contacts": Contacts(path="x.csv", columns={w: w for w in ("action", "channel", "group")}),
}
CHOICES = st.sampled_from(
    ["nps", "csat", "ticket", "complaint", "treated", "control", "yes", "no", "9", "1e300"]
)


@pytest.mark.parametrize("name", SIDES)
@given(draws=st.data(), changes=ANY_DATA)
@examples(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_cells_of_an_optional_table_are_accepted_or_refused(con, settings, name, draws, changes):
    data = settings("x.csv", **changes, **{name: SIDES[name]})
    words = tuple(side_tables.mapped(name, data))
    cells = st.fixed_dictionaries({word: CHOICES | st.just("2024-01-05") | CELL for word in words})
    rows = draws.draw(st.lists(cells.map(lambda row: tuple(row.values())), min_size=1, max_size=40))
    try:
        found = side_tables.clean_side(con, raw_lines(con, words, rows), name, data)
    except ChurnlabError as error:
        assert "\n" not in str(error)
        return
    table, quarantine = found.table.to_pyarrow(), found.quarantine.to_pyarrow()
    assert len(table) + len(quarantine) == found.summary["rows_read"] == len(rows)
    assert set(quarantine["reason"].to_pylist()) <= set(REASONS)
    for column in table.columns:
        if pa.types.is_floating(column.type):
            assert all(math.isfinite(n) for n in column.drop_null().to_pylist())
        if pa.types.is_timestamp(column.type):
            assert all(ts < LATEST for ts in column.drop_null().to_pylist())

"""Customers out of Parquet. Authority: the table without their rows, written as the stages write it."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnlab.engine import write_parquet
from churnlab.operations.erasure import erased_tables
from churnlab.operations.erasure.traces import Hits, Wanted

ANN, BOB = "ann@example.org", "bob@example.org"


def wanted(*ids):
    return Wanted(frozenset(ids))


def rows_of(path):
    return pq.read_table(path).to_pylist()


def written(tmp_path, **columns):
    path = tmp_path / "table.parquet"
    write_parquet(pa.table(columns), path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


CELLS = st.sampled_from(["ann", "Ann", "ann ", "bob", "مریم", "", None])
ROW = st.fixed_dictionaries(
    {
        "customer_id": CELLS,
        "referrer": CELLS,
        "amount": st.one_of(st.none(), st.floats(allow_nan=False)),
        "day": st.one_of(st.none(), st.dates()),
        "reasons": st.lists(st.sampled_from(["bought often", "پرداخت"]), max_size=3),
        "note": st.text(st.characters(codec="utf-8"), max_size=5),
    }
)
SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("referrer", pa.large_string()),
        ("amount", pa.float64()),
        ("day", pa.date32()),
        ("reasons", pa.list_(pa.string())),
        ("note", pa.string()),
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ROW, max_size=12), st.sets(st.sampled_from(["ann", "مریم", "nobody"]), min_size=1))
def test_the_bytes_are_those_of_the_table_without_them(folder, rows, gone):
    kept = [
        row | {"referrer": None if row["referrer"] in gone else row["referrer"]}
        for row in rows
        if row["customer_id"] not in gone
    ]
    found, expected = folder / "found.parquet", folder / "expected.parquet"
    write_parquet(pa.Table.from_pylist(rows, SCHEMA), found)
    write_parquet(pa.Table.from_pylist(kept, SCHEMA), expected)
    n_cells = sum(row["referrer"] in gone for row in rows if row["customer_id"] not in gone)
    assert erased_tables.search(found, wanted(*gone)) == Hits(rows=len(rows) - len(kept), cells=n_cells)
    erased_tables.erase(found, wanted(*gone))
    assert found.read_bytes() == expected.read_bytes()
    assert erased_tables.search(found, wanted(*gone)) == Hits()


def test_many_rows_are_grouped_as_the_stages_group_them(folder):
    """Over two row groups of 1,048,576 rows; every third row goes."""
    n = 3 * 1_100_000
    names = pa.array(["gone", "b", "c"]).take(pa.array([i % 3 for i in range(n)]))
    table = pa.table({"customer_id": names, "n": pa.array(range(n))})
    kept = table.filter(pa.compute.not_equal(table["customer_id"], "gone"))
    found, expected = folder / "large.parquet", folder / "large_expected.parquet"
    write_parquet(table, found)
    write_parquet(kept, expected)
    erased_tables.erase(found, wanted("gone"))
    assert found.read_bytes() == expected.read_bytes()


def test_a_dictionary_keeps_no_value_of_a_removed_row(tmp_path):
    path = written(
        tmp_path,
        customer_id=pa.array([ANN, BOB]).dictionary_encode(),
        channel=pa.array([f"called {ANN}", "web"]).dictionary_encode(),
    )
    erased_tables.erase(path, wanted(ANN))
    assert rows_of(path) == [{"customer_id": BOB, "channel": "web"}]
    assert ANN.encode() not in b"".join(
        page.as_py().encode() for column in pq.read_table(path).columns for page in column.unique()
    )
    metadata = pq.ParquetFile(path).metadata.row_group(0).column(1).statistics
    assert (metadata.min, metadata.max) == ("web", "web")


def raw(**cells):
    return json.dumps(cells, ensure_ascii=False)


@pytest.mark.parametrize(
    ("line", "is_theirs"),
    [
        (raw(customer_id=ANN, ts="x"), True),
        (raw(customer_id=BOB, referrer=ANN), True),
        (raw(customer_id=BOB, channel=f"mail to {ANN}."), True),
        (raw(customer_id=f"jo{ANN}"), False),
        (raw(customer_id=f"{ANN}.au"), False),
        (raw(customer_id=BOB), False),
        (raw(row=f"2024-01-01;{ANN};5;5"), True),
        (f"2024-01-01;{ANN};5;5", True),
        (raw(row=f"2024-01-01;{BOB};5;5"), False),
    ],
)
def test_what_a_refused_line_says_is_withheld_if_it_is_about_them(tmp_path, line, is_theirs):
    columns = {"source_row": [1, 2], "reason": ["date_unreadable"] * 2, "raw": [line, raw(customer_id="x")]}
    path = written(tmp_path, **columns)
    assert erased_tables.search(path, wanted(ANN)) == Hits(cells=int(is_theirs))
    erased_tables.erase(path, wanted(ANN))
    first = '{"erased": true}' if is_theirs else line
    assert pq.read_table(path).to_pydict() == columns | {"raw": [first, columns["raw"][1]]}
    assert erased_tables.search(path, wanted(ANN)) == Hits()


@pytest.mark.parametrize(
    ("line", "is_theirs"),
    [
        (raw(customer_id="12", quantity="3"), True),
        (raw(customer_id="3", quantity="12"), False),
        (raw(customer_id="012", ts="2024-12-12"), False),
        (raw(row="7,12,2024"), True),
        (raw(row="7,123,2024"), False),
        (raw(customer_id='12"', quantity="1"), False),
    ],
)
def test_a_number_as_id_is_told_from_other_numbers(tmp_path, line, is_theirs):
    path = written(tmp_path, raw=[line])
    assert erased_tables.search(path, wanted("12")) == Hits(cells=int(is_theirs))


@pytest.mark.parametrize(
    "name", ['say "hi"', "back\\slash", "tab\there", "Ελένη", "a.b+c|d(e)*", "new\nline"]
)
def test_an_id_that_json_escapes_is_found_in_a_refused_line(tmp_path, name):
    import duckdb

    column = duckdb.execute("SELECT to_json({customer_id: $1, ts: 'x'})::VARCHAR", [name]).fetchall()[0]
    path = written(tmp_path, raw=list(column))
    assert erased_tables.search(path, wanted(name)) == Hits(cells=1)


def test_raw_lines_as_they_landed(tmp_path):
    """All rows keep their place, for the ledger of the landing counts them; theirs say nothing more."""
    path = written(
        tmp_path,
        source_row=[1, 2, 3, 4],
        malformed=[None, f"{ANN};1", f"{BOB};1", None],
        customer_id=[ANN, None, None, BOB],
    )
    erased_tables.erase(path, wanted(ANN))
    assert rows_of(path) == [
        {"source_row": 1, "malformed": "erased", "customer_id": None},
        {"source_row": 2, "malformed": "erased", "customer_id": None},
        {"source_row": 3, "malformed": f"{BOB};1", "customer_id": None},
        {"source_row": 4, "malformed": None, "customer_id": BOB},
    ]


def test_what_others_wrote_about_them_is_withheld(tmp_path):
    path = written(tmp_path, customer_id=[BOB, BOB], topic=[f"call {ANN}, please", "late"])
    assert erased_tables.search(path, wanted(ANN)) == Hits(cells=1)
    erased_tables.erase(path, wanted(ANN))
    assert [row["topic"] for row in rows_of(path)] == ["erased", "late"]


def test_any_other_column_is_searched_too(tmp_path):
    """Lists and structs included; an order id that churnlab made of the customer's is recognised."""
    made = pa.array([{"by": [f"for {ANN}"]}, {"by": []}])
    path = written(tmp_path, customer_id=[BOB, BOB], order_id=[f"{ANN}@2024-01-05T10:00:00", "x"], made=made)
    assert erased_tables.search(path, wanted(ANN)) == Hits(elsewhere=2)


def test_ids_that_are_numbers_are_compared_as_text(tmp_path):
    path = written(tmp_path, customer_id=pa.array([7, 70, None]))
    erased_tables.erase(path, wanted("7"))
    assert rows_of(path) == [{"customer_id": 70}, {"customer_id": None}]


def test_thousands_of_customers_at_a_time(tmp_path):
    names = [f"customer-{i}@example.org" for i in range(3_000)]
    lines = [raw(row=name) for name in names]
    path = written(tmp_path, customer_id=names, raw=lines)
    gone = names[:2_500]
    erased_tables.erase(path, wanted(*gone))
    assert [row["customer_id"] for row in rows_of(path)] == names[2_500:]

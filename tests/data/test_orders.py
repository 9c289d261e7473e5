"""Authority: the ledger's orders worked out by hand, and sums by decimal arithmetic."""

import hashlib
import random
import struct
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnlab.data.contract import ORDER_KEYS
from churnlab.data.orders import data_version, order_table

COLUMNS = [
    "customer_id",
    "order_id",
    "ts",
    "amount",
    "gross",
    "returned",
    "is_purchase",
    "n_lines",
    "items",
    "discount",
    "n_products",
    "new_products",
    "n_categories",
    "new_categories",
    "channel",
]

# fmt: off
BY_HAND = [
    ("00001", "A1", datetime(2024, 1, 5, 10), 30.10, 30.10, 0.0, True, 2, 3.0, 1.5, 2, 2, 1, 1, "web"),
    # the same day: p1 was not bought on an earlier day
    ("00001", "A2", datetime(2024, 1, 5, 18, 30), 9.90, 9.90, 0.0, True, 1, 1.0, 0.0, 1, 1, 1, 1, "street"),
    # a return and nothing else: no purchase
    ("00001", "A3", datetime(2024, 1, 20, 9), -10.0, 0.0, 10.0, False, 1, 0.0, 0.0, 0, 0, 0, 0, "web"),
    # a free book is a sale; the tea beside it, minus one piece, is a return
    ("00001", "A4", datetime(2024, 2, 1, 12), -9.90, 0.0, 9.90, True, 2, 1.0, 0.0, 1, 1, 1, 1, "web"),
    # one order id over two days is two orders, and 0001 is not 00001
    ("0001", "B1", datetime(2024, 1, 6, 23, 59, 59), 5.0, 5.0, 0.0, True, 1, 1.0, 0.0, 1, 1, 1, 1, None),
    ("0001", "B1", datetime(2024, 1, 7, 0, 0, 1), 6.0, 6.0, 0.0, True, 1, 1.0, 0.0, 1, 1, 1, 0, "web"),
    ("Ελένη", "C9", datetime(2024, 3, 2, 8), 7.25, 7.25, 0.0, True, 1, 1.0, 0.0, 0, 0, 0, 0, "web"),
    ("Ελένη", "R9", datetime(2024, 3, 2, 8), -2.0, 0.0, 2.0, False, 1, 0.0, 0.0, 0, 0, 0, 0, "web"),
    ("مریم", "مریم@2024-03-01T00:00:00", datetime(2024, 3, 1),
     1.5e9, 1.5e9, 0.0, True, 1, 3.0, 0.0, 1, 1, 1, 1, "تلفن"),
]
# fmt: on


@pytest.fixture
def gather(con):
    """Sorted orders of lines given as dicts; a line is a sale of 1.0 on 2024-01-01 unless it says more."""

    def run(*lines):
        usual = {"customer_id": "c", "ts": datetime(2024, 1, 1), "amount": 1.0, "is_return": False}
        table = pa.Table.from_pylist([usual | line for line in lines])
        lines = con.create_table(f"lines_{id(table)}", table, temp=True, overwrite=True)
        return order_table(lines).order_by(*ORDER_KEYS).to_pyarrow()

    return run


def test_the_orders_of_the_ledger(ledger_csv, ledger_columns, cleaned):
    orders = cleaned(ledger_csv, ledger_columns, return_order_prefix="R").orders.to_pyarrow()
    found = orders.select(COLUMNS).to_pylist()
    assert [tuple(row.values()) for row in found] == BY_HAND
    assert orders["day"].to_pylist() == [row[2].date() for row in BY_HAND]


def test_the_types_of_orders(ledger_csv, ledger_columns, cleaned):
    schema = cleaned(ledger_csv, ledger_columns).orders.to_pyarrow().schema
    assert {name: str(schema.field(name).type) for name in schema.names} == {
        "customer_id": "string",
        "order_id": "string",
        "ts": "timestamp[us]",
        "day": "date32[day]",
        "amount": "double",
        "gross": "double",
        "returned": "double",
        "is_purchase": "bool",
        "n_lines": "int64",
        "items": "double",
        "discount": "double",
        "n_products": "int64",
        "new_products": "int64",
        "n_categories": "int64",
        "new_categories": "int64",
        "channel": "string",
    }


def test_columns_that_the_source_lacks_are_absent(gather):
    assert gather({}).schema.names == [
        "customer_id",
        "order_id",
        "ts",
        "day",
        "amount",
        "gross",
        "returned",
        "is_purchase",
        "n_lines",
    ]


def test_without_order_ids_lines_of_one_moment_are_one_order(gather):
    noon = datetime(2024, 1, 1, 12, 0, 0, 5)
    orders = gather({}, {}, {"ts": noon}, {"customer_id": "d", "ts": noon})
    assert orders["n_lines"].to_pylist() == [2, 1, 1]
    assert orders["order_id"].to_pylist() == [
        "c@2024-01-01T00:00:00",
        "c@2024-01-01T12:00:00.000005",
        "d@2024-01-01T12:00:00.000005",
    ]


def test_one_order_id_of_two_customers_is_two_orders(gather):
    orders = gather({"order_id": "A"}, {"order_id": "A", "customer_id": "d"})
    assert orders["customer_id"].to_pylist() == ["c", "d"]


def test_the_channel_is_that_of_the_first_line(gather):
    later = datetime(2024, 1, 1, 1)
    orders = gather(
        {"order_id": "A", "ts": later, "channel": "app"},
        {"order_id": "A", "channel": "web"},
        {"order_id": "A", "channel": "shop"},
        {"order_id": "A", "channel": None},
        {"order_id": "B", "channel": None},
    )
    assert orders["channel"].to_pylist() == ["shop", None]


def test_a_product_returned_before_is_new_when_bought(gather):
    first, second, third = (datetime(2024, 1, day) for day in (1, 2, 3))
    orders = gather(
        {"ts": first, "product_id": "p", "is_return": True, "amount": -1.0},
        {"ts": second, "product_id": "p"},
        {"ts": third, "product_id": "p"},
        {"ts": third, "product_id": "p", "customer_id": "d"},
    )
    assert orders["new_products"].to_pylist() == [0, 1, 0, 1]


@pytest.mark.parametrize("unit", [1, 1_000_000])
def test_sums_are_the_floats_nearest_to_the_exact_sums(gather, unit):
    """Authority: decimal.Decimal; binary sums of such cents err in the last digit."""
    draw = random.Random(20)
    cents = [draw.randrange(-9_999, 99_999_999) for _ in range(2_000)]
    amounts = [Decimal(cent) * unit / 100 for cent in cents]
    lines = [{"amount": float(amount), "is_return": amount < 0} for amount in amounts]
    order = gather(*lines).to_pylist()[0]
    assert order["gross"] == float(sum(amount for amount in amounts if amount >= 0))
    assert order["returned"] == float(-sum(amount for amount in amounts if amount < 0))
    assert order["amount"] == float(sum(amounts))


def test_the_data_version_knows_content_and_nothing_else(gather):
    days = [datetime(2024, 1, 1) + timedelta(days=n) for n in range(50)]
    lines = [{"ts": day, "channel": None if day.day == 7 else "web"} for day in days]
    orders = gather(*lines)
    version = data_version(orders)
    assert data_version(gather(*reversed(lines))) == version
    rebatched = pa.Table.from_batches(orders.to_batches(max_chunksize=7))
    assert data_version(rebatched) == version
    for other in (
        {"amount": 1.0000001},
        {"channel": "app"},
        {"channel": ""},
        {"ts": datetime(2024, 1, 1, 0, 1)},
    ):
        assert data_version(gather(lines[0] | other, *lines[1:])) != version
    assert data_version(gather(*lines[1:])) != version


@given(cuts=st.lists(st.integers(0, 60)), offset=st.integers(0, 5))
def test_the_data_version_does_not_depend_on_batches(cuts, offset):
    """Authority: the version of the table in one piece."""
    texts = [None if n % 7 == 3 else "é" * (n % 4) for n in range(60)]
    columns = {
        "text": pa.array(texts, pa.string()),
        "large": pa.array(texts, pa.large_string()),
        "day": pa.array([None if n % 5 == 1 else n for n in range(60)], pa.date32()),
        "flag": pa.array([None if n % 5 == 2 else n % 2 == 0 for n in range(60)], pa.bool_()),
        "n": pa.array(range(60), pa.int64()),
    }
    table = pa.table(columns).slice(offset)
    edges = [0, *sorted(min(cut, len(table)) for cut in cuts), len(table)]
    batches = [
        batch
        for at, end in pairwise(edges)
        for batch in table.slice(at, end - at).combine_chunks().to_batches()
    ]
    reader = pa.RecordBatchReader.from_batches(table.schema, iter(batches))
    whole = pa.Table.from_pylist(table.to_pylist(), table.schema)
    assert data_version(reader) == data_version(whole)


def test_the_data_version_is_the_digest_of_each_column():
    """Authority: the digests written out by hand."""
    table = pa.table({"b": pa.array([1.5, 2.0]), "a": pa.array(["ab", None], pa.string())})
    parts = {
        "a known": b"\1\0",
        "a lengths": (2).to_bytes(8, "little") + bytes(8),
        "a texts": b"ab",
        "b known": b"\1\1",
        "b values": struct.pack("<2d", 1.5, 2.0),
    }
    told = "\n".join(f"{name} {hashlib.sha256(content).hexdigest()}" for name, content in parts.items())
    assert data_version(table) == hashlib.sha256(told.encode()).hexdigest()

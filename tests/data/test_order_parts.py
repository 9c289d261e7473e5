"""Authority: orders gathered and sorted all at once."""

from datetime import datetime, timedelta

import ibis
import pandas as pd
import pytest

from churnlab.config import Engine
from churnlab.data import order_parts
from churnlab.data.contract import ORDER_KEYS
from churnlab.data.order_parts import sorted_orders
from churnlab.data.orders import data_version, order_table
from churnlab.engine import connect

START = datetime(2024, 1, 1)
CUSTOMERS = ["", "a", "B", "é", "مشتری", "z\U0001f600", *(f"c{n:04d}" for n in range(2000))]


@pytest.fixture(scope="module")
def con():
    return connect(Engine(threads=2, memory_limit="1GB"))


@pytest.fixture(scope="module")
def lines(con):
    """Six lines of every customer, in two orders."""
    rows = [
        (name, f"o{k % 2}", START + timedelta(hours=7 * k), float(k + 1), f"p{k % 4}", False)
        for k in range(6)
        for name in CUSTOMERS
    ]
    names = ["customer_id", "order_id", "ts", "amount", "product_id", "is_return"]
    return con.create_table("lines", ibis.memtable(pd.DataFrame(rows, columns=names)))


@pytest.mark.parametrize("lines_per_part", [2000, 5000, 10**9])
def test_parts_do_not_matter(con, lines, lines_per_part, monkeypatch):
    monkeypatch.setattr(order_parts, "LINES_PER_PART", lines_per_part)
    monkeypatch.setattr(order_parts, "SAMPLED", 5)
    whole = order_table(lines).order_by(*ORDER_KEYS).to_pyarrow()
    made = []
    insert = con.insert
    monkeypatch.setattr(con, "insert", lambda *told: made.append(told) or insert(*told))
    n_lines = lines.count().to_pyarrow().as_py()
    found = sorted_orders(con, lines, ORDER_KEYS, n_lines).to_pyarrow()
    assert found.equals(whole)
    assert data_version(found) == data_version(whole)
    assert bool(made) == (lines_per_part < 10**9)


def test_nobody_gives_an_empty_table(con, lines):
    nobody = lines.filter(ibis.literal(False))
    assert sorted_orders(con, nobody, ORDER_KEYS, 0).count().to_pyarrow().as_py() == 0

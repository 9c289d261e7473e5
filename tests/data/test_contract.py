"""Authority: an order that contradicts the definitions of the table must be caught."""

from datetime import date, datetime

import pandera.errors
import pyarrow as pa
import pytest

from churnlab.data.contract import ORDERS, REASONS, check

ORDER = {
    "customer_id": "c",
    "order_id": "A",
    "ts": datetime(2024, 1, 1),
    "day": date(2024, 1, 1),
    "amount": -1.0,
    "gross": 0.0,
    "returned": 1.0,
    "is_purchase": False,
    "n_lines": 1,
}


@pytest.fixture
def hold(con):
    def run(**changes):
        rows = pa.Table.from_pylist([ORDER | changes])
        check(con.create_table("held", rows, temp=True, overwrite=True), ORDERS)

    return run


def test_an_order_of_returns_only_is_fine(hold):
    hold()
    hold(items=0.0, channel="web")


@pytest.mark.parametrize(
    "wrong",
    [
        {"gross": -1.0},
        {"returned": -1.0},
        {"n_lines": 0},
        {"n_lines": 1.0},
        {"ts": "2024-01-01"},
        {"shop": "x"},
    ],
)
def test_what_contradicts_the_table_is_caught(hold, wrong):
    with pytest.raises(pandera.errors.SchemaError):
        hold(**wrong)


def test_every_reason_says_in_one_line_how_to_mend_it():
    assert all(remedy and "\n" not in remedy for remedy in REASONS.values())

"""Authority: decimal arithmetic, by the engine in 38 digits and by Python."""

from decimal import Decimal

import ibis
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from churnlab.data.exact_sums import DECIMAL, total

CENTS = st.integers(0, 10**9).map(lambda cents: cents / 100)
FINE = st.integers(0, 10**12).map(lambda parts: parts / 10**6)  # more decimals than are counted
HUGE = st.integers(10**9, 10**15 - 1).map(float)
AT_THE_EDGE = st.sampled_from([1e11, 1e11 + 0.5, 99999999999.9999, 1e15 - 0.125, 0.00005, 4.9e-13, 5e-324])
PRODUCTS = st.tuples(st.integers(1, 99), CENTS).map(lambda pair: pair[0] * pair[1])  # 3 · 19.99
ANY = st.floats(0, 1e15, exclude_max=True)
AMOUNTS = st.lists(st.tuples(st.one_of(CENTS, FINE, HUGE, AT_THE_EDGE, PRODUCTS, ANY), st.booleans()))


def by_decimals(lines, of):
    """The sum by the engine's decimals alone."""
    return lines["amount"].cast("string").cast(DECIMAL).sum(where=of).fill_null(0)


@given(amounts=AMOUNTS)
@examples(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_counted_sums_are_those_of_decimals_bit_for_bit(con, amounts):
    columns = {"amount": [amount for amount, _ in amounts], "sale": [sale for _, sale in amounts]}
    lines = ibis.memtable(pa.table(columns, pa.schema([("amount", pa.float64()), ("sale", pa.bool_())])))
    sold, returned = total(lines["amount"], lines["sale"]), total(lines["amount"], ~lines["sale"])
    gains, losses = by_decimals(lines, lines["sale"]), by_decimals(lines, ~lines["sale"])
    found = lines.aggregate(gross=sold.as_float(), net=(sold - returned).as_float())
    expected = lines.aggregate(gross=as_float(gains), net=as_float(gains - losses))
    told, right = (con.to_pyarrow(table).to_pylist()[0] for table in (found, expected))
    assert {name: value.hex() for name, value in told.items()} == {
        name: value.hex() for name, value in right.items()
    }


def as_float(number):
    return number.cast("string").cast("float64")


@pytest.mark.parametrize("amount", [0.1, 99999999999.9999, 1e14 / 3, 0.00005])
def test_many_equal_amounts_add_up_to_their_decimal(con, amount):
    n = 200_003
    lines = ibis.memtable(pa.table({"amount": [amount] * n}))
    found = con.to_pyarrow(lines.aggregate(sum=total(lines["amount"], ibis.literal(True)).as_float()))
    assert found["sum"][0].as_py() == float(round(Decimal(repr(amount)), 12) * n)


@given(amounts=st.lists(st.floats(-1e15, 1e15, exclude_min=True, exclude_max=True), min_size=1, max_size=20))
@examples(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_numbers_below_0_are_added_as_decimals(con, amounts):
    lines = ibis.memtable(pa.table({"amount": amounts}))
    found = lines.aggregate(
        sum=total(lines["amount"], ibis.literal(True)).as_float(),
        right=as_float(by_decimals(lines, ibis.literal(True))),
    )
    row = con.to_pyarrow(found).to_pylist()[0]
    assert row["sum"] == row["right"]

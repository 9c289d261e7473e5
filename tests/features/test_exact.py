"""Authority: the engine's own casts and products of 128-bit decimals; faster ways must equal them exactly."""

from datetime import date, timedelta

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from churnlab.config import Engine
from churnlab.engine import connect
from churnlab.features import snapshots
from churnlab.features.exact import WEIGHT_ONE, WEIGHTED, as_float, weight
from churnlab.features.occasions import cached_days, customer_days
from churnlab.features.snapshots import snapshot

FIRST_DAY, CUTOFF = date(2024, 1, 1), date(2024, 3, 15)
LONGEST_AGE = 13_600  # from earliest_date on


@pytest.fixture(scope="module")
def con():
    return connect(Engine(threads=2, memory_limit="1GB"))


def test_sums_become_the_floats_that_a_cast_gives(con):
    rng = np.random.default_rng(3)
    edges = [0, 1e12, 1e12 - 1e-6, 9007199254.740992, 9007199254.740993, 1e18, 1e18 - 128, 123.5, -5e12]
    sums = np.concatenate([10 ** rng.uniform(-3, 20, 50_000), rng.uniform(1e12, 1e13, 50_000), edges])
    about = sums * (1 + rng.uniform(-1e-11, 1e-11, len(sums)))  # as a sum of floats may be off
    rows = con.create_table("sums", ibis.memtable(pd.DataFrame({"sum": sums, "about": about})))
    rows = rows.select("about", total=rows["sum"].cast(WEIGHTED))
    found = rows.select(slow=rows.total.cast("float64"), fast=as_float(rows.total, rows.about)).to_pandas()
    np.testing.assert_array_equal(found["fast"], found["slow"])


@pytest.mark.parametrize("half_life", [1, 7, 10, 13, 14, 30, 60, 80, 90, 160, 320, 365])
def test_weights_are_those_of_decimal_multiplication(con, half_life):
    """As DuckDB reads `age * -0.016666666666666666`."""
    ages = con.create_table("ages", ibis.memtable({"age": range(LONGEST_AGE)}), overwrite=True)
    found = ages.select(w=weight(ages.age, half_life)).to_pandas()["w"]
    decay = f"power(2.0::DOUBLE, age * {-1.0 / half_life!r}) * {WEIGHT_ONE}.0"
    expected = con.raw_sql(f"SELECT round({decay}, 0)::BIGINT AS w FROM ages").df()["w"]
    np.testing.assert_array_equal(found, expected)


MONEY = st.one_of(
    st.integers(-50_000, 2_000_000).map(lambda cents: cents / 100),
    st.integers(0, 10**13).map(lambda cents: cents / 100),
    st.integers(-(10**6), 10**8).map(lambda parts: parts / 10_000),
    st.floats(0, 1e6),
)
ROWS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(0, 100).map(lambda days: FIRST_DAY + timedelta(days=days)),
        MONEY,
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=25, deadline=None)
@given(rows=ROWS)
@example(rows=[("a", FIRST_DAY, 0.1), ("a", FIRST_DAY, 0.2), ("a", date(2024, 2, 1), 1e9 - 0.01)])
@example(rows=[("a", FIRST_DAY, 9_007_199.25), ("a", date(2024, 2, 1), 48_231_777.31)])
def test_64_bits_give_what_128_bits_give(ledger, lean_spec, rows):
    orders = ledger(rows)
    fast = snapshot(orders, CUTOFF, lean_spec, 10.0)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(snapshots, "cached_days", lambda *told: customer_days(*told).cache())
        pd.testing.assert_frame_equal(fast, snapshot(orders, CUTOFF, lean_spec, 10.0), check_exact=True)


@pytest.mark.parametrize(
    ("amount", "bits"), [(0.1, 64), (9_007_199.25, 64), (0.001, 128), (999_999_999.99, 128)]
)
def test_money_is_kept_in_64_bits_where_that_changes_nothing(ledger, amount, bits):
    """The 12 places that DuckDB casts the last amount to are not those of its cents."""
    days = cached_days(ledger([("a", "2024-01-01", 5.0), ("b", "2024-01-02", amount)]), CUTOFF)
    assert days.net.type().precision == (18 if bits == 64 else 38)

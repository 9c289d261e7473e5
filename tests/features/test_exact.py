"""Authority: the engine's own sums of 128-bit decimals; those of 64 bits must equal them exactly."""

from datetime import date, timedelta

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from churnlab.features import snapshots
from churnlab.features.occasions import as_rows, customer_days, fetched_days
from churnlab.features.snapshots import snapshot

FIRST_DAY, CUTOFF = date(2024, 1, 1), date(2024, 3, 15)

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
        patched.setattr(snapshots, "fetched_days", in_128_bits)
        pd.testing.assert_frame_equal(fast, snapshot(orders, CUTOFF, lean_spec, 10.0), check_exact=True)


def in_128_bits(orders, cutoff, optional, with_returns):
    rows = as_rows(customer_days(orders, cutoff, optional), with_returns)
    return rows.order_by(["customer_id", "day"]).to_pyarrow()


@pytest.mark.parametrize(
    ("amount", "bits"), [(0.1, 64), (9_007_199.25, 64), (0.001, 128), (999_999_999.99, 128)]
)
def test_money_is_summed_in_64_bits_where_that_changes_nothing(ledger, amount, bits):
    """The 12 places that DuckDB casts the last amount to are not those of its cents."""
    orders = ledger([("a", "2024-01-01", 5.0), ("b", "2024-01-02", amount)])
    rows = fetched_days(orders, CUTOFF, [], with_returns=False)
    assert ("are_cents" in rows.column_names) == (bits == 64)
    assert rows["net"].to_pylist() == [5.0, amount]

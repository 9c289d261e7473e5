"""Authority: what must not matter. Row order, files, order splits, other customers, the currency's unit.

Two things are set by the whole population, the spec and the money scale; where the population changes
they are passed in.
"""

import re
from datetime import date, timedelta

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnlab.features.outcomes import outcomes
from churnlab.features.snapshots import snapshot

FIRST_DAY = date(2024, 1, 1)
CUTOFF = date(2024, 3, 15)

ORDERS = st.lists(
    st.tuples(
        st.sampled_from("abcde"),
        st.integers(0, 100).map(lambda days: FIRST_DAY + timedelta(days=days)),
        st.integers(-5000, 200000).map(lambda cents: cents / 100),
    ),
    min_size=1,
    max_size=40,
)
FEW = settings(max_examples=12, deadline=None)


def exactly(left: pd.DataFrame, right: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(left, right, check_exact=True)


@FEW
@given(rows=ORDERS, seed=st.integers(0, 2**32 - 1))
def test_row_order_does_not_matter(ledger, lean_spec, rows, seed):
    orders = ledger(rows)
    places = np.random.default_rng(seed).permutation(len(rows))
    shuffled = ibis.memtable(orders.to_pyarrow().take(places))
    exactly(snapshot(orders, CUTOFF, lean_spec), snapshot(shuffled, CUTOFF, lean_spec))
    exactly(outcomes(orders, CUTOFF, 30), outcomes(shuffled, CUTOFF, 30))


def test_row_order_does_not_matter_for_a_busy_shop(as_table, busy_shop, full_spec):
    shuffled = busy_shop.sample(frac=1, random_state=np.random.default_rng(5))
    exactly(snapshot(as_table(busy_shop), CUTOFF, full_spec), snapshot(as_table(shuffled), CUTOFF, full_spec))


def test_parts_do_not_matter(as_table, busy_shop, full_spec):
    whole = as_table(busy_shop)
    parts = ibis.union(*(whole.filter(whole.n_products % 3 == k) for k in (2, 0, 1)))
    exactly(snapshot(whole, CUTOFF, full_spec), snapshot(parts, CUTOFF, full_spec))


@FEW
@given(rows=ORDERS, share=st.integers(1, 99))
def test_an_order_in_two_on_the_same_day_is_the_same_day(ledger, lean_spec, rows, share):
    halves = []
    for customer, day, amount in rows:
        part = round(amount * share / 100, 4)
        halves += [(customer, day, part), (customer, day, round(amount - part, 4))]
    whole, split = (snapshot(ledger(r), CUTOFF, lean_spec) for r in (rows, halves))
    exactly(whole.drop(columns="orders_per_day"), split.drop(columns="orders_per_day"))


@FEW
@given(rows=ORDERS, others=ORDERS)
def test_other_customers_do_not_matter(ledger, lean_spec, rows, others):
    alone = snapshot(ledger(rows), CUTOFF, lean_spec, money_scale=20.0)
    strangers = [(f"0{customer}", day, amount) for customer, day, amount in others]
    among = snapshot(ledger([*strangers, *rows]), CUTOFF, lean_spec, money_scale=20.0)
    exactly(alone, among[among["customer_id"].isin(alone["customer_id"])].reset_index(drop=True))


MONEY = re.compile(
    r"monetary_value|first_order_value|total_spend|spend_\d+d|decayed_spend_\d+d|spend_rate|price_per_item"
    r"|order_value_(mean|sd|max|last|first|geo|recent)"
)


@FEW
@given(rows=ORDERS)
def test_the_unit_of_money_changes_money_only(ledger, lean_spec, rows):
    small = snapshot(ledger(rows), CUTOFF, lean_spec)
    large = snapshot(ledger([(c, day, amount * 1e6) for c, day, amount in rows]), CUTOFF, lean_spec)
    for name in small.columns[1:]:
        factor = 1e6 if MONEY.fullmatch(name) else 1.0
        np.testing.assert_allclose(large[name], small[name] * factor, rtol=1e-12, err_msg=name)


def test_the_unit_of_money_changes_money_only_for_a_busy_shop(as_table, busy_shop, full_spec):
    """Two changes of unit: 10^13 in all, orders of up to 2 * 10^15."""
    money = ["amount", "gross", "returned", "discount"]
    small = snapshot(as_table(busy_shop), CUTOFF, full_spec)
    large = snapshot(as_table(busy_shop.assign(**busy_shop[money] * 1e13)), CUTOFF, full_spec)
    for name in small.columns[1:]:
        factor = 1e13 if MONEY.fullmatch(name) else 1.0
        np.testing.assert_allclose(large[name], small[name] * factor, rtol=1e-12, err_msg=name)


@FEW
@given(rows=ORDERS)
def test_every_known_customer_has_one_row_with_figures_in_range(ledger, lean_spec, rows):
    frame = snapshot(ledger(rows), CUTOFF, lean_spec)
    bought = {customer for customer, day, amount in rows if amount >= 0 and day <= CUTOFF}
    assert frame["customer_id"].tolist() == sorted(bought)
    figures = frame.drop(columns="customer_id")
    assert (figures.dtypes == "float64").all()
    assert not np.isinf(figures).any(axis=None)
    shares = figures.filter(regex=r"_share$|_\d+d_of_\d+d$|gap_rank").drop(
        columns=["return_days_share", "returned_share", "decayed_purchases_20d_of_80d"]
    )
    assert (shares.isna() | shares.ge(0) & shares.le(1)).all(axis=None)
    assert figures[["frequency", "recency", "T", "monetary_value", "total_spend"]].notna().all(axis=None)
    assert (figures["recency"] <= figures["T"]).all()


def test_an_input_table_is_not_changed(as_table, busy_shop, full_spec):
    orders = as_table(busy_shop)
    before = orders.to_pandas()
    snapshot(orders, CUTOFF, full_spec)
    exactly(before, orders.to_pandas())


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_do_not_matter(as_table, busy_shop, full_spec, threads):
    orders = as_table(busy_shop)
    expected = snapshot(orders, CUTOFF, full_spec)
    orders.get_backend().settings["threads"] = threads
    exactly(expected, snapshot(orders, CUTOFF, full_spec))

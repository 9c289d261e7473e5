"""Authority: pandas' groupby of the same rows; the same rows cut elsewhere; the engine's own RFM."""

from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnlab.features import histories
from churnlab.features.described import described
from churnlab.features.histories import histories_of, whole_customers
from churnlab.features.occasions import fetched_days
from churnlab.features.rfm import rfm
from churnlab.features.snapshots import snapshot

CUTOFF = date(2024, 6, 30)
LENGTHS = st.lists(st.integers(1, 5), min_size=1, max_size=8)
OPTIONAL = ["gross", "returned", "discount", "items", "n_products", "new_products"]


def rows_of(lengths: list[int], chunk: int) -> pa.Table:
    """Customers with so many rows each, in chunks of that size."""
    ids = [f"c{i}" for i, n in enumerate(lengths) for _ in range(n)]
    values = np.random.default_rng(len(ids)).normal(size=len(ids))
    whole = pa.table({"customer_id": ids, "value": values})
    return pa.Table.from_batches(whole.to_batches(max_chunksize=chunk))


@given(lengths=LENGTHS, chunk=st.integers(1, 12))
def test_sums_and_ends_are_those_of_each_customer(lengths, chunk):
    rows = rows_of(lengths, chunk)
    ids, found = histories_of(rows)
    each = rows.to_pandas().groupby("customer_id")["value"]
    assert ids.to_pylist() == list(each.groups)
    value = found["value"]
    np.testing.assert_allclose(found.total(value), each.sum(), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(found.count(value > 0), each.agg(lambda v: (v > 0).sum()))
    np.testing.assert_array_equal(found.greatest(value), each.max())
    np.testing.assert_array_equal(found.first(value), each.first())
    np.testing.assert_array_equal(found.last(value), each.last())
    np.testing.assert_array_equal(found.on_rows(found.first(value)), each.transform("first"))


@given(lengths=LENGTHS, seed=st.integers(0, 100))
def test_some_rows_are_those_of_the_customers_who_have_any(lengths, seed):
    rows = rows_of(lengths, 100)
    _, whole = histories_of(rows)
    kept = np.random.default_rng(seed).random(len(rows)) < 0.4
    some = whole.of(kept)
    each = rows.to_pandas()[kept].groupby("customer_id")["value"]
    assert some.lengths.tolist() == each.size().tolist()
    np.testing.assert_array_equal(some.first(some["value"]), each.first())


@given(lengths=LENGTHS, chunk=st.integers(1, 12))
def test_batches_are_cut_anew_between_customers(lengths, chunk):
    rows = rows_of(lengths, chunk)
    parts = list(
        whole_customers([rows.slice(0, 0).to_batches() or rows.schema.empty_table().to_batches()][0])
    )
    assert parts == []
    parts = list(whole_customers(rows.to_batches()))
    assert pa.concat_tables(parts).equals(rows)
    owners = [set(part["customer_id"].to_pylist()) for part in parts]
    assert sum(map(len, owners)) == len(lengths) == len(set.union(*owners))


def test_numbers_dates_texts_and_flags_become_arrays():
    rows = pa.table(
        {
            "customer_id": ["a", "a", "b"],
            "day": pa.array([date(1970, 1, 2), date(1970, 1, 3), date(1969, 12, 31)]),
            "items": pa.array([1.5, None, 2.0]),
            "n_products": pa.array([1, None, 2], pa.int64()),
            "channel": ["web", None, "web"],
            "is_purchase": [True, False, True],
        }
    )
    _, found = histories_of(rows)
    assert found["day"].tolist() == [1, 2, -1]
    assert found["items"].tolist() == [1.5, 0.0, 2.0]
    assert found["n_products"].tolist() == [1.0, 0.0, 2.0]
    assert found["channel"].tolist() == [0, -1, 0]
    assert found["is_purchase"].tolist() == [True, False, True]


@pytest.mark.parametrize("customers", [1, 7, 50])
def test_blocks_do_not_matter_to_the_last_bit(as_table, busy_shop, full_spec, customers, monkeypatch):
    optional = [*OPTIONAL, "n_categories", "new_categories", "channel"]
    rows = fetched_days(as_table(busy_shop), CUTOFF, optional, with_returns=True)
    whole = described(rows, CUTOFF, full_spec, 10.0)
    monkeypatch.setattr(histories.Histories.blocks, "__defaults__", (customers,))
    pd.testing.assert_frame_equal(described(rows, CUTOFF, full_spec, 10.0), whole, check_exact=True)


def test_nobody_gives_no_rows_and_the_same_columns(as_table, busy_shop, full_spec):
    orders = as_table(busy_shop)
    nobody = snapshot(orders, date(2023, 12, 31), full_spec, 10.0)
    somebody = snapshot(orders, CUTOFF, full_spec, 10.0)
    assert len(nobody) == 0
    assert nobody.dtypes.equals(somebody.dtypes)


def test_rfm_of_a_snapshot_is_that_of_the_engine(as_table, busy_shop, full_spec):
    orders = as_table(busy_shop)
    expected = rfm(orders, CUTOFF).to_pandas()
    found = snapshot(orders, CUTOFF, full_spec)[list(expected.columns)]
    pd.testing.assert_frame_equal(found, expected, rtol=1e-13)


@given(
    cents=st.lists(st.integers(0, 10**9), min_size=2, max_size=30),
    places=st.sampled_from([1, 2, 3, 4]),
    seed=st.integers(0, 100),
)
def test_amounts_add_up_to_the_same_in_any_order(cents, places, seed):
    """Authority: whole numbers, divided once."""
    amounts = np.array(cents) / 10**places
    shuffled = np.random.default_rng(seed).permutation(amounts)
    for values in (amounts, shuffled):
        _, found = histories_of(pa.table({"customer_id": ["a"] * len(values), "net": values}))
        assert found.amount(found["net"]).tolist() == [sum(cents) / 10**places]


def test_the_order_of_the_same_purchases_does_not_change_their_level_or_spread(ledger, lean_spec):
    days = [f"2024-05-{day:02d}" for day in range(1, 29, 3)]
    values = [0.1, 0.7, 19.99, 3.3, 0.2, 3333.33, 12.35, 0.3, 8.15, 77.7]
    rows = [("a", *row) for row in zip(days, values, strict=True)]
    rows += [("b", *row) for row in zip(days, [*values[5:], *values[:5]], strict=True)]
    frame = snapshot(ledger(rows), CUTOFF, lean_spec, 10.0)
    names = ["total_spend", "order_value_mean", "order_value_sd", "order_value_geo"]
    assert frame.loc[0, names].tolist() == frame.loc[1, names].tolist()

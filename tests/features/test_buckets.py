"""Authority: a partition of the sorted ids, whatever they are written with; features that do not notice."""

from datetime import date

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from churnlab.features.buckets import Bucket, customer_buckets
from churnlab.features.histories import Histories
from churnlab.features.snapshots import snapshot

IDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
CUTOFF = date(2024, 6, 30)


@settings(max_examples=25, deadline=None)
@given(ids=st.lists(IDS, min_size=1, max_size=30), size=st.integers(1, 12))
@example(ids=["علی", "", " ", "'", "O'Brien", "😀", "a\\", "%", "é", "ｚ", "\U00010000", "\uffff"], size=5)
def test_buckets_part_the_sorted_ids(ledger, ids, size):
    """Sorted by UTF-8 bytes: Python's order of code points."""
    orders = ledger([(name, "2024-01-01", 5.0) for name in ids])
    found = customer_buckets(orders, size)
    names = sorted(set(ids))
    expected = [names[k : k + size] for k in range(0, len(names), size)]
    assert found == [Bucket(part[0], part[-1], len(part)) for part in expected]
    rows = [set(bucket.of(orders).customer_id.to_pyarrow().to_pylist()) for bucket in found]
    assert rows == [set(part) for part in expected]


def test_nobody_needs_no_bucket(ledger):
    orders = ledger([("a", "2024-01-01", 5.0)])
    assert customer_buckets(orders.filter(orders.amount > 9), 10) == []


@pytest.mark.parametrize("size", [11, 1000])
def test_features_by_bucket_are_those_of_all(as_table, busy_shop, busy_tables, told, told_spec, size):
    orders, signals = as_table(busy_shop), told(**busy_tables)
    orders = orders.filter(orders.customer_id < "c03")
    whole = snapshot(orders, CUTOFF, told_spec, 10.0, signals)
    buckets = customer_buckets(orders, size)
    parts = [snapshot(bucket.of(orders), CUTOFF, told_spec, 10.0, signals) for bucket in buckets]
    joined = pd.concat(parts, ignore_index=True)
    pd.testing.assert_frame_equal(joined, whole, check_exact=True)


@pytest.mark.parametrize("size", [1, 7, 11])
def test_features_by_block_are_those_of_all(
    as_table, busy_shop, busy_tables, told, told_spec, monkeypatch, size
):
    """Blocks are described side by side; some hold nobody who has bought."""
    orders, signals = as_table(busy_shop), told(**busy_tables)
    returned = (orders.customer_id > "c010") & (orders.customer_id < "c013")
    orders = orders.filter(orders.customer_id < "c03").filter(~(returned & orders.is_purchase))
    whole = snapshot(orders, CUTOFF, told_spec, 10.0, signals)
    assert len(whole) < orders.customer_id.nunique().to_pyarrow().as_py()
    monkeypatch.setattr(Histories.blocks, "__defaults__", (size,))
    pd.testing.assert_frame_equal(snapshot(orders, CUTOFF, told_spec, 10.0, signals), whole, check_exact=True)

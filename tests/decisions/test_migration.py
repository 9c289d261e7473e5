"""Who moved between two lists. Authority: counting by hand, and sums that must be kept."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.errors import MergeError

from churnlab.decisions.migration import ABSENT, COLUMNS, migration

WORDS = ["high", "low", "medium"]


def a_list(rows):
    frame = pd.DataFrame(rows, columns=["customer_id", "risk_label", "clv"])
    return frame.assign(value_label="low", lifecycle_type="active", buying_style="unassigned")


def drawn(seed):
    rng = np.random.default_rng(seed)
    ids = rng.choice(30, rng.integers(0, 20), replace=False)
    return a_list([(f"c{n}", rng.choice(WORDS), rng.lognormal()) for n in ids])


def test_by_hand():
    before = a_list([("a", "low", 1.0), ("b", "low", 2.0), ("c", "high", 4.0), ("gone", "high", 8.0)])
    after = a_list([("b", "low", 3.0), ("a", "high", 5.0), ("c", "high", 7.0), ("came", "low", 9.0)])
    found = migration(before, after)
    risk = found[found["column"] == "risk_label"].drop(columns="column")
    assert risk.to_numpy().tolist() == [
        [ABSENT, "low", 1, 0.0, 9.0],
        ["high", ABSENT, 1, 8.0, 0.0],
        ["high", "high", 1, 4.0, 7.0],
        ["low", "high", 1, 1.0, 5.0],
        ["low", "low", 1, 2.0, 3.0],
    ]
    assert found["column"].drop_duplicates().to_list() == list(COLUMNS)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_nobody_and_no_money_is_lost(first, second):
    before, after = drawn(first), drawn(second)
    found = migration(before, after)
    for _, rows in found.groupby("column"):
        assert rows.loc[rows["from"] != ABSENT, "customers"].sum() == len(before)
        assert rows.loc[rows["to"] != ABSENT, "customers"].sum() == len(after)
        assert rows["clv_before"].sum() == pytest.approx(before["clv"].sum())
        assert rows["clv_after"].sum() == pytest.approx(after["clv"].sum())
    shuffled = migration(before.sample(frac=1, random_state=1), after.sample(frac=1, random_state=2))
    pd.testing.assert_frame_equal(shuffled, found, check_exact=True)


def test_a_customer_named_twice_is_refused():
    twice = a_list([("a", "low", 1.0), ("a", "low", 1.0)])
    with pytest.raises(MergeError):
        migration(twice, twice)

"""Types of customers, from histories judged by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnlab.decisions.customer_types import buying_style, lifecycle_type
from churnlab.models.training import NO_GAP_DAYS

NAN = float("nan")


def lifecycle(rows, new_customer_days=30, typical_gap_days=10.0):
    names = ["frequency", "T", "days_since_last_order", "gap_mean_days", "gap_cv"]
    features = pd.DataFrame(rows, columns=names, dtype=float)
    return lifecycle_type(features, new_customer_days, typical_gap_days).to_list()


def style(value_label, **columns):
    features = {"frequency": 5.0, "gap_cv": 0.5, "order_value_cv": 0.5} | columns
    return buying_style(pd.DataFrame([features]), pd.Series([value_label]))[0]


def test_lifecycle_by_hand():
    rows = [
        (0, 29, 29, NAN, NAN),  # first order 29 days ago
        (9, 20, 2, 2, 0.1),  # new even if regular
        (5, 300, 31, 10, 0.2),  # silent for 3.1 of their own gaps
        (5, 300, 30, 10, 0.2),  # exactly three gaps is not beyond them
        (3, 300, 5, 10, 1.0),  # regular enough, often enough
        (2, 300, 5, 10, 0.2),  # too few repeats to be loyal
        (5, 300, 5, 10, 1.4),  # irregular
    ]
    assert lifecycle(rows) == ["new", "new", "inactive", "loyal", "loyal", "active", "active"]


def test_new_ends_with_the_day():
    """T counts days since the first purchase; on day 30 a customer is not new any more."""
    assert lifecycle([(0, 30, 30, NAN, NAN)]) == ["active"]


def test_one_time_buyers_are_judged_by_the_typical_gap():
    """Of 20 days: silence begins beyond 60."""
    one_time = [(0, 300, 60, NAN, NAN), (0, 300, 61, NAN, NAN)]
    assert lifecycle(one_time, typical_gap_days=20.0) == ["active", "inactive"]


def test_a_base_without_repeat_buyers_has_no_rhythm_to_miss():
    one_time = [(0, 400, 400, NAN, NAN), (0, 90, 90, NAN, NAN)]
    assert lifecycle(one_time, typical_gap_days=NO_GAP_DAYS) == ["active", "active"]


@given(st.floats(0.01, 100), st.integers(0, 2**32 - 1))
def test_types_do_not_depend_on_the_pace_of_the_trade(scale, seed):
    """Counting the same histories in other days changes no type but `new`."""
    rng = np.random.default_rng(seed)
    features = pd.DataFrame(
        {
            "frequency": rng.integers(1, 9, 20).astype(float),
            "T": 1e6,
            "days_since_last_order": rng.uniform(0, 100, 20),
            "gap_mean_days": rng.uniform(1, 40, 20),
            "gap_cv": rng.uniform(0, 2, 20),
        }
    )
    slower = features.assign(
        days_since_last_order=features["days_since_last_order"] * scale,
        gap_mean_days=features["gap_mean_days"] * scale,
    )
    found, later = lifecycle_type(features, 30, 10.0), lifecycle_type(slower, 30, 10.0 * scale)
    pd.testing.assert_series_equal(found, later)


@pytest.mark.parametrize(
    ("value_label", "columns", "expected"),
    [
        ("top", {}, "loyal"),
        ("high", {"gap_cv": 1.0}, "loyal"),
        ("medium", {"discount_share": 0.10, "products_new_share": 0.5}, "discount"),
        ("top", {"discount_share": 0.3}, "loyal"),
        ("top", {"gap_cv": 1.2, "order_value_cv": 0.8}, "impulse"),
        ("low", {"gap_cv": 1.2, "order_value_cv": 0.7}, "unassigned"),
        ("low", {"gap_cv": 1.2, "order_value_cv": 0.7, "products_new_share": 0.2}, "need-based"),
        ("low", {}, "need-based"),
        ("low", {"order_value_cv": 0.9}, "unassigned"),
        ("top", {"frequency": 2.0}, "unassigned"),
        ("low", {"frequency": 0.0, "gap_cv": NAN, "order_value_cv": NAN}, "unassigned"),
        ("medium", {"discount_share": NAN, "products_new_share": NAN}, "need-based"),
    ],
)
def test_style_by_hand(value_label, columns, expected):
    assert style(value_label, **columns) == expected


def test_the_index_is_kept_and_the_features_are_not_touched():
    features = pd.DataFrame(
        {
            "frequency": [5.0, 0.0],
            "T": [100.0, 5.0],
            "days_since_last_order": [1.0, 5.0],
            "gap_mean_days": [10.0, NAN],
            "gap_cv": [0.1, NAN],
            "order_value_cv": [0.1, NAN],
        },
        index=[4, 2],
    )
    before = features.copy(deep=True)
    assert lifecycle_type(features, 30, 10.0).index.to_list() == [4, 2]
    assert buying_style(features, pd.Series(["top", "low"], index=[4, 2])).to_dict() == {
        4: "loyal",
        2: "unassigned",
    }
    pd.testing.assert_frame_equal(features, before)

"""Types of customers, from histories judged by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnlab.config import CustomerTypes
from churnlab.decisions.customer_types import STYLES, buying_style, lifecycle_type, styles_not_assigned
from churnlab.features.spec import FeatureSpec
from churnlab.models.training import NO_GAP_DAYS

NAN = float("nan")
RULES = CustomerTypes()
SATISFIED = {"frequency": 5.0, "T": 300.0, "days_since_last_order": 5.0, "gap_mean_days": 10.0, "gap_cv": 2.0}


def lifecycle(rows, new_customer_days=30, typical_gap_days=10.0):
    names = ["frequency", "T", "days_since_last_order", "gap_mean_days", "gap_cv"]
    features = pd.DataFrame(rows, columns=names, dtype=float)
    return lifecycle_type(features, new_customer_days, typical_gap_days, RULES).to_list()


def style(value_label, **columns):
    features = {"frequency": 5.0, "gap_cv": 0.5, "order_value_cv": 0.5} | columns
    return buying_style(pd.DataFrame([features]), pd.Series([value_label]), RULES).iloc[0]


def type_of(**columns):
    return lifecycle_type(pd.DataFrame([SATISFIED | columns]), 30, 10.0, RULES)[0]


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


@settings(deadline=None)
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
    found, later = lifecycle_type(features, 30, 10.0, RULES), lifecycle_type(slower, 30, 10.0 * scale, RULES)
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
    assert style(value_label, **columns)["buying_style"] == expected


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
    assert lifecycle_type(features, 30, 10.0, RULES).index.to_list() == [4, 2]
    styles = buying_style(features, pd.Series(["top", "low"], index=[4, 2]), RULES)["buying_style"]
    assert styles.to_dict() == {4: "loyal", 2: "unassigned"}
    pd.testing.assert_frame_equal(features, before)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, "active"),
        ({"complaint_open": 1.0}, "dissatisfied"),
        ({"complaint_open": 0.0, "complaints_90d": 0.0}, "active"),
        ({"complaints_90d": 1.0}, "dissatisfied"),
        ({"csat_last": 0.25}, "dissatisfied"),  # 2 of 1 to 5
        ({"csat_last": 0.5}, "active"),
        ({"csat_last": NAN}, "active"),
        ({"csat_last": 0.0, "csat_mean_365d": NAN}, "active"),  # said over a year ago
        ({"csat_last": 0.0, "csat_mean_365d": 0.9}, "dissatisfied"),
        ({"nps_last": 6.0}, "dissatisfied"),  # the last detractor
        ({"nps_last": 7.0}, "active"),
        ({"returned_share": 0.5}, "active"),
        ({"returned_share": 0.51}, "dissatisfied"),
        ({"returned_share": 0.9, "returned_share_365d": 0.0}, "active"),
        ({"complaint_open": 1.0, "T": 5.0}, "dissatisfied"),  # before new
        ({"complaint_open": 1.0, "days_since_last_order": 200.0}, "dissatisfied"),  # before inactive
        ({"complaint_open": 1.0, "gap_cv": 0.1}, "dissatisfied"),  # before loyal
    ],
)
def test_dissatisfied_by_hand(columns, expected):
    assert type_of(**columns) == expected


def test_other_thresholds_are_followed():
    strict = RULES.model_copy(update={"recent_complaints": 2, "silent_gaps": 1.0})
    rows = pd.DataFrame([SATISFIED | {"complaints_90d": 1.0, "days_since_last_order": 11.0}])
    assert lifecycle_type(rows, 30, 10.0, strict)[0] == "inactive"
    assert lifecycle_type(rows, 30, 10.0, RULES)[0] == "dissatisfied"


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 6), st.floats(1, 40), st.floats(0, 2), st.integers(0, 300))
def test_without_an_event_a_type_only_moves_on(frequency, gap, cv, age):
    """Ninety nights on which a customer does nothing: no type is ever taken twice."""
    silence = age + np.arange(90.0)
    nights = pd.DataFrame(
        {
            "frequency": float(frequency),
            "T": silence + frequency * gap,
            "days_since_last_order": silence,
            "gap_mean_days": gap if frequency else NAN,
            "gap_cv": cv if frequency else NAN,
        }
    )
    found = lifecycle_type(nights, 30, 10.0, RULES)
    changes = int((found != found.shift()).sum())
    assert changes == found.nunique()


@pytest.mark.parametrize(
    ("value_label", "columns", "expected"),
    [
        # three gaps of cv 0.5 against 1: z = 0.5 / sqrt(1.5 / 2) = 0.57735
        ("top", {"frequency": 3.0}, 0.718149),
        # seven gaps: z = 0.5 / sqrt(1.5 / 6) = 1
        ("top", {"frequency": 7.0}, 0.841345),
        ("top", {"gap_cv": 1.0}, 0.5),
        # eight purchase days with 30 % off against 10 %: z = 0.2 / sqrt(0.09 / 8) = 1.88562
        ("low", {"frequency": 7.0, "discount_share": 0.3}, 0.970327),
        ("low", {"discount_share": 0.1}, 0.5),
        # no product is new: z = 0.2 / sqrt(0.16 / 16) = 2
        ("low", {"frequency": 15.0, "gap_cv": 1.2, "products_new_share": 0.0}, 0.97725),
        ("low", {"frequency": 2.0}, 0.0),
    ],
)
def test_confidence_by_hand(value_label, columns, expected):
    assert style(value_label, **columns)["buying_style_confidence"] == expected


def test_the_least_sure_condition_decides():
    far, near = {"gap_cv": 1.6, "order_value_cv": 0.76}, {"gap_cv": 1.6, "order_value_cv": 1.6}
    weak, strong = style("low", **far), style("low", **near)
    assert weak["buying_style"] == strong["buying_style"] == "impulse"
    assert 0.5 < weak["buying_style_confidence"] < 0.52
    assert strong["buying_style_confidence"] > 0.8


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_more_purchases_make_surer_and_every_style_is_at_least_even(seed):
    rng = np.random.default_rng(seed)
    few = pd.DataFrame(
        {
            "frequency": rng.integers(0, 12, 40).astype(float),
            "gap_cv": rng.uniform(0, 2, 40),
            "order_value_cv": rng.uniform(0, 2, 40),
            "discount_share": rng.uniform(0, 0.3, 40),
            "products_new_share": rng.uniform(0, 1, 40),
        }
    )
    labels = pd.Series(rng.choice(["low", "medium", "high", "top"], 40))
    found = buying_style(few, labels, RULES)
    more = buying_style(few.assign(frequency=few["frequency"] * 2 + 1), labels, RULES)
    assigned = found["buying_style"].isin(STYLES)
    assert (found["buying_style_confidence"][~assigned] == 0).all()
    assert found["buying_style_confidence"][assigned].between(0.5, 1).all()
    assert (more["buying_style"][assigned] == found["buying_style"][assigned]).all()
    assert (more["buying_style_confidence"] >= found["buying_style_confidence"])[assigned].all()


def test_a_confidence_is_how_rarely_chance_goes_so_far():
    """Simulated purchase days of which a tenth get something off: as rarely as the confidence says."""
    rng = np.random.default_rng(3)
    days, share = 801, 0.1
    drawn = rng.binomial(days, share, 20_000) / days
    features = pd.DataFrame(
        {"frequency": days - 1.0, "gap_cv": 2.0, "order_value_cv": 0.1, "discount_share": drawn}
    )
    found = buying_style(features, pd.Series("low", index=features.index), RULES)
    for level in (0.8, 0.9, 0.95):
        beyond = (found["buying_style_confidence"] > level).mean()
        assert abs(beyond - (1 - level)) < 0.02


def spec(**held):
    return FeatureSpec((30,), (20,), 60, 400, **held)


def test_what_cannot_be_assigned_is_told():
    bare = styles_not_assigned(spec())
    assert list(bare) == ["dissatisfied", "discount", "wandering"]
    assert "no discounts" in bare["discount"]
    assert list(styles_not_assigned(spec(has_discount=True, has_returns=True))) == ["wandering"]


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ({"interaction_days": 89}, True),  # no window of 90 days, and no resolution that could be open
        ({"interaction_days": 90}, False),
        ({"interaction_days": 10, "has_resolution": True}, False),
    ],
)
def test_complaints_tell_once_they_are_features(held, told):
    assert ("dissatisfied" in styles_not_assigned(spec(has_complaints=True, **held))) == told

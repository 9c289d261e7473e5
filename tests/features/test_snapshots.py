"""Authority: the rule for cutoffs worked out by hand; the schema promised by the docstrings."""

import json
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from churnlab.config import Features
from churnlab.errors import DataError
from churnlab.features.outcomes import outcomes
from churnlab.features.plan import LearningPlan, labelled_snapshots
from churnlab.features.snapshots import feature_names, feature_spec, snapshot, snapshot_cutoffs
from churnlab.features.spec import FeatureSpec

FIRST = date(2024, 1, 1)


def settings(**changes) -> Features:
    usual = {
        "horizon_days": 30,
        "windows_days": (30, 7, 60, 365),
        "half_lives_days": (80, 20),
        "max_snapshots": 5,
        "min_step_days": 7,
        "min_history_days": 60,
        "max_lookback_days": 400,
    }
    return Features(**usual | changes)


def test_cutoffs_are_spread_over_the_history():
    """210 days: newest 28 July less 30; oldest 60 days in; span 119 days in four steps of 30."""
    as_of = FIRST + timedelta(days=209)
    found = snapshot_cutoffs(FIRST, as_of, 30, settings())
    assert found == [FIRST + timedelta(days=d) for d in (179, 149, 119, 89)]


def test_cutoffs_reach_no_further_back_than_allowed():
    as_of = FIRST + timedelta(days=1000)
    found = snapshot_cutoffs(FIRST, as_of, 90, settings(max_lookback_days=40))
    assert found == [FIRST + timedelta(days=d) for d in (910, 900, 890, 880, 870)]


def test_cutoffs_are_not_closer_than_the_least_step():
    as_of = FIRST + timedelta(days=110)
    found = snapshot_cutoffs(FIRST, as_of, 30, settings())
    assert found == [FIRST + timedelta(days=d) for d in (80, 73, 66)]


@pytest.mark.parametrize(("days", "cutoffs"), [(90, 1), (89, 0), (10, 0)])
def test_a_history_just_long_enough_has_one_cutoff_and_a_shorter_one_none(days, cutoffs):
    assert len(snapshot_cutoffs(FIRST, FIRST + timedelta(days=days), 30, settings())) == cutoffs


def test_the_spec_says_what_the_data_hold(as_table, busy_shop):
    full = feature_spec(as_table(busy_shop), settings(), history_days=60, horizon_days=30)
    assert full == FeatureSpec(
        windows_days=(7, 30, 60),
        half_lives_days=(20, 80),
        horizon_days=30,
        history_days=60,
        has_items=True,
        has_discount=True,
        has_returns=True,
        has_products=True,
        has_categories=True,
        has_channel=True,
    )


def test_the_spec_of_a_bare_log_has_no_optional_columns(ledger):
    bare = feature_spec(ledger([("a", "2024-01-01", 5.0)]), settings(), history_days=29, horizon_days=30)
    assert bare == FeatureSpec((7,), (20, 80), horizon_days=30, history_days=29)


def test_the_spec_survives_json(full_spec, lean_spec):
    for spec in (full_spec, lean_spec):
        assert FeatureSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_a_spec_saved_before_a_column_existed_has_none_of_it(full_spec):
    saved = full_spec.to_dict()
    del saved["has_intent"], saved["has_wishes"]
    assert FeatureSpec.from_dict(saved) == full_spec


def test_a_spec_with_other_fields_is_refused(lean_spec):
    saved = lean_spec.to_dict() | {"has_weather": True}
    del saved["horizon_days"]
    with pytest.raises(DataError, match="missing or unknown has_weather, horizon_days"):
        FeatureSpec.from_dict(saved)


def test_orders_without_a_purchase_have_no_spec(ledger):
    orders = ledger([("a", "2024-01-01", 5.0)])
    with pytest.raises(DataError, match="orders: holds no purchase"):
        feature_spec(orders.filter(orders.amount > 9), settings(), 60, 30)


def test_columns_are_those_announced(as_table, busy_shop, full_spec, lean_spec):
    for spec in (full_spec, lean_spec):
        frame = snapshot(as_table(busy_shop), date(2024, 6, 1), spec)
        assert list(frame.columns) == ["customer_id", *feature_names(spec)]
        assert frame["customer_id"].is_monotonic_increasing
        assert frame["customer_id"].is_unique
        assert (frame.dtypes.iloc[1:] == "float64").all()


def test_nobody_known_gives_no_rows_and_the_same_columns(as_table, busy_shop, full_spec):
    frame = snapshot(as_table(busy_shop), date(2023, 1, 1), full_spec)
    assert len(frame) == 0
    assert list(frame.columns) == ["customer_id", *feature_names(full_spec)]


def test_a_column_that_the_model_needs_must_be_there(ledger, full_spec):
    with pytest.raises(DataError, match=r"orders: lacks items, discount, .*: map the columns"):
        snapshot(ledger([("a", "2024-01-01", 5.0)]), FIRST, full_spec)


def test_a_table_that_is_not_orders_is_refused(ledger, lean_spec):
    orders = ledger([("a", "2024-01-01", 5.0)]).drop("gross", "ts")
    with pytest.raises(DataError, match="orders: lacks ts, gross: write it again"):
        snapshot(orders, FIRST, lean_spec)


def test_the_money_scale_is_the_median_paid_day(ledger, lean_spec):
    """Days worth 10, 20 and 60 (0 and the negative day do not count), so 20: log1p(60 / 20)."""
    rows = [("a", "2024-01-02", 60.0), ("b", "2024-01-03", 20.0), ("c", "2024-01-03", 10.0)]
    rows += [("d", "2024-01-03", 0.0), ("e", "2024-01-03", 1.0), ("e", "2024-01-03", -9.0)]
    frame = snapshot(ledger(rows), date(2024, 2, 1), lean_spec)
    assert frame["order_value_log"][0] == pytest.approx(np.log(4), rel=1e-12)


def test_training_rows_are_snapshots_beside_their_outcomes(as_table, busy_shop, full_spec):
    orders = as_table(busy_shop)
    cutoffs = (date(2024, 6, 30), date(2024, 5, 1))
    plan = LearningPlan(date(2024, 7, 30), 30, 30, cutoffs, cutoffs, (), full_spec, 10.0)
    blocks = list(labelled_snapshots(orders, plan))
    for cutoff, block in zip(cutoffs, blocks, strict=True):
        assert list(block.columns) == [
            "customer_id", "cutoff", *feature_names(full_spec), "churned", "n_purchases", "spend",
        ]  # fmt: skip
        assert set(block["cutoff"]) == {pd.Timestamp(cutoff)}
        known = snapshot(orders, cutoff, full_spec, 10.0)
        pd.testing.assert_frame_equal(block[known.columns], known, check_exact=True)
        later = outcomes(orders, cutoff, 30)
        pd.testing.assert_frame_equal(block[later.columns], later, check_exact=True)


def test_outcomes_that_are_not_known_yet_are_refused(as_table, busy_shop, full_spec):
    plan = LearningPlan(date(2024, 7, 29), 30, 30, (date(2024, 6, 30),), (), (), full_spec, 10.0)
    with pytest.raises(AssertionError, match="not known"):
        list(labelled_snapshots(as_table(busy_shop), plan))

"""Authority: nothing dated after the cutoff may reach a feature, whatever it is."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from churnlab.config import Features
from churnlab.features.occasions import purchase_days
from churnlab.features.outcomes import outcomes
from churnlab.features.plan import current_snapshot, labelled_snapshots, learning_plan
from churnlab.features.rfm import rfm
from churnlab.features.snapshots import feature_spec, snapshot

CUTOFF = date(2024, 5, 31)
SETTINGS = Features(
    horizon_days=30,
    windows_days=(7, 30),
    half_lives_days=(20,),
    max_snapshots=3,
    min_step_days=7,
    min_history_days=60,
    max_lookback_days=400,
)


def larger_amounts(later: pd.DataFrame) -> pd.DataFrame:
    return later.assign(amount=1e9, gross=1e9, returned=1e9, items=1e6, discount=1e6, channel="future")


def other_customers(later: pd.DataFrame) -> pd.DataFrame:
    return later.assign(customer_id=[f"new{i}" for i in range(len(later))])


def everyone_again(later: pd.DataFrame) -> pd.DataFrame:
    return later.assign(customer_id=[f"c{i % 120:03d}" for i in range(len(later))], is_purchase=True)


def nothing(later: pd.DataFrame) -> pd.DataFrame:
    return later.iloc[:0]


def half(later: pd.DataFrame) -> pd.DataFrame:
    return later.sample(frac=0.5, random_state=np.random.default_rng(3))


def corrupted(orders: pd.DataFrame, last_day: date, change) -> pd.DataFrame:
    past = orders["day"] <= last_day
    assert past.any() and not past.all()
    return pd.concat([orders[past], change(orders[~past])], ignore_index=True)


CHANGES = [larger_amounts, other_customers, everyone_again, nothing, half]


@pytest.mark.parametrize("change", CHANGES)
def test_features_are_bit_identical_whatever_comes_later(as_table, busy_shop, full_spec, change):
    true, false = as_table(busy_shop), as_table(corrupted(busy_shop, CUTOFF, change))
    same = {"check_exact": True}
    pd.testing.assert_frame_equal(
        snapshot(true, CUTOFF, full_spec), snapshot(false, CUTOFF, full_spec), **same
    )
    pd.testing.assert_frame_equal(rfm(true, CUTOFF).to_pandas(), rfm(false, CUTOFF).to_pandas(), **same)
    by_day = [purchase_days(t, CUTOFF).order_by(["customer_id", "day"]).to_pandas() for t in (true, false)]
    pd.testing.assert_frame_equal(*by_day, **same)


@pytest.mark.parametrize("change", CHANGES)
def test_outcomes_end_with_their_window(as_table, busy_shop, change):
    false = as_table(corrupted(busy_shop, CUTOFF + timedelta(days=30), change))
    pd.testing.assert_frame_equal(
        outcomes(as_table(busy_shop), CUTOFF, 30), outcomes(false, CUTOFF, 30), check_exact=True
    )


@pytest.mark.parametrize("change", CHANGES)
def test_the_choice_of_columns_ends_with_the_earliest_snapshot(as_table, busy_shop, change):
    first = min(busy_shop["day"])
    history = (CUTOFF - first).days + 1
    plain = busy_shop.assign(channel=None, discount=0.0).astype({"channel": "str"})
    plain["returned"] = plain["returned"].where(plain["day"] > CUTOFF, 0.0)
    later = [as_table(plain), as_table(corrupted(plain, CUTOFF, change))]
    specs = [feature_spec(orders, SETTINGS, history, 30) for orders in later]
    assert specs[0] == specs[1]
    assert not (specs[0].has_returns or specs[0].has_discount or specs[0].has_channel)
    assert specs[0].has_items


def after(moments: pd.Series, day: date) -> pd.Series:
    """Which moments are of a later day; what has none is not."""
    return pd.to_datetime(moments) >= pd.Timestamp(day) + pd.Timedelta(days=1)


def redated(moments: pd.Series, day: date, change: str) -> pd.Series:
    """The moments, those of a later day moved to other later ones or taken away."""
    moments = pd.to_datetime(moments)
    other = pd.NaT if change == "never" else pd.Timestamp(day) + pd.Timedelta(days=1)
    return moments.where(~after(moments, day), other)


def corrupted_tables(tables: dict[str, pd.DataFrame], day: date, change: str) -> dict[str, pd.DataFrame]:
    """Whatever became known after `day`: gone, of another customer, or another thing altogether."""
    found = {}
    for name, known in (("customers", "known_from"), ("interactions", "ts"), ("contacts", "ts")):
        late = after(tables[name][known], day)
        assert late.any() and not late.all()
        past, later = tables[name][~late], tables[name][late]
        later = later.iloc[:0] if change == "never" else later.assign(customer_id="c001", referrer="c002")
        found[name] = pd.concat([past, later.drop_duplicates(["customer_id", known])], ignore_index=True)
    asked, people = found["interactions"], found["customers"]
    for name in ("responded", "resolved"):
        asked[name] = redated(asked[name], day, change)
    unsigned = after(people["signup"], day)
    assert unsigned.any()
    people.loc[unsigned, ["is_business", "referrer"]] = [True, "c003"]
    people["signup"] = redated(people["signup"], day, "next day")
    return found


@pytest.mark.parametrize("change", ["never", "next day"])
def test_what_the_optional_tables_tell_later_reaches_nothing(
    as_table, told, told_spec, busy_shop, busy_tables, change
):
    orders = as_table(busy_shop)
    true, false = told(**busy_tables), told(**corrupted_tables(busy_tables, CUTOFF, change))
    frames = [snapshot(orders, CUTOFF, told_spec, 10.0, signals) for signals in (true, false)]
    pd.testing.assert_frame_equal(*frames, check_exact=True)
    later = [snapshot(orders, max(busy_shop["day"]), told_spec, 10.0, signals) for signals in (true, false)]
    assert not later[0].equals(later[1])


@pytest.mark.parametrize("change", ["never", "next day"])
def test_training_sees_of_the_optional_tables_what_was_known(as_table, told, busy_shop, busy_tables, change):
    """The functions that the pipeline runs, on everything up to the cutoff, and on the oldest snapshot."""
    orders = as_table(busy_shop)
    true = told(**busy_tables)
    plan = learning_plan(orders, CUTOFF, 30, SETTINGS, true)
    assert plan.spec.has_complaints and plan.spec.has_consents and plan.spec.has_contacts
    false = told(**corrupted_tables(busy_tables, CUTOFF, change))
    assert learning_plan(orders, CUTOFF, 30, SETTINGS, false) == plan
    early = told(**corrupted_tables(busy_tables, min(plan.snapshots), change))
    assert learning_plan(orders, CUTOFF, 30, SETTINGS, early) == plan
    blocks = [list(labelled_snapshots(orders, plan, signals)) for signals in (true, false)]
    for left, right in zip(*blocks, strict=True):
        pd.testing.assert_frame_equal(left, right, check_exact=True)
    today = [current_snapshot(orders, plan, signals=signals) for signals in (true, false)]
    pd.testing.assert_frame_equal(*today, check_exact=True)

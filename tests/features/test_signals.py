"""Authority: what must not matter (absent tables, row order, other customers), and files on disk."""

from dataclasses import replace
from datetime import date, timedelta

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnlab.config import Engine, Features
from churnlab.engine import connect, write_parquet
from churnlab.errors import DataError
from churnlab.features.buckets import customer_buckets
from churnlab.features.plan import (
    LearningPlan,
    current_snapshot,
    labelled_snapshots,
    learning_plan,
    money_columns,
)
from churnlab.features.signals import FLAGS, NOTHING, Signals
from churnlab.features.snapshots import feature_names, feature_spec, snapshot
from churnlab.features.spec import FeatureSpec
from churnlab.models.reasons import STORIES, _story

FIRST_DAY = date(2024, 1, 1)
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


def exactly(left: pd.DataFrame, right: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(left, right, check_exact=True)


@pytest.fixture(scope="module")
def busy(as_table, busy_shop):
    return as_table(busy_shop)


def test_columns_are_those_announced(busy, told, told_spec, full_spec, busy_tables):
    frame = snapshot(busy, CUTOFF, told_spec, 10.0, told(**busy_tables))
    assert list(frame.columns) == ["customer_id", *feature_names(told_spec)]
    assert (frame.dtypes.iloc[1:] == "float64").all()
    assert not np.isinf(frame.drop(columns="customer_id")).any(axis=None)
    alone = snapshot(busy, CUTOFF, replace(full_spec, history_days=400), 10.0)
    # complaints 5, tickets 3, csat 3, nps 3, intent 3, wishes 2, hours 2 and 2, contacts 4, customers 6
    assert len(frame.columns) - len(alone.columns) == 33
    exactly(frame[alone.columns], alone)


def test_every_new_column_belongs_to_a_story_and_none_is_money(told_spec, full_spec):
    new = set(feature_names(told_spec)) - set(feature_names(replace(full_spec, history_days=400)))
    stories = {_story(name) for name in new}
    assert stories == {"satisfaction", "wishes", "contacts", "signup", "business", "goodwill"} <= set(STORIES)
    assert money_columns(sorted(new)) == []


def test_tables_that_are_absent_change_nothing(busy, busy_shop, told, busy_tables):
    """Neither a shop without tables, nor one whose tables begin after the earliest snapshot."""
    plan = learning_plan(busy, CUTOFF, 30, SETTINGS)
    late = min(plan.snapshots) + timedelta(days=1)
    events = {name: busy_tables[name] for name in ("interactions", "contacts")}
    begun = {name: table[table["ts"] >= pd.Timestamp(late)] for name, table in events.items()}
    people = busy_tables["customers"].drop_duplicates("customer_id")
    begun["customers"] = people.assign(known_from=pd.Timestamp(late))
    for signals in (NOTHING, Signals(), told(**begun)):
        assert learning_plan(busy, CUTOFF, 30, SETTINGS, signals) == plan
        exactly(current_snapshot(busy, plan, signals=signals), current_snapshot(busy, plan))
        for left, right in zip(
            labelled_snapshots(busy, plan, signals), labelled_snapshots(busy, plan), strict=True
        ):
            exactly(left, right)


def test_the_spec_says_what_the_tables_hold(busy, told, busy_tables):
    """All tables begin in the first days of the shop, 60 days before the earliest snapshot."""
    bare = feature_spec(busy, SETTINGS, 60, 30)
    assert not any(getattr(bare, flag) for flags in FLAGS.values() for flag in flags)
    full = feature_spec(busy, SETTINGS, 60, 30, told(**busy_tables))
    assert all(getattr(full, flag) for flags in FLAGS.values() for flag in flags)
    first = {name: min(busy_tables[name]["ts"]).date() for name in ("interactions", "contacts")}
    earliest = FIRST_DAY + timedelta(days=59)
    assert full.interaction_days == (earliest - first["interactions"]).days + 1
    assert full.contact_days == (earliest - first["contacts"]).days + 1
    assert FeatureSpec.from_dict(full.to_dict()) == full


TOLD = (*(flag for flags in FLAGS.values() for flag in flags), "interaction_days", "contact_days")
EVENTS = st.lists(
    st.tuples(
        st.sampled_from("abcx"),
        st.integers(0, 60 * 24).map(lambda hours: pd.Timestamp(FIRST_DAY) + pd.Timedelta(hours=hours)),
        st.sampled_from(["complaint", "ticket", "csat", "nps", "intent", "wish"]),
        st.one_of(st.none(), st.floats(0, 10)),
        st.integers(1, 10**6).map(lambda seconds: pd.Timedelta(seconds=seconds)),
        st.sampled_from(["treated", "control"]),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=12, deadline=None)
@given(events=EVENTS, seed=st.integers(0, 2**32 - 1))
def test_row_order_does_not_matter(ledger, told, told_spec, lean_spec, events, seed):
    """Survey answers given at one moment are told as their mean, whichever row comes last."""
    orders = ledger([(name, "2024-01-05", 10.0) for name in "abc"])
    names = ["customer_id", "ts", "kind", "score", "waited", "group"]
    frame = pd.DataFrame(events, columns=names)
    frame = frame.assign(responded=frame["ts"] + frame["waited"], resolved=frame["ts"] + 2 * frame["waited"])
    people = frame.assign(known_from=frame["ts"], signup=frame["ts"], referrer="b", consent_sms=True)
    people = people.drop_duplicates(["customer_id", "known_from"])
    shuffle = np.random.default_rng(seed)
    spec = replace(lean_spec, **{name: getattr(told_spec, name) for name in TOLD})
    frames = []
    for turn in (0, 1):
        tables = {"interactions": frame, "contacts": frame, "customers": people}
        if turn:
            tables = {n: t.sample(frac=1, random_state=shuffle) for n, t in tables.items()}
        frames.append(snapshot(orders, date(2024, 2, 1), spec, 10.0, told(**tables)))
    exactly(*frames)


def test_row_order_does_not_matter_for_a_busy_shop(busy, told, told_spec, busy_tables):
    shuffled = {
        name: table.sample(frac=1, random_state=np.random.default_rng(5))
        for name, table in busy_tables.items()
    }
    expected = snapshot(busy, CUTOFF, told_spec, 10.0, told(**busy_tables))
    exactly(expected, snapshot(busy, CUTOFF, told_spec, 10.0, told(**shuffled)))


def test_only_referrals_come_from_other_customers(busy, told, told_spec, busy_tables):
    """A customer's other columns are the same when the tables know nobody else."""
    whole = snapshot(busy, CUTOFF, told_spec, 10.0, told(**busy_tables)).set_index("customer_id")
    for name in ("c001", "c050"):
        own = {t: frame[frame["customer_id"] == name] for t, frame in busy_tables.items()}
        alone = snapshot(busy, CUTOFF, told_spec, 10.0, told(**own)).set_index("customer_id")
        exactly(whole.loc[[name]].drop(columns="referrals"), alone.loc[[name]].drop(columns="referrals"))


@pytest.mark.parametrize("absent", ["customers", "interactions", "contacts"])
def test_a_table_that_the_model_counts_on_must_be_there(busy, told, told_spec, busy_tables, absent):
    fewer = replace(told(**busy_tables), **{absent: None})
    plan = LearningPlan(CUTOFF, 30, 30, (), (), (), told_spec, 10.0)
    with pytest.raises(DataError, match=f"^{absent}: there is no such table.*map it in data.{absent}, or"):
        current_snapshot(busy, plan, signals=fewer)


def test_a_table_must_have_its_columns(busy, told, told_spec, busy_tables):
    signals = told(**busy_tables)
    lame = replace(signals, interactions=signals.interactions.drop("resolved", "score"))
    with pytest.raises(DataError, match=r"^interactions: lacks score, resolved, .*data.interactions.columns"):
        snapshot(busy, CUTOFF, told_spec, 10.0, lame)
    mute = replace(signals, customers=signals.customers.drop("consent_email", "consent_sms"))
    with pytest.raises(DataError, match=r"^customers: lacks consent_<channel>"):
        snapshot(busy, CUTOFF, told_spec, 10.0, mute)


def test_rows_of_one_moment_must_be_equal(busy, told, told_spec, busy_tables):
    people = busy_tables["customers"]
    again = people[people["known_from"].isna()].iloc[:2]
    other = again.assign(is_business=~again["is_business"].fillna(False).astype(bool))
    doubled = busy_tables | {"customers": pd.concat([people, other])}
    with pytest.raises(DataError, match=r"^customers: 2 customers have different rows"):
        snapshot(busy, CUTOFF, told_spec, 10.0, told(**doubled))
    equal = busy_tables | {"customers": pd.concat([people, again])}
    exactly(*(snapshot(busy, CUTOFF, told_spec, 10.0, told(**tables)) for tables in (busy_tables, equal)))


def test_files_without_rows_or_not_there_are_no_tables(told, busy_tables, tmp_path):
    con = connect(Engine(threads=1, memory_limit="1GB"))
    signals = told(**busy_tables)
    rows = signals.contacts.to_pyarrow()
    write_parquet(rows, tmp_path / "contacts.parquet")
    write_parquet(rows.slice(0, 0), tmp_path / "customers.parquet")
    paths = [tmp_path / f"{name}.parquet" for name in ("customers", "interactions", "contacts")]
    found = Signals.read(con, *paths)
    assert found.customers is None and found.interactions is None
    assert found.contacts.to_pyarrow().equals(rows)
    paths[1].write_text("no table")
    with pytest.raises(DataError, match=r"interactions.parquet: is damaged"):
        Signals.read(con, *paths)


def test_an_input_table_is_not_changed(busy, told, told_spec, busy_tables):
    signals = told(**busy_tables)
    before: list[pa.Table] = [table.to_pyarrow() for table in vars(signals).values()]
    snapshot(busy, CUTOFF, told_spec, 10.0, signals)
    assert [table.to_pyarrow() for table in vars(signals).values()] == before
    assert isinstance(signals.customers, ibis.Table)


@pytest.mark.parametrize("customers", [11])
def test_customers_are_described_alike_a_bucket_at_a_time(busy, told, told_spec, busy_tables, customers):
    """Referrals above all, which are told by the rows of others."""
    signals = told(**busy_tables)
    whole = snapshot(busy, CUTOFF, told_spec, 10.0, signals)
    parts = [
        snapshot(bucket.of(busy), CUTOFF, told_spec, 10.0, signals.within(bucket))
        for bucket in customer_buckets(busy, customers)
    ]
    assert whole["referrals"].max() > 0
    exactly(pd.concat(parts, ignore_index=True), whole)

"""Who is learned from. Authority: hashlib's digests, and counting by hand."""

import hashlib
from collections.abc import Callable
from datetime import date, timedelta
from itertools import pairwise

import ibis
import numpy as np
import pandas as pd
import pytest

from churnlab.config import Engine, Features
from churnlab.engine import connect
from churnlab.features.plan import LearningPlan, labelled_snapshots, learned_from, learning_plan
from churnlab.features.sample import Sample, sample_within

FIRST_DAY = date(2024, 1, 1)
CUTOFFS = [FIRST_DAY + timedelta(days=k) for k in (20, 50, 80)]
SETTINGS = Features(
    horizon_days=30,
    windows_days=(7, 30),
    half_lives_days=(20,),
    max_snapshots=3,
    min_step_days=10,
    min_history_days=20,
    max_lookback_days=60,
)


def shop(customers: int = 3000, seed: int = 5) -> pd.DataFrame:
    """Customers who buy on one to three days of the first 120."""
    random = np.random.default_rng(seed)
    ids = np.repeat([f"c{k:05d}" for k in range(customers)], random.integers(1, 4, customers))
    days = random.integers(0, 120, len(ids))
    frame = pd.DataFrame({"customer_id": ids, "day": days}).drop_duplicates(ignore_index=True)
    day = [FIRST_DAY + timedelta(days=int(k)) for k in frame["day"]]
    money = np.round(random.gamma(2, 20, len(frame)) + 1, 2)
    return pd.DataFrame(
        {
            "customer_id": frame["customer_id"],
            "order_id": [f"o{k}" for k in range(len(frame))],
            "ts": pd.to_datetime(day).astype("datetime64[us]"),
            "day": day,
            "amount": money,
            "gross": money,
            "returned": 0.0,
            "is_purchase": True,
        }
    )


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return shop()


@pytest.fixture
def orders(frame: pd.DataFrame, as_table: Callable[[pd.DataFrame], ibis.Table]) -> ibis.Table:
    return as_table(frame)


def members(sample: Sample, orders: ibis.Table) -> set[str]:
    return set(sample.of(orders).customer_id.to_pyarrow().to_pylist())


def rows(frame: pd.DataFrame, ids: set[str]) -> int:
    """Customers of `ids` known at each of the cutoffs, added up."""
    first = frame[frame["customer_id"].isin(ids)].groupby("customer_id")["day"].min()
    return sum(int((first <= cutoff).sum()) for cutoff in CUTOFFS)


@pytest.mark.parametrize("budget", [1, 300, 1000, 4000])
def test_the_budget_is_kept_and_no_further_customers_would_fit_in(orders, frame, budget):
    sample = sample_within(orders, CUTOFFS, budget)
    kept = members(sample, orders)
    digests = {c: hashlib.md5(c.encode()).hexdigest()[:4] for c in frame["customer_id"].unique()}
    assert kept == {c for c, digest in digests.items() if digest < sample.below}
    next_ones = {c for c, digest in digests.items() if digest <= sample.below}
    assert rows(frame, next_ones) > budget
    if budget > 1:
        assert rows(frame, kept) <= budget
    known = frame.loc[frame["day"] <= max(CUTOFFS), "customer_id"]
    assert sample.known == known.nunique()
    assert sample.customers == known[known.isin(kept)].nunique() >= 1


def test_everybody_is_learned_from_where_the_budget_allows(orders, frame):
    everybody = rows(frame, set(frame["customer_id"]))
    assert sample_within(orders, CUTOFFS, everybody) is None
    assert sample_within(orders, CUTOFFS, everybody - 1) is not None


def test_a_larger_budget_holds_the_sample_of_a_smaller_one(orders):
    samples = [members(sample_within(orders, CUTOFFS, n), orders) for n in (100, 200, 800, 3000)]
    assert all(small < large for small, large in pairwise(samples))


def test_who_is_in_depends_on_neither_order_nor_company_nor_threads(orders, frame):
    sample = sample_within(orders, CUTOFFS, 1000)
    kept = members(sample, orders)
    engine = connect(Engine(threads=1))
    shuffled = engine.create_table("o", frame.sample(frac=1.0, random_state=1))
    assert sample_within(shuffled, CUTOFFS, 1000) == sample
    few = engine.create_table("f", frame[frame["customer_id"] < "c00500"])
    assert members(sample, few) == {c for c in kept if c < "c00500"}


def test_a_customer_of_the_sample_is_described_as_among_all(orders):
    """Features and outcomes are those of the whole base's customers, bit for bit; nothing else is in."""
    plan = learning_plan(orders, FIRST_DAY + timedelta(days=119), 30, SETTINGS)
    assert plan.sample is None
    assert learned_from(orders, plan) is orders
    budget = SETTINGS.model_copy(update={"max_training_rows": 1000})
    sampled = learning_plan(orders, FIRST_DAY + timedelta(days=119), 30, budget)
    assert sampled.snapshots == plan.snapshots
    assert LearningPlan.from_dict(sampled.to_dict()) == sampled
    assert "sample" not in plan.to_dict()
    assert f"{sampled.sample.customers:,} of {sampled.sample.known:,} customers" in sampled.notes[0]
    known = learned_from(orders, sampled)
    wholes = labelled_snapshots(orders, sampled)
    for block, whole in zip(labelled_snapshots(known, sampled), wholes, strict=True):
        kept = whole[whole["customer_id"].isin(members(sampled.sample, orders))]
        pd.testing.assert_frame_equal(block, kept.reset_index(drop=True))
        assert 0 < len(block) < len(whole)

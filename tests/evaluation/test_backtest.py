"""Authority: simulated shops of which it is known what makes customers leave."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.metrics import log_loss

from churnlab.engine import connect
from churnlab.errors import DataError
from churnlab.evaluation.backtest import (
    Backtest,
    backtest,
    measured,
    next_order_coverage,
    of_everybody,
    outcome_rows,
    truth_after,
)
from churnlab.features.outcomes import outcomes
from churnlab.features.signals import Signals
from churnlab.operations.scoring import Provenance, Terms, scored_bucket

FIRST_DAY, DAYS, CUTOFF_DAY, HORIZON = date(2022, 1, 1), 500, 430, 60
CUTOFF = FIRST_DAY + timedelta(days=CUTOFF_DAY)


def angry_shop(seed: int = 4, customers: int = 700) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Orders and complaints: everybody buys at one pace until they complain, and then never again."""
    random = np.random.default_rng(seed)
    orders, complaints = [], []
    for number in range(customers):
        name, day = f"c{number:03d}", float(random.uniform(0, 420))
        angry = day + float(random.exponential(150))
        while day < min(angry, DAYS):
            orders.append((name, FIRST_DAY + timedelta(days=int(day)), round(random.gamma(4, 5), 2)))
            day += float(random.exponential(25))
        if angry < DAYS:
            complaints.append((name, FIRST_DAY + timedelta(days=int(angry))))
    frame = pd.DataFrame(orders, columns=["customer_id", "day", "amount"])
    frame = frame.groupby(["customer_id", "day"], as_index=False)["amount"].sum()
    return frame, pd.DataFrame(complaints, columns=["customer_id", "day"])


def orders_table(small_log: Any, frame: pd.DataFrame) -> Any:
    n = len(frame)
    table = pa.table(
        {
            "customer_id": pa.array(frame["customer_id"], pa.string()),
            "order_id": pa.array([str(k) for k in range(n)], pa.string()),
            "ts": pa.array(frame["day"], pa.date32()).cast(pa.timestamp("us")),
            "day": pa.array(frame["day"], pa.date32()),
            "amount": pa.array(frame["amount"], pa.float64()),
            "gross": pa.array(frame["amount"], pa.float64()),
            "returned": pa.array(np.zeros(n)),
            "is_purchase": pa.array([True] * n),
            "n_lines": pa.array([1] * n, pa.int64()),
        }
    )
    return connect(small_log.params.engine).create_table("orders", table)


def interactions_table(frame: pd.DataFrame) -> Any:
    n, moment = len(frame), pa.timestamp("us")
    return ibis.memtable(
        pa.table(
            {
                "customer_id": pa.array(frame["customer_id"], pa.string()),
                "ts": pa.array(frame["day"], pa.date32()).cast(moment),
                "kind": pa.array(["complaint"] * n, pa.string()),
                "score": pa.nulls(n, pa.float64()),
                "channel": pa.nulls(n, pa.string()),
                "topic": pa.nulls(n, pa.string()),
                "responded": pa.nulls(n, moment),
                "resolved": pa.nulls(n, moment),
            }
        )
    )


@pytest.fixture(scope="module")
def shop(small_log: Any) -> tuple[Any, Signals, pd.DataFrame]:
    orders, complaints = angry_shop()
    return orders_table(small_log, orders), Signals(interactions=interactions_table(complaints)), complaints


@pytest.fixture(scope="module")
def told(shop: tuple, small_log: Any) -> Backtest:
    orders, signals, _ = shop
    return backtest(orders, CUTOFF, HORIZON, small_log.params, "v", signals=signals)


def test_what_only_the_complaints_tell_is_learned(told: Backtest, shop: tuple, small_log: Any) -> None:
    """On held-out outcomes, of everybody, and of those whose silence is still too short to tell."""
    orders, _, _ = shop
    truth = truth_after(orders, CUTOFF, HORIZON)
    assert truth is not None
    untold = backtest(orders, CUTOFF, HORIZON, small_log.params, "v")
    pd.testing.assert_series_equal(told.features["customer_id"], truth["customer_id"])
    lately = told.features["days_since_last_order"] <= 30
    for group, least_gain in ((lately | True, 0.2), (lately, 0.1)):
        losses = [
            log_loss(truth["churned"][group], test.predictions["churn_probability"][group])
            for test in (told, untold)
        ]
        assert losses[0] < (1 - least_gain) * losses[1]


def test_reasons_tell_of_the_complaint(told: Backtest, shop: tuple) -> None:
    """Of those who lately complained, against those who never did."""
    _, _, complaints = shop
    days = complaints.set_index("customer_id")["day"]
    reasons = told.scorer.explain(told.features).map(" | ".join).set_axis(told.features["customer_id"])
    lately = [c for c in reasons.index if c in days.index and 0 <= (CUTOFF - days[c]).days < 30]
    assert len(lately) > 20
    raised = reasons[lately].str.contains(r"omplaint[^|]*which raises the risk")
    assert raised.mean() > 0.9
    never = reasons[[c for c in reasons.index if c not in days.index]]
    assert not never.str.contains(r"omplaint[^|]*which raises the risk").any()


def test_what_is_complained_of_later_is_not_seen(told: Backtest, shop: tuple, small_log: Any) -> None:
    orders, _, complaints = shop
    known = Signals(interactions=interactions_table(complaints[complaints["day"] <= CUTOFF]))
    again = backtest(orders, CUTOFF, HORIZON, small_log.params, "v", signals=known)
    assert again.scorer.digest == told.scorer.digest
    pd.testing.assert_frame_equal(again.predictions, told.predictions, check_exact=True)


def test_scores_need_the_tables_of_the_model(told: Backtest, shop: tuple, small_log: Any) -> None:
    orders, signals, _ = shop
    known = orders.filter(orders.day <= CUTOFF)
    terms = Terms(CUTOFF, small_log.params.decisions, Provenance("1", "run", "v"))
    scores = scored_bucket(known, told.scorer, terms, signals)
    expected = told.scorer.predict(told.features)["churn_probability"]
    pd.testing.assert_series_equal(scores["churn_probability"], expected)
    with pytest.raises(DataError, match=r"^interactions: there is no such table, and the model's features"):
        scored_bucket(known, told.scorer, terms)


def test_the_next_order_comes_in_its_interval_as_often_as_it_says(told: Backtest, shop: tuple) -> None:
    """Buyers of a constant rate, as the purchase model takes them to be: 80 %, three standard deviations."""
    customers, share = next_order_coverage(told, shop[0])
    expected = outcomes(shop[0], CUTOFF, HORIZON)
    assert customers == (expected["churned"] == 0).sum()
    assert share == pytest.approx(0.8, abs=3 * np.sqrt(0.8 * 0.2 / customers))


@pytest.fixture(scope="module")
def sampled(shop: tuple, small_log: Any) -> Backtest:
    """Learned from half of the rows."""
    orders, signals, _ = shop
    features = small_log.params.features.model_copy(update={"max_training_rows": 1000})
    params = small_log.params.model_copy(update={"features": features})
    return backtest(orders, CUTOFF, HORIZON, params, "v", signals=signals)


def test_a_sample_is_learned_from_and_told_of(sampled: Backtest, told: Backtest) -> None:
    sample = sampled.scorer.plan.sample
    assert sample is not None
    assert sample.known == len(told.predictions)
    assert sample.customers == len(sampled.predictions) == sampled.scorer.btyd.primary.n_customers
    assert 0.3 * sample.known < sample.customers < 0.7 * sample.known
    assert sampled.scorer.notes[0].startswith(
        f"learned from a sample of {sample.customers} of {sample.known}"
    )
    assert told.scorer.plan.sample is None


def test_a_model_of_a_sample_forecasts_everybody_nearly_as_well(
    sampled: Backtest, told: Backtest, shop: tuple
) -> None:
    """On what followed: nine tenths of what the whole gains in log loss over every customer's own rate."""
    orders, signals, _ = shop
    everybody = of_everybody(sampled, orders, signals, 1000)
    truth = truth_after(orders, CUTOFF, HORIZON)
    assert truth is not None
    pd.testing.assert_series_equal(everybody.predictions["customer_id"], truth["customer_id"])
    forecasts = (everybody.predictions, told.predictions, told.rivals["historical_rate"])
    sample, whole, rate = (log_loss(truth["churned"], frame["churn_probability"]) for frame in forecasts)
    assert rate - sample > 0.9 * (rate - whole) > 0
    assert len(measured(everybody, truth)) == len(measured(told, truth))


def test_everybodys_forecasts_are_those_of_the_sample_and_of_any_buckets(
    sampled: Backtest, told: Backtest, shop: tuple
) -> None:
    orders, signals, _ = shop
    everybody = of_everybody(sampled, orders, signals, 1000)
    pieces = of_everybody(sampled, orders, signals, 37)
    pd.testing.assert_frame_equal(everybody.predictions, pieces.predictions, check_exact=True)
    pd.testing.assert_frame_equal(everybody.rivals["btyd_bgnbd"], pieces.rivals["btyd_bgnbd"])
    own = everybody.predictions["customer_id"].isin(sampled.predictions["customer_id"])
    kept = everybody.predictions[own].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, sampled.predictions, check_exact=True)
    assert of_everybody(told, orders, signals, 37) is told


def test_outcomes_of_a_sample_are_those_of_its_customers(sampled: Backtest, shop: tuple) -> None:
    orders, _, _ = shop
    whole = truth_after(orders, CUTOFF, HORIZON)
    truth = truth_after(orders, CUTOFF, HORIZON, sampled.scorer.plan.sample)
    assert whole is not None
    assert truth is not None
    pd.testing.assert_series_equal(truth["customer_id"], sampled.predictions["customer_id"])
    kept = whole[whole["customer_id"].isin(truth["customer_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(truth, kept)


def test_a_log_shorter_than_a_year_tells_the_rate_of_its_days(told: Backtest, shop: tuple) -> None:
    orders, _, _ = shop
    truth = truth_after(orders, CUTOFF, HORIZON)
    assert truth is not None
    begins = CUTOFF - timedelta(days=72)
    rows = outcome_rows(told, truth, orders.filter(orders.day >= begins)).set_index("customer_id")
    frame = angry_shop()[0]
    lately = frame[(frame["day"] >= begins) & (frame["day"] <= CUTOFF)]
    assert lately["day"].min() == begins
    found = 5 * lately.groupby("customer_id")["amount"].sum().reindex(rows.index, fill_value=0.0)
    np.testing.assert_allclose(rows["spend_last_year"], found, atol=1e-9)


@pytest.mark.parametrize("horizon, known", [(30, True), (46, True), (47, False), (60, False)])
def test_rows_for_decisions_are_what_the_log_holds(
    told: Backtest, shop: tuple, horizon: int, known: bool
) -> None:
    """Counted from the made-up orders: the year before, the silence, and what came after the horizon."""
    test, (orders, _, _) = replace(told, horizon_days=horizon), shop
    truth = truth_after(orders, CUTOFF, horizon)
    assert truth is not None
    rows = outcome_rows(test, truth, orders).set_index("customer_id")
    frame = angry_shop()[0]
    before = frame[frame["day"] <= CUTOFF]
    year = before[before["day"] > CUTOFF - timedelta(days=365)].groupby("customer_id")["amount"].sum()
    found = year.reindex(rows.index, fill_value=0.0)
    np.testing.assert_allclose(rows["spend_last_year"], found, atol=1e-9)
    assert (found == 0).any()
    silent = before.groupby("customer_id")["day"].max().map(lambda day: (CUTOFF - day).days)
    np.testing.assert_allclose(rows["days_since_last_order"], silent.reindex(rows.index))
    end = CUTOFF + timedelta(days=horizon)
    later = frame[frame["day"] > end]
    assert (frame["day"].max() - end).days == DAYS - 1 - CUTOFF_DAY - horizon
    if known:
        spent = later.groupby("customer_id")["amount"].sum() * 365 / (DAYS - 1 - CUTOFF_DAY - horizon)
        expected = spent.reindex(rows.index, fill_value=0.0)
        np.testing.assert_allclose(rows["spend_afterwards"], expected, atol=1e-9)
        assert 0 < (expected > 0).mean() < 1
    else:
        assert rows["spend_afterwards"].isna().all()

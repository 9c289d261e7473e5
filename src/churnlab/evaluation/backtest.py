"""Fits on a history up to a cutoff, forecasts what follows, and compares with what did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from churnlab.config import Params
from churnlab.errors import DataError
from churnlab.evaluation.baselines import compare, days_since_last_order, historical_rate
from churnlab.features.buckets import customer_buckets
from churnlab.features.outcomes import first_order_after, outcomes, spent_before
from churnlab.features.plan import (
    backtest_cutoffs,
    current_snapshot,
    labelled_snapshots,
    learned_from,
    learning_plan,
    stacked,
)
from churnlab.features.sample import Sample
from churnlab.features.signals import NOTHING, Signals
from churnlab.models.scorer import Scorer
from churnlab.models.training import assemble, fit_book, fit_learners, in_units

if TYPE_CHECKING:
    import ibis.expr.types as ir

PREDICTIONS = [
    "customer_id",
    "churn_probability",
    "expected_purchases",
    "expected_spend",
    "expected_spend_low",
    "expected_spend_high",
    "p_alive",
    "clv",
]
# What types and styles of customers rest on.
OF_THE_PAST = (
    "frequency",
    "T",
    "days_since_last_order",
    "gap_mean_days",
    "gap_cv",
    "order_value_cv",
    "discount_share",
    "products_new_share",
    "complaint_open",
    "complaints_90d",
    "csat_last",
    "csat_mean_365d",
    "nps_last",
    "nps_mean_365d",
    "returned_share",
    "returned_share_365d",
)
MODEL = "churnlab"
YEAR_DAYS = 365
Progress = Callable[[str], None]


def quiet(_: str) -> None:
    """Progress that nobody is told."""


@dataclass(frozen=True)
class Backtest:
    """One origin's forecasts.

    Attributes
    ----------
    cutoff, horizon_days
        The origin and the window that was forecast.
    predictions
        Columns `PREDICTIONS`, one row per customer acquired by the cutoff; of the customers learned from, or
        of all.
    rivals
        The same customers as the baselines and BTYD alone see them, by method.
    features
        The snapshot at the cutoff, of the customers learned from.
    scorer
        What was fitted.
    """

    cutoff: date
    horizon_days: int
    predictions: pd.DataFrame
    rivals: dict[str, pd.DataFrame]
    features: pd.DataFrame
    scorer: Scorer


def fit_scorer(
    orders: ir.Table,
    cutoff: date,
    horizon_days: int,
    params: Params,
    data_version: str,
    progress: Progress = quiet,
    signals: Signals = NOTHING,
) -> tuple[Scorer, pd.DataFrame]:
    """The whole of training at one cutoff, in memory, and the snapshot of those learned from at the cutoff.

    Parameters
    ----------
    orders
        Rows after the cutoff are removed before anything looks at them.
    signals
        The optional tables; what they tell of later days is not looked at.
    """
    known = orders.filter(orders.day <= cutoff)
    plan = learning_plan(known, cutoff, horizon_days, params.features, signals)
    progress("snapshots")
    learned = learned_from(known, plan)
    current = current_snapshot(learned, plan, signals=signals)
    snapshots = stacked(labelled_snapshots(learned, plan, signals), current)
    book = fit_book(snapshots, current, plan, params.clv, lambda day: progress(f"BTYD {day}"))
    progress("learners")
    learners = fit_learners(snapshots, current, plan, book, params.churn)
    scorer = assemble(current, plan, book, learners, params.clv, params.decisions.labels, data_version)
    return scorer, current


def backtest(
    orders: ir.Table,
    cutoff: date,
    horizon_days: int,
    params: Params,
    data_version: str,
    progress: Progress = quiet,
    signals: Signals = NOTHING,
) -> Backtest:
    """Fit on data up to the cutoff only and forecast the customers learned from: where they fit in, all."""
    scorer, current = fit_scorer(orders, cutoff, horizon_days, params, data_version, progress, signals)
    predictions = scorer.predict(current)[PREDICTIONS]
    return Backtest(cutoff, horizon_days, predictions, _rivals(current, scorer), current, scorer)


def of_everybody(test: Backtest, orders: ir.Table, signals: Signals, bucket_customers: int) -> Backtest:
    """The same model's forecasts of every customer acquired by the cutoff, and those of its rivals.

    Parameters
    ----------
    orders, signals
        As given to :func:`backtest`.
    bucket_customers
        Customers described at a time, at most; no forecast depends on it.
    """
    if test.scorer.plan.sample is None:
        return test
    known = orders.filter(orders.day <= test.cutoff)
    predictions, rivals = [], []
    for bucket in customer_buckets(known.filter(known.is_purchase), bucket_customers):
        features = current_snapshot(bucket.of(known), test.scorer.plan, signals=signals.within(bucket))
        predictions.append(test.scorer.predict(features)[PREDICTIONS])
        rivals.append(_rivals(features, test.scorer))
    together = {name: pd.concat([part[name] for part in rivals], ignore_index=True) for name in rivals[0]}
    return replace(test, predictions=pd.concat(predictions, ignore_index=True), rivals=together)


def measured(test: Backtest, truth: pd.DataFrame) -> pd.DataFrame:
    """method, target, metric, value of the model, BTYD alone and the baselines, on the same customers."""
    return compare(truth, {MODEL: test.predictions, **test.rivals})


def next_order_coverage(test: Backtest, orders: ir.Table) -> tuple[int, float]:
    """Of the customers who ordered in the horizon, how many, and which share did so in their interval.

    The log ends, so the interval is that of the next order given that it comes within the horizon: the same
    chances, as shares of the chance of an order by then. A day counts with its middle.
    """
    units = in_units(test.features, test.scorer.plan)
    waits = test.features[["customer_id"]].merge(
        first_order_after(orders, test.cutoff, test.horizon_days), on="customer_id", how="left"
    )["days"]
    came = waits.notna().to_numpy()
    if not came.any():
        return 0, float("nan")
    primary, days = test.scorer.btyd.primary, waits.to_numpy(float)[came]
    within = primary.p_next_purchase(units[came], np.full(len(days), float(test.horizon_days)))
    place = primary.p_next_purchase(units[came], days - 0.5) / within
    return int(came.sum()), float((np.abs(place - 0.5) <= test.scorer.clv.interval / 2).mean())


def outcome_rows(test: Backtest, truth: pd.DataFrame, orders: ir.Table) -> pd.DataFrame:
    """Forecast and outcome side by side, with what was known of the past: what decisions are judged by.

    Returns
    -------
    The columns of `truth` and of `PREDICTIONS`; risk_label, value_label; cutoff (ISO day); those of
    `OF_THE_PAST` that the features have; usual_gap_days: the customer's own mean gap, or the typical one;
    spend_last_year: net money in the 365 days up to the cutoff, and where the log begins later, a year's
    money at the rate of the days that it holds; spend_afterwards: the same of the 365 days after the horizon,
    where the log ends earlier of those that it holds, NaN where these are fewer than half a horizon.
    """
    known = [name for name in OF_THE_PAST if name in test.features]
    past = test.features[["customer_id", *known]].assign(
        usual_gap_days=test.features["gap_mean_days"].fillna(test.scorer.typical["gap_mean_days"])
    )
    rows = truth.merge(test.predictions, on="customer_id", validate="one_to_one")
    rows = rows.merge(past, on="customer_id", validate="one_to_one")
    rows = rows.assign(**_spending(test, orders, rows["customer_id"]))
    assert test.scorer.risk is not None and test.scorer.value is not None
    return rows.assign(
        risk_label=test.scorer.risk.label(rows["churn_probability"].to_numpy()).to_numpy(),
        value_label=test.scorer.value.label(rows["clv"].to_numpy()).to_numpy(),
        cutoff=test.cutoff.isoformat(),
    )


def _spending(test: Backtest, orders: ir.Table, customers: pd.Series) -> dict[str, pd.Series | float]:
    """spend_last_year and spend_afterwards of :func:`outcome_rows`."""
    first, last = (getattr(orders.day, end)().to_pyarrow().as_py() for end in ("min", "max"))
    year, end = timedelta(days=YEAR_DAYS), test.cutoff + timedelta(days=test.horizon_days)

    def yearly(after: date, until: date) -> pd.Series:
        days = (until - after).days
        spent = spent_before(orders, until, days).set_index("customer_id")["spend"]
        return customers.map(spent * (YEAR_DAYS / days)).fillna(0.0)

    told = (last - end).days >= test.horizon_days / 2
    return {
        "spend_last_year": yearly(max(first - timedelta(days=1), test.cutoff - year), test.cutoff),
        "spend_afterwards": yearly(end, min(last, end + year)) if told else np.nan,
    }


def truth_after(
    orders: ir.Table, cutoff: date, horizon_days: int, sample: Sample | None = None
) -> pd.DataFrame | None:
    """What happened in (cutoff, cutoff + horizon_days], or None if the log ends before that.

    Parameters
    ----------
    sample
        Of whom to tell; None: everybody acquired by the cutoff.
    """
    last = orders.day.max().to_pyarrow().as_py()
    if last is None or last < cutoff + timedelta(days=horizon_days):
        return None
    return outcomes(orders if sample is None else sample.of(orders), cutoff, horizon_days)


def origins(first_day: date, as_of: date, horizon_days: int, params: Params) -> list[date]:
    """Backtest cutoffs, newest first, origin_step_days apart: the first is one horizon before `as_of`.

    Raises
    ------
    DataError
        The history does not even allow one.
    """
    kept = backtest_cutoffs(first_day, as_of, horizon_days, params.features, params.evaluation)
    if not kept:
        raise DataError(
            f"orders: {(as_of - first_day).days + 1} days of history allow no {horizon_days}-day backtest: "
            "lower features.horizon_days or features.min_history_days, or give a longer history"
        )
    return kept


def _rivals(current: pd.DataFrame, scorer: Scorer) -> dict[str, pd.DataFrame]:
    horizon = scorer.plan.horizon_days
    columns = scorer.btyd.columns(in_units(current, scorer.plan), horizon)
    rivals = {
        f"btyd_{name}": pd.DataFrame(
            {
                "customer_id": current["customer_id"],
                "churn_probability": columns[f"btyd_p_no_purchase_{name}"],
                "expected_purchases": columns[f"btyd_purchases_{name}"],
                "expected_spend": columns[f"btyd_spend_{name}"] * scorer.plan.money_scale,
            }
        )
        for name in scorer.btyd.families
    }
    rivals["historical_rate"] = historical_rate(current, horizon)
    rivals["days_since_last_order"] = days_since_last_order(current)
    return rivals

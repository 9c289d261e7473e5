"""Fits on a history up to a cutoff, forecasts what follows, and compares with what did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from churnlab.config import Params
from churnlab.errors import DataError
from churnlab.evaluation.baselines import compare, days_since_last_order, historical_rate
from churnlab.features.outcomes import outcomes
from churnlab.features.plan import backtest_cutoffs, current_snapshot, labelled_snapshots, learning_plan
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
MODEL = "churnlab"
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
        Columns `PREDICTIONS`, one row per customer acquired by the cutoff.
    rivals
        The same customers as the baselines and BTYD alone see them, by method.
    features
        The snapshot at the cutoff.
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
    """The whole of training at one cutoff, in memory, and the snapshot at the cutoff.

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
    blocks = list(labelled_snapshots(known, plan, signals))
    current = current_snapshot(known, plan, signals=signals)
    snapshots = pd.concat(blocks, ignore_index=True) if blocks else current.iloc[:0]
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
    """Fit on data up to the cutoff only and forecast every customer acquired by it."""
    scorer, current = fit_scorer(orders, cutoff, horizon_days, params, data_version, progress, signals)
    predictions = scorer.predict(current)[PREDICTIONS]
    return Backtest(cutoff, horizon_days, predictions, _rivals(current, scorer), current, scorer)


def measured(test: Backtest, truth: pd.DataFrame) -> pd.DataFrame:
    """method, target, metric, value of the model, BTYD alone and the baselines, on the same customers."""
    return compare(truth, {MODEL: test.predictions, **test.rivals})


def truth_after(orders: ir.Table, cutoff: date, horizon_days: int) -> pd.DataFrame | None:
    """What happened in (cutoff, cutoff + horizon_days], or None if the log ends before that."""
    last = orders.day.max().to_pyarrow().as_py()
    if last is None or last < cutoff + timedelta(days=horizon_days):
        return None
    return outcomes(orders, cutoff, horizon_days)


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

"""Takes one part away from churnlab at a time and writes what is left to benchmarks/ablation.json.

python benchmarks/ablation.py
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from _tasks import (
    DECEMBER,
    FEW_CUSTOMERS,
    MAIN_TASKS,
    PARAMS,
    SEASON_CUSTOMERS,
    SEASON_CUTOFF,
    SEASON_HORIZON,
    Task,
    chosen,
    outcomes_of,
    read_orders,
    seasonal_orders,
    shown,
    write_figures,
)
from churnlab.config import Params, read_params
from churnlab.evaluation.backtest import fit_scorer
from churnlab.evaluation.baselines import compare
from churnlab.features.plan import LearningPlan, current_snapshot, labelled_snapshots, learning_plan
from churnlab.models.forecaster import Forecaster, without_learners
from churnlab.models.scorer import Scorer
from churnlab.models.targets import Target
from churnlab.models.training import KEYS, BtydBook, assemble, fit_book, fit_learners

OUT = Path(__file__).with_name("ablation.json")
METRICS = {"churn": ("roc_auc", "log_loss", "ece"), "spend": ("normalised_gini",), "purchases": ("mae",)}
BIASES = {"purchases": ("aggregate_bias",), "spend": ("aggregate_bias",)}
OUTCOMES = ("churned", "n_purchases", "spend")
RFM = ("frequency", "recency", "T", "monetary_value", "paid_repeats", "days_since_last_order")


@dataclass(frozen=True)
class Bench:
    """What the variants of one task start from: `snapshots` with outcomes, and `current` at the cutoff."""

    params: Params
    plan: LearningPlan
    snapshots: pd.DataFrame
    current: pd.DataFrame
    book: BtydBook
    truth: pd.DataFrame

    @classmethod
    def of(cls, task: Task, params: Params) -> Bench:
        """The task's snapshots, purchase models and outcomes."""
        orders = read_orders(task, params)
        known = orders.filter(orders.day <= task.cutoff)
        plan = learning_plan(known, task.cutoff, task.horizon_days, params.features)
        snapshots = pd.concat(labelled_snapshots(known, plan), ignore_index=True)
        current = current_snapshot(known, plan)
        book = fit_book(snapshots, current, plan, params.clv)
        return cls(
            params, plan, snapshots, current, book, outcomes_of(orders, task.cutoff, task.horizon_days)
        )

    def learners(self) -> Forecaster:
        """What is learned from it."""
        return fit_learners(self.snapshots, self.current, self.plan, self.book, self.params.churn)

    def packaged(self, forecaster: Forecaster) -> Scorer:
        """A scorer from its purchase models and `forecaster`."""
        clv, labels = self.params.clv, self.params.decisions.labels
        return assemble(self.current, self.plan, self.book, forecaster, clv, labels, "")


Variant = Callable[[Bench], pd.DataFrame]


def as_shipped(bench: Bench) -> pd.DataFrame:
    """Forecasts by everything there is."""
    return bench.packaged(bench.learners()).forecast(bench.current)


def btyd_alone(bench: Bench) -> pd.DataFrame:
    """Forecasts by the mean of the purchase models."""
    return bench.packaged(without_learners(())).forecast(bench.current)


def with_learners(bench: Bench, **settings: Any) -> pd.DataFrame:
    """Forecasts under other values in the section `churn`."""
    churn = bench.params.churn.model_copy(update=settings)
    return as_shipped(replace(bench, params=bench.params.model_copy(update={"churn": churn})))


def rfm_only(bench: Bench) -> pd.DataFrame:
    """Forecasts by learners that read RFM columns only."""
    snapshots = bench.snapshots[[*KEYS, *RFM, *OUTCOMES]]
    few = replace(bench, snapshots=snapshots, current=bench.current[["customer_id", *RFM]])
    return bench.packaged(few.learners()).forecast(bench.current)


def newest_snapshots(bench: Bench, count: int) -> pd.DataFrame:
    """Forecasts learned from the newest `count` snapshots."""
    plan, kept = bench.plan, bench.plan.snapshots[:count]
    fewer = replace(
        plan,
        snapshots=kept,
        calibration=tuple(day for day in plan.calibration if day in kept),
        year_before=tuple(day for day in plan.year_before if day in kept),
    )
    recent = bench.snapshots["cutoff"].dt.date.isin(kept)
    return as_shipped(replace(bench, plan=fewer, snapshots=bench.snapshots[recent]))


def one_family(bench: Bench) -> pd.DataFrame:
    """Forecasts with MBG/NBD as the only purchase model."""
    clv = bench.params.clv.model_copy(update={"families": ("mbgnbd",)})
    params = bench.params.model_copy(update={"clv": clv})
    book = fit_book(bench.snapshots, bench.current, bench.plan, clv)
    return as_shipped(replace(bench, params=params, book=book))


VARIANTS: dict[str, Variant] = {
    "as shipped": as_shipped,
    "BTYD alone": btyd_alone,
    "LightGBM and BTYD": partial(with_learners, members=("lightgbm",)),
    "without LightGBM": partial(with_learners, members=("linear", "recency")),
    "without regressions": partial(with_learners, members=("lightgbm", "recency")),
    "without recency": partial(with_learners, members=("lightgbm", "linear")),
    "without calibration": partial(with_learners, probability_calibration="none"),
    "RFM features only": rfm_only,
    "three snapshots": partial(newest_snapshots, count=3),
    "one snapshot": partial(newest_snapshots, count=1),
    "one purchase family": one_family,
}


def ablation(task: Task, params: Params) -> list[dict[str, Any]]:
    """One row per variant: task, variant and its metrics."""
    bench = Bench.of(task, params)
    forecasts = {name: VARIANTS[name](bench) for name in shown(list(VARIANTS), task.name)}
    found = chosen(compare(bench.truth, forecasts), METRICS)
    return [{"task": task.name, "variant": name, **figures} for name, figures in found.items()]


def season(params: Params) -> dict[str, Any]:
    """The seasonal log in figures, and the bias of the totals before its second December, by variant."""
    orders = seasonal_orders(params)
    scorer, current = fit_scorer(orders, SEASON_CUTOFF, SEASON_HORIZON, params, "")
    forecasters = {
        "as shipped": scorer.forecaster,
        "without the season": replace(scorer.forecaster, season=dict.fromkeys(Target, 0.0)),
        "BTYD alone": without_learners(()),
    }
    forecasts = {
        name: replace(scorer, forecaster=forecaster).forecast(current)
        for name, forecaster in forecasters.items()
    }
    truth = outcomes_of(orders, SEASON_CUTOFF, SEASON_HORIZON)
    found = chosen(compare(truth, forecasts), BIASES)
    return {
        "cutoff": SEASON_CUTOFF.isoformat(),
        "horizon_days": SEASON_HORIZON,
        "customers": SEASON_CUSTOMERS,
        "december": DECEMBER,
        "variants": [{"variant": name, **figures} for name, figures in found.items()],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every variant of every task and write the figures."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args(arguments)
    params = read_params(PARAMS)
    rows = [row for task in (*MAIN_TASKS, *FEW_CUSTOMERS) for row in ablation(task, params)]
    write_figures({"ablation": rows, "season": season(params)}, OUT)
    sys.stdout.write(f"benchmarks/{OUT.name}: written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

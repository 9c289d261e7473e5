"""Backtests churnlab and its rivals on every task and writes benchmarks/accuracy.json.

python benchmarks/accuracy.py                 all tasks; writes the file
python benchmarks/accuracy.py --only cdnow    tasks whose name holds the text; prints only
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import lightgbm as lgb
import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from _tasks import (
    PARAMS,
    SMALL_TASKS,
    TASKS,
    Task,
    chosen,
    outcomes_of,
    read_orders,
    shown,
    write_figures,
)
from churnlab.config import Params, read_params
from churnlab.evaluation.backtest import MODEL, Backtest, backtest
from churnlab.evaluation.baselines import align, compare
from churnlab.evaluation.metrics import BETTER, Metric, log_loss, normalised_gini, paired_difference, roc_auc
from churnlab.features.outcomes import outcomes
from churnlab.features.rfm import rfm

if TYPE_CHECKING:
    import ibis.expr.types as ir

OUT = Path(__file__).with_name("accuracy.json")
METRICS = {
    "churn": ("roc_auc", "log_loss", "ece"),
    "spend": ("normalised_gini", "decile_mape", "aggregate_bias"),
    "purchases": ("mae", "normalised_gini"),
}
RFM = ["frequency", "recency", "T", "monetary_value", "days_since_last_order"]
PRINTED_WIDTH = 200  # a file or a pipe has no width of its own


class Contest(NamedTuple):
    """A metric by which churnlab is set against the best rival."""

    target: str
    name: str
    metric: Metric
    outcome: str
    columns: tuple[str, ...]  # the first that a method has


CONTESTS = (
    Contest("churn", "roc_auc", roc_auc, "churned", ("churn_probability", "score")),
    Contest("churn", "log_loss", log_loss, "churned", ("churn_probability",)),
    Contest("spend", "normalised_gini", normalised_gini, "spend", ("expected_spend",)),
)


def tutorial_lightgbm(orders: ir.Table, test: Backtest) -> pd.DataFrame | None:
    """Forecasts of LightGBM as it comes, learned on the RFM of one snapshot; None if it teaches nothing."""
    before = test.cutoff - timedelta(days=test.horizon_days)
    known = orders.filter(orders.day <= test.cutoff)
    followed = outcomes(known, before, test.horizon_days)
    learned = rfm(known, before).to_pandas().merge(followed, on="customer_id", validate="one_to_one")
    if learned["churned"].nunique() < 2:
        return None
    settings = {"random_state": 0, "n_jobs": 1, "verbose": -1}
    churn = lgb.LGBMClassifier(**settings).fit(learned[RFM], learned["churned"])
    amounts = {
        outcome: lgb.LGBMRegressor(**settings).fit(learned[RFM], learned[outcome])
        for outcome in ("n_purchases", "spend")
    }
    now = test.features[RFM]
    return pd.DataFrame(
        {
            "customer_id": test.features["customer_id"],
            "churn_probability": churn.predict_proba(now)[:, 1],
            "expected_purchases": amounts["n_purchases"].predict(now).clip(min=0),
            "expected_spend": amounts["spend"].predict(now).clip(min=0),
        }
    )


def result(task: Task, params: Params) -> dict[str, Any]:
    """Customers, churn rate, seconds, metrics of every method, and churnlab against the best rival."""
    orders = read_orders(task, params)
    truth = outcomes_of(orders, task.cutoff, task.horizon_days)
    begun = perf_counter()
    test = backtest(orders, task.cutoff, task.horizon_days, params, task.name)
    seconds = perf_counter() - begun
    methods = {MODEL: test.predictions, **test.rivals}
    tutorial = tutorial_lightgbm(orders, test)
    if tutorial is not None:
        methods["tutorial_lightgbm"] = tutorial
    table = compare(truth, methods)
    return {
        "task": task.name,
        "customers": len(truth),
        "churn_rate": float(truth["churned"].mean()),
        "seconds": seconds,
        "methods": chosen(table, METRICS),
        "against_best_rival": {contest.name: against(contest, table, truth, methods) for contest in CONTESTS},
    }


def on_samples(task: Task, samples: int, params: Params) -> dict[str, Any]:
    """Means over samples of a log, and of churnlab less each sample's best rival with its standard error."""
    parts = [replace(task, part=part) for part in range(samples)]
    found = [result(part, params) for part in shown(parts, task.name)]
    out: dict[str, Any] = {"task": task.name, "samples": samples, "churnlab": {}, "against_best_rival": {}}
    for contest in CONTESTS:
        ours = [one["methods"][MODEL][contest.target][contest.name] for one in found]
        ahead = np.array([one["against_best_rival"][contest.name]["difference"] for one in found])
        out["churnlab"][contest.name] = float(np.mean(ours))
        error = float(ahead.std(ddof=1) / np.sqrt(samples))
        out["against_best_rival"][contest.name] = {"mean": float(ahead.mean()), "standard_error": error}
    return out


def against(
    contest: Contest, table: pd.DataFrame, truth: pd.DataFrame, methods: dict[str, pd.DataFrame]
) -> dict[str, Any]:
    """The best rival, and churnlab less it with the interval of the paired bootstrap."""
    rival = best_rival(table, contest)
    ours, theirs = (align(truth, methods[name], name) for name in (MODEL, rival))
    both = ours[["customer_id", contest.outcome]].assign(ours=_column(ours, contest))
    theirs = theirs[["customer_id"]].assign(theirs=_column(theirs, contest))
    both = both.merge(theirs, on="customer_id", validate="one_to_one")
    found = paired_difference(contest.metric, both[contest.outcome], both["ours"], both["theirs"])
    return {"rival": rival, "difference": found.estimate, "low": found.low, "high": found.high}


def best_rival(table: pd.DataFrame, contest: Contest) -> str:
    """The method other than churnlab with the best metric."""
    asked = (table["target"] == contest.target) & (table["metric"] == contest.name)
    values = table[asked & (table["method"] != MODEL)].set_index("method")["value"]
    return str(values.idxmax() if BETTER[contest.name] == "higher" else values.idxmin())


def _column(joined: pd.DataFrame, contest: Contest) -> pd.Series:
    return joined[next(name for name in contest.columns if name in joined)]


def printed(results: Sequence[dict[str, Any]]) -> Table:
    """churnlab's figures, and what it is ahead of or behind the best rival."""
    pairs = (column for contest in CONTESTS for column in (contest.name, "less the best rival"))
    out = Table("task", "customers", "seconds", *pairs)
    for row in results:
        cells = [row["task"], f"{row['customers']:,}", f"{row['seconds']:.0f}"]
        for contest in CONTESTS:
            rival = row["against_best_rival"][contest.name]
            cells.append(f"{row['methods'][MODEL][contest.target][contest.name]:.4f}")
            span = f"{rival['difference']:+.4f} [{rival['low']:+.4f}, {rival['high']:+.4f}]"
            cells.append(f"{span} {rival['rival']}")
        out.add_row(*cells)
    return out


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tasks asked for; only a run of all is written down."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="tasks whose name holds this text; writes no file")
    only = parser.parse_args(arguments).only
    tasks = [task for task in TASKS if only in task.name]
    if not tasks:
        parser.error(f"--only {only}: no task has it in its name; they are {[task.name for task in TASKS]}")
    params = read_params(PARAMS)
    results = [result(task, params) for task in shown(tasks, "backtests")]
    if not only:
        small = [on_samples(task, samples, params) for task, samples in SMALL_TASKS]
        write_figures({"tasks": results, "small": small}, OUT)
    console = Console(markup=False)
    (console if console.is_terminal else Console(width=PRINTED_WIDTH, markup=False)).print(printed(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`churnlab backtest`: reads the source, backtests at given cutoffs, writes the forecasts, prints the metrics."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import date
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from churnlab.config import Params
from churnlab.data import cleaning, sources
from churnlab.engine import connect, write_parquet
from churnlab.evaluation.backtest import backtest, measured, truth_after

PRINTED = {
    "churn": ("roc_auc", "average_precision", "brier", "log_loss", "ece", "lift_at_10pct"),
    "purchases": ("mae", "normalised_gini", "aggregate_bias"),
    "spend": ("normalised_gini", "spearman", "decile_mape", "aggregate_bias", "top_decile_capture"),
}


def backtest_source(params: Params, cutoffs: Sequence[date], horizon_days: int | None, out: Path) -> None:
    """Fit at each cutoff on what was known then, and write one row per customer and cutoff.

    The file has the columns of `PREDICTIONS`, and `cutoff` where there are several cutoffs. Metrics are printed
    where the log reaches to the end of the horizon.
    """
    horizon = horizon_days or params.features.horizon_days
    con = connect(params.engine)
    cleaned = cleaning.clean(con, sources.read(con, params.data), params.data)
    orders = con.create_table("orders", cleaned.orders.to_pyarrow())
    tables = []
    errors = Console(stderr=True)
    for cutoff in cutoffs:
        with errors.status(f"backtest {cutoff}") if sys.stderr.isatty() else nullcontext():
            test = backtest(orders, cutoff, horizon, params, cleaned.summary["data_version"])
        tables.append(test.predictions.assign(cutoff=cutoff) if len(cutoffs) > 1 else test.predictions)
        for note in test.scorer.forecaster.notes:
            errors.print(f"{cutoff}: {note}", soft_wrap=True, highlight=False)
        truth = truth_after(orders, cutoff, horizon)
        if truth is None:
            errors.print(f"{cutoff}: the log ends before {horizon} days have passed: no metrics", highlight=False)
            continue
        _print(measured(test, truth), f"{cutoff}, {horizon} days, {len(truth):,} customers")
    write_parquet(pd.concat(tables, ignore_index=True), out)


def _print(table: pd.DataFrame, title: str) -> None:
    methods = list(dict.fromkeys(table["method"]))
    cells = table.set_index(["target", "metric", "method"])["value"]
    shown = Table(title=title, title_justify="left")
    for name in ("", *methods):
        shown.add_column(name, justify="right" if name else "left")
    for target, metrics in PRINTED.items():
        for metric in metrics:
            values = [cells.get((target, metric, method)) for method in methods]
            shown.add_row(f"{target} {metric}", *("" if v is None else f"{v:.4f}" for v in values))
    Console(width=max(100, 24 + 16 * len(methods))).print(shown)


"""`churnlab backtest`: forecasts from given cutoffs, and what they and the list were worth."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from churnlab.config import Params
from churnlab.data.ingestion import ingest
from churnlab.decisions.profit import PLAN, UNLIMITED
from churnlab.decisions.profit_definitions import judged, main_definition, main_table
from churnlab.engine import connect, write_parquet
from churnlab.errors import DataError
from churnlab.evaluation.backtest import (
    Backtest,
    backtest,
    measured,
    of_everybody,
    outcome_rows,
    quiet,
    truth_after,
)
from churnlab.features.gates import require_learnable
from churnlab.features.signals import Signals
from churnlab.operations.save_rates_file import in_force

if TYPE_CHECKING:
    import ibis.expr.types as ir

FARTHEST_DAYS = 3650
WIDE = 240  # columns are as wide as they need to be: a file or a pipe has no width of its own
LISTS = {PLAN: "the list", UNLIMITED: "the list without limits"}
PRINTED = {
    "churn": ("roc_auc", "average_precision", "brier", "log_loss", "ece", "lift_at_10pct", "empc"),
    "purchases": ("mae", "normalised_gini", "aggregate_bias"),
    "spend": ("normalised_gini", "spearman", "decile_mape", "aggregate_bias", "top_decile_capture"),
}


def backtest_source(
    params: Params,
    cutoffs: Sequence[date],
    horizon_days: int | None,
    out: Path,
    landing: Path | None = None,
) -> None:
    """Fit at each cutoff on what was known then, and write one row per customer and cutoff.

    The file has the columns of `PREDICTIONS`, and `cutoff` where there are several cutoffs. Metrics, and what
    the list would have brought beside simpler rules, are printed where the log reaches to the end of the
    horizon.

    Parameters
    ----------
    cutoffs
        Last days that are known; one given twice counts once.
    horizon_days
        Length of the forecast; features.horizon_days if None.
    out
        Parquet file.
    landing
        Where an incremental source keeps what it has read.

    Raises
    ------
    DataError
        The source cannot be read, a cutoff lies before the first purchase or far beyond the last line, no
        model can learn from what was known then, or the file cannot be written.
    ConfigError
        The file of learned save rates cannot be used.
    """
    weighed = in_force(params)
    if out.is_dir():
        raise DataError(f"{out}: is a folder: name a Parquet file with --out")
    days = list(dict.fromkeys(cutoffs))
    horizon = horizon_days or params.features.horizon_days
    con = connect(params.engine)
    found = ingest(con, params.data, landing)
    orders = con.create_table("orders", found.orders.to_pyarrow())
    signals = Signals.of(found.customers, found.interactions, found.contacts)
    _require_reach(orders, days)
    for cutoff in days:
        require_learnable(orders, cutoff, params.gates)
    errors = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    tables = []
    for cutoff in days:
        with errors.status(f"backtest {cutoff}") if sys.stderr.isatty() else nullcontext():
            version = found.summary["data_version"]
            test = backtest(orders, cutoff, horizon, params, version, quiet, signals)
            test = of_everybody(test, orders, signals, params.engine.bucket_customers)
        tables.append(test.predictions.assign(cutoff=cutoff) if len(days) > 1 else test.predictions)
        truth = truth_after(orders, cutoff, horizon)
        _tell(test, truth, errors)
        if truth is not None:
            name, profit = profit_of(test, truth, orders, weighed)
            _print_profit(profit, f"{cutoff}, {horizon} days, profit by {name.replace('_', ' ')}")
    write_parquet(pd.concat(tables, ignore_index=True), out)


def profit_of(
    test: Backtest, truth: pd.DataFrame, orders: ir.Table, params: Params
) -> tuple[str, pd.DataFrame]:
    """What the list of that day would have brought beside simpler rules, after the definition it goes by.

    See :func:`churnlab.decisions.profit.profit_table`.
    """
    rows, closed = judged(outcome_rows(test, truth, orders), params.decisions)
    return main_definition(rows), main_table(rows, params.decisions, params.clv, closed)


def _require_reach(orders: ir.Table, cutoffs: Sequence[date]) -> None:
    """Refuse all cutoffs before the first is fitted."""
    bought = orders.filter(orders.is_purchase)
    first, last = (getattr(bought.day, end)().to_pyarrow().as_py() for end in ("min", "max"))
    if first is None:
        raise DataError("orders: hold no purchase: check data.columns, and the quarantine that ingest writes")
    for cutoff in cutoffs:
        if cutoff < first:
            raise DataError(f"orders: begin on {first}, after the cutoff {cutoff}: choose a later --cutoff")
        if (cutoff - last).days > FARTHEST_DAYS:
            raise DataError(f"orders: end on {last}, over ten years before {cutoff}: correct --cutoff")


def _tell(test: Backtest, truth: pd.DataFrame | None, errors: Console) -> None:
    """Reservations to stderr, metrics to stdout."""
    for note in test.scorer.notes:
        errors.print(f"{test.cutoff}: {note}")
    if truth is None:
        errors.print(f"{test.cutoff}: the log ends before {test.horizon_days} days have passed: no metrics")
        return
    _print(measured(test, truth), f"{test.cutoff}, {test.horizon_days} days, {len(truth):,} customers")


def _print(table: pd.DataFrame, title: str) -> None:
    methods = list(dict.fromkeys(table["method"]))
    cells = table.set_index(["target", "metric", "method"])["value"].to_dict()
    shown = Table(title=title, title_justify="left")
    for name in ("", *methods):
        shown.add_column(name, justify="right" if name else "left")
    for target, metrics in PRINTED.items():
        for metric in metrics:
            values = [cells.get((target, metric, method)) for method in methods]
            shown.add_row(f"{target} {metric}", *("" if v is None else f"{v:.4f}" for v in values))
    # a file or a pipe has no width of its own
    Console(width=max(100, 24 + 16 * len(methods))).print(shown)


def _print_profit(table: pd.DataFrame, title: str) -> None:
    shown = Table(title=title, title_justify="left")
    for name in ("contacted", "by", "contacts", "cost", "expected", "realised", "list ahead by", "90 %"):
        shown.add_column(name, justify="left" if name in ("contacted", "by") else "right")
    for row in table.to_dict("records"):
        named = LISTS.get(row["strategy"], row["strategy"])
        money = [f"{row[name]:,.2f}" for name in ("cost", "expected_profit", "realised_profit")]
        ahead = [f"{row['plan_ahead']:,.2f}", f"{row['ahead_low']:,.2f} to {row['ahead_high']:,.2f}"]
        words = (escape(text.replace("_", " ")) for text in (named, row["action"]))
        shown.add_row(*words, f"{row['contacts']:,.0f}", *money, *([] if row["strategy"] in LISTS else ahead))
    Console(width=WIDE).print(shown)

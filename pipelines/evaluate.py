"""DVC stage `evaluate`: the same training at cutoffs in the past, measured on what followed."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pandas as pd

from churnlab.config import Params
from churnlab.engine import connect, write_parquet, write_text
from churnlab.evaluation.backtest import (
    MODEL,
    Backtest,
    backtest,
    measured,
    next_order_coverage,
    origins,
    outcome_rows,
    truth_after,
)
from churnlab.evaluation.report_data import headline, plot_frames
from churnlab.features.signals import NOTHING, Signals
from churnlab.pipelines._files import ingested, progress, write_json
from churnlab.pipelines._run import Workspace, main

if TYPE_CHECKING:
    import ibis.expr.types as ir


def run(params: Params) -> None:
    """Orders, optional tables → reports/metrics.json, comparison.parquet, backtest.parquet, plots/."""
    work = Workspace.of(params)
    found = ingested(work)
    con = connect(params.engine)
    orders = con.read_parquet(work.orders)
    signals = Signals.read(con, work.customers, work.interactions, work.contacts)
    cutoffs = origins(found.first_day, found.as_of, params.features.horizon_days, params)
    tables, rows, covered = [], [], []
    with progress("backtest", len(cutoffs)) as step:
        # the newest origin comes last: its forecasts are the ones that are drawn
        for cutoff in reversed(cutoffs):
            test, truth = tested(orders, cutoff, params, found.data_version, signals)
            tables.append(measured(test, truth).assign(cutoff=cutoff.isoformat()))
            rows.append(outcome_rows(test, truth, orders))
            covered.append(next_order_coverage(test, orders))
            step(cutoff.isoformat())
    table = pd.concat(tables, ignore_index=True)
    write_parquet(table, work.comparison)
    write_parquet(pd.concat(rows, ignore_index=True), work.backtest)
    metrics = headline(table)
    came = sum(customers for customers, _ in covered)
    if came:
        inside = sum(customers * share for customers, share in covered if customers)
        metrics[MODEL]["next_order"] = {"customers": came, "interval_coverage": round(inside / came, 6)}
    write_json(metrics, work.metrics)
    for name, frame in plot_frames(test, truth).items():
        write_text(frame.to_csv(index=False), work.plots / f"{name}.csv")


def tested(
    orders: ir.Table, cutoff: date, params: Params, data_version: str, signals: Signals = NOTHING
) -> tuple[Backtest, pd.DataFrame]:
    """What was forecast at the cutoff for the customers learned from, and what happened then."""
    horizon = params.features.horizon_days
    test = backtest(orders, cutoff, horizon, params, data_version, signals=signals)
    truth = truth_after(orders, cutoff, horizon, test.scorer.plan.sample)
    if truth is None:
        raise AssertionError(f"the outcomes of {cutoff} are not in the log")
    return test, truth


if __name__ == "__main__":
    main(run)

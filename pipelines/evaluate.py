"""DVC stage `evaluate`: the same training at cutoffs in the past, measured on what followed."""

from __future__ import annotations

import json

import pandas as pd

from churnlab.config import Params
from churnlab.engine import connect, write_parquet, write_text
from churnlab.evaluation.backtest import backtest, measured, origins, truth_after
from churnlab.evaluation.report_data import headline, plot_frames
from churnlab.pipelines._files import ingested, progress
from churnlab.pipelines._run import Workspace, main


def run(params: Params) -> None:
    """data/orders.parquet → reports/metrics.json, reports/backtest.parquet, reports/plots/."""
    work = Workspace.of(params)
    summary = ingested(work)
    orders = connect(params.engine).read_parquet(work.orders)
    horizon = params.features.horizon_days
    cutoffs = origins(summary.first_day, summary.as_of, horizon, params)
    tables = []
    with progress("backtest", len(cutoffs)) as step:
        # the newest origin comes last: its forecasts are the ones that are drawn
        for cutoff in reversed(cutoffs):
            test = backtest(orders, cutoff, horizon, params, summary.data_version)
            truth = truth_after(orders, cutoff, horizon)
            if truth is None:
                raise AssertionError(f"the outcomes of {cutoff} are not in the log")
            tables.append(measured(test, truth).assign(cutoff=cutoff.isoformat()))
            step(cutoff.isoformat())
    table = pd.concat(tables, ignore_index=True)
    write_parquet(table, work.comparison)
    write_parquet(truth.merge(test.predictions, on="customer_id", validate="one_to_one"), work.backtest)
    write_text(json.dumps(headline(table), indent=1, sort_keys=True) + "\n", work.metrics)
    for name, frame in plot_frames(test, truth).items():
        write_text(frame.to_csv(index=False), work.plots / f"{name}.csv")


if __name__ == "__main__":
    main(run)

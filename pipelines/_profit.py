"""Profit in the backtest: worked out from the forecasts and outcomes that stage `evaluate` wrote."""

from __future__ import annotations

import pandas as pd

from churnlab.config import Params
from churnlab.decisions.profit import PLAN, over_all
from churnlab.decisions.profit_definitions import definitions_table, judged, main_table
from churnlab.engine import read_parquet, write_parquet, write_text
from churnlab.pipelines._files import write_json
from churnlab.pipelines._run import Workspace


def write_profit(params: Params, work: Workspace) -> dict[str, float]:
    """reports/backtest.parquet → reports/profit.parquet, .csv and .json; the metrics of a run, by name."""
    settings = params.decisions
    rows, closed = judged(read_parquet(work.backtest), settings)
    profit = main_table(rows, settings, params.clv, closed)
    write_parquet(profit, work.profit)
    write_parquet(definitions_table(rows, settings, params.clv, closed), work.profit_definitions)
    write_text(profit.round(2).to_csv(index=False), work.profit_plot)
    summary = profit_summary(profit)
    write_json(summary, work.profit_summary)
    return {f"profit.{s}.{name}": value for s, figures in summary.items() for name, value in figures.items()}


def profit_summary(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Realised profit per strategy over all cutoffs, and how far the plan was ahead."""
    names = ["expected_profit", "realised_profit", "plan_ahead", "ahead_low", "ahead_high"]
    told = over_all(table).set_index("strategy")[names].round(2).to_dict("index")
    told[PLAN] = {name: told[PLAN][name] for name in names[:2]}
    return {str(strategy): {str(name): float(x) for name, x in row.items()} for strategy, row in told.items()}

"""What the record of an execution holds besides its model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from churnlab.evaluation import plots
from churnlab.pipelines._run import Workspace
from churnlab.report.figures import piece, plotly_script

DRAWN: dict[str, Callable[[pd.DataFrame], Any]] = {
    "roc": plots.roc_figure,
    "precision_recall": plots.precision_recall_figure,
    "reliability": plots.reliability_figure,
    "lift": plots.lift_figure,
    "clv_deciles": plots.clv_deciles_figure,
    "frequency_recency": plots.frequency_recency_figure,
}


def execution_files(work: Workspace) -> list[tuple[Path, str]]:
    """Files that a run's record keeps besides the model; single customers' forecasts stay out of it."""
    return [
        (work.ingest_summary, "data"),
        (work.plan, "data"),
        (work.clv_summary, "evaluation"),
        (work.metrics, "evaluation"),
        (work.comparison, "evaluation"),
        (work.plots, "evaluation"),
    ]


def figures(work: Workspace) -> dict[str, Any]:
    """The plots of the newest backtest, drawn from the frames that stage `evaluate` wrote."""
    return {name: draw(pd.read_csv(work.plots / f"{name}.csv")) for name, draw in DRAWN.items()}


def plots_page(work: Workspace) -> dict[str, str]:
    """All plots as one self-contained page for the run's record."""
    pieces = [piece(figure, name) for name, figure in figures(work).items()]
    body = "".join(f"<section>{part}</section>" for part in pieces)
    return {"plots": f"<!doctype html><meta charset='utf-8'><script>{plotly_script()}</script>{body}"}

"""Frames laid out as the page's tables."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from churnlab.decisions.priority import value_at_stake
from churnlab.evaluation.metrics import BETTER
from churnlab.report.wording import METRICS, TARGETS, Wording

RISKS = ("high", "medium", "low")
VALUES = ("top", "high", "medium", "low")


class Cell(NamedTuple):
    """One field of the risk x value matrix; `shade` is 0 to 1."""

    customers: int
    value_at_stake: float
    shade: float


class MatrixRow(NamedTuple):
    """The fields of one risk label, in the order of VALUES, and their sum."""

    risk: str
    cells: list[Cell]
    total: Cell


class Matrix(NamedTuple):
    """Rows in the order of RISKS, and the sums of the columns and of all."""

    rows: list[MatrixRow]
    totals: list[Cell]
    total: Cell


class MetricRow(NamedTuple):
    """A metric's mean figure per method (None: undefined), its range over cutoffs, and which are best."""

    wording: Wording
    target: str
    figures: list[float | None]
    ranges: list[tuple[float, float] | None]
    best: list[bool]


class MetricTable(NamedTuple):
    """Columns of methods, and blocks of rows per target."""

    methods: list[str]
    blocks: list[tuple[str, list[MetricRow]]]


def risk_value(scores: pd.DataFrame) -> pd.DataFrame:
    """Count customers and money per risk and value label.

    Parameters
    ----------
    scores
        `risk_label`, `value_label`, `churn_probability`, `p_alive`, `clv` (money).

    Returns
    -------
    pd.DataFrame
        `risk_label`, `value_label`, `customers`, `value_at_stake` (money: sum of churn_probability * value
        at stake).
    """
    stake = pd.Series(value_at_stake(scores), index=scores.index) * scores["churn_probability"]
    stake = stake.rename("stake")
    return (
        pd.concat([scores[["risk_label", "value_label"]], stake], axis=1)
        .groupby(["risk_label", "value_label"])["stake"]
        .agg(customers="size", value_at_stake="sum")
        .reset_index()
    )


def matrix(cells: pd.DataFrame) -> Matrix:
    """The frame of :func:`risk_value` as rows and columns; pairs without customers are zero."""
    largest = float(cells["value_at_stake"].max()) if len(cells) else 0.0
    rows = []
    for risk in RISKS:
        row = [
            _cell(cells[(cells["risk_label"] == risk) & (cells["value_label"] == value)], largest)
            for value in VALUES
        ]
        rows.append(MatrixRow(risk, row, _cell(cells[cells["risk_label"] == risk], 0.0)))
    totals = [_cell(cells[cells["value_label"] == value], 0.0) for value in VALUES]
    return Matrix(rows, totals, _cell(cells, 0.0))


def metric_table(metrics: pd.DataFrame) -> MetricTable:
    """Methods side by side, in the order of their first rows.

    Parameters
    ----------
    metrics
        `method`, `target`, `metric`, `value`, as from :func:`churnlab.evaluation.baselines.compare`;
        rows of one method, target and metric (several cutoffs) are averaged, and their range told.
    """
    methods = list(dict.fromkeys(metrics["method"]))
    found = metrics.groupby(["target", "metric", "method"])["value"].agg(["mean", "min", "max", "size"])
    blocks = []
    for target, heading in TARGETS.items():
        rows = [_metric_row(name, target, methods, found) for name in METRICS]
        rows = [row for row in rows if any(value is not None for value in row.figures)]
        if rows:
            blocks.append((heading, rows))
    return MetricTable(methods, blocks)


def _cell(part: pd.DataFrame, largest: float) -> Cell:
    stake = float(part["value_at_stake"].sum())
    return Cell(int(part["customers"].sum()), stake, max(stake, 0.0) / largest if largest > 0 else 0.0)


def _metric_row(metric: str, target: str, methods: list[str], found: pd.DataFrame) -> MetricRow:
    cells = found.to_dict("index")
    known = [cells.get((target, metric, method)) for method in methods]
    values = [cell["mean"] if cell else None for cell in known]
    ranges = [(cell["min"], cell["max"]) if cell and cell["size"] > 1 else None for cell in known]
    return MetricRow(METRICS[metric], target, values, ranges, _best(metric, values))


def _best(metric: str, values: list[float | None]) -> list[bool]:
    """Which values are the best; none where there is nothing to compare with."""
    cost = {"higher": lambda v: -v, "lower": lambda v: v, "zero": abs}[BETTER[metric]]
    costs = [None if v is None else cost(v) for v in values]
    known = [c for c in costs if c is not None]
    return [len(known) > 1 and c == min(known) for c in costs]

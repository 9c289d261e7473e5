"""One self-contained HTML page for the people who act on the scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from jinja2 import Environment
from markupsafe import Markup

from churnlab.decisions.shop_report import ShopReport
from churnlab.decisions.shop_stage import NOT_SEEN
from churnlab.report import formats
from churnlab.report.decision_charts import beaten, definitions, profit_figure
from churnlab.report.figures import piece, plotly_script
from churnlab.report.satisfaction import satisfaction_charts, told
from churnlab.report.shop_charts import shop_charts
from churnlab.report.tables import VALUES, MetricRow, matrix, metric_table
from churnlab.report.templating import environment

WRITTEN: dict[str, Callable[[float], str]] = {
    "ratio": partial(formats.number, decimals=3),
    "times": lambda value: f"{formats.number(value, 2)}×",
    "amount": partial(formats.number, decimals=2),
    "share": partial(formats.percent, decimals=1),
    "bias": lambda value: f"{'+' if value > 0 else ''}{formats.percent(value, 1)}",
}


@dataclass(frozen=True)
class ReportContext:
    """Everything that the page shows.

    Parameters
    ----------
    title, currency_symbol, as_of, horizon_days
        Heading; what is printed before money ("" for none); last day known; days that the forecast covers.
    data_summary
        `read`, `accepted`, `quarantined` (source rows), `reasons` (reason code to rows); where known also
        `first_day`, `last_day` (dates), `customers`, `orders` (counts).
    key_figures
        Dictionaries of :func:`churnlab.decisions.key_figures.key_figures`, the most important period first.
    shop
        Cohorts, concentration, stage and matrix; None leaves the section out.
    profit
        Frame of :func:`churnlab.decisions.profit.profit_table`; None leaves the section out.
    definitions
        Frame of :func:`churnlab.decisions.profit_definitions.definitions_table`; None leaves its table out.
    risk_value
        Frame of :func:`churnlab.report.tables.risk_value`.
    scores
        Customers to show as the most valuable, in order: `customer_id` and any of `clv`, `clv_low`,
        `clv_high`, `churn_probability`, `lifecycle_type`, `buying_style`, `expected_next_order_date`,
        `reasons`.
    not_assigned
        Types and styles that nobody can have, and why, as sentences.
    metrics
        Frame of :func:`churnlab.evaluation.baselines.compare`, the model's rows first;
        rows of several cutoffs are averaged, and a column `cutoff` is named in the text.
    figures
        Names (letters, digits, dashes) to Plotly figures, in order.
    priority_list
        The whole list in order of rank: `priority_rank`, `customer_id`, `action`, `channel`,
        `expected_net_benefit`, `value_at_stake`, `cost`, `group`, `why`, `risk_label`, `value_label`,
        `churn_probability`, `clv`.
    top_rows
        Rows of the priority list that are shown.
    potential
        People who signed up and never bought, by decision: treated, control, left_out; empty: nobody.
    notes
        Reservations that the reader should know, as sentences.
    provenance
        What made the page: model version, data version, run.
    """

    title: str
    currency_symbol: str
    as_of: date
    horizon_days: int
    data_summary: Mapping[str, Any]
    key_figures: Sequence[Mapping[str, Any]]
    risk_value: pd.DataFrame
    scores: pd.DataFrame
    metrics: pd.DataFrame
    figures: Mapping[str, go.Figure]
    priority_list: pd.DataFrame
    top_rows: int = 50
    notes: Sequence[str] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)
    shop: ShopReport | None = None
    profit: pd.DataFrame | None = None
    definitions: pd.DataFrame | None = None
    not_assigned: Sequence[str] = ()
    potential: Mapping[str, int] = field(default_factory=dict)


def render(context: ReportContext) -> str:
    """The page as HTML text.

    No file, font or script is loaded from elsewhere, and equal input gives equal text.
    """
    charts = shop_charts(context.shop) if context.shop else {}
    satisfaction = context.shop.satisfaction if context.shop else None
    trends = satisfaction_charts(satisfaction)
    profit = context.profit
    worth = None if profit is None else profit_figure(profit, context.currency_symbol)
    return (
        _environment(context)
        .get_template("report.html.j2")
        .render(
            context=context,
            headline=headline(context.priority_list),
            matrix=matrix(context.risk_value),
            value_labels=VALUES,
            metric_table=metric_table(context.metrics),
            cutoffs=_cutoffs(context.metrics),
            priority=_records(context.priority_list.head(context.top_rows)),
            top_customers=_records(context.scores),
            figures=[piece(figure, name) for name, figure in context.figures.items()],
            shop=context.shop,
            worth=piece(worth, "profit") if worth else Markup(""),
            beaten=[] if profit is None else beaten(profit),
            definitions=[] if context.definitions is None else definitions(context.definitions),
            shop_figures=[piece(figure, f"shop-{name}") for name, figure in charts.items()],
            dominant=NOT_SEEN,
            satisfaction=told(satisfaction),
            satisfaction_figures=[piece(figure, f"trend-{name}", 360) for name, figure in trends.items()],
            plotly_script=plotly_script() if context.figures or charts or trends or worth else Markup(""),
        )
    )


def headline(priority_list: pd.DataFrame) -> dict[str, Any]:
    """What the list adds up to.

    Returns
    -------
    dict
        `contacts` (treated customers), `held_out` (control), `net_benefit`, `cost`, `value_at_stake` (money,
        sums over the treated).
    """
    treated = priority_list[priority_list["group"] == "treated"]
    return {
        "contacts": len(treated),
        "held_out": len(priority_list) - len(treated),
        "net_benefit": float(treated["expected_net_benefit"].sum()),
        "cost": float(treated["cost"].sum()),
        "value_at_stake": float(treated["value_at_stake"].sum()),
    }


def _cutoffs(metrics: pd.DataFrame) -> list[str]:
    return sorted(formats.day(cutoff) for cutoff in metrics["cutoff"].unique()) if "cutoff" in metrics else []


def _environment(context: ReportContext) -> Environment:
    typical = next((f["average_order_value"] for f in context.key_figures), None)
    made = environment(context.currency_symbol, typical)
    made.filters["metric"] = partial(_metric, money=made.filters["money"])
    return made


def _metric(value: float | None, row: MetricRow, money: Callable[[float], Markup]) -> str:
    """A metric's value as its kind is read."""
    if value is None:
        return formats.MISSING
    if row.wording.kind == "amount" and row.target == "spend":
        return money(value)
    return WRITTEN[row.wording.kind](value)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]

"""Retention cohorts and the Lorenz curve, drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from churnlab.decisions.concentration import Concentration
from churnlab.decisions.shop_report import ShopReport
from churnlab.evaluation.plots import COLOURS, MUTED, styled

COHORTS, AGES = 24, 24  # the newest cohorts, and their first months, are drawn
WRITTEN = 18  # columns up to which each field's share is written into it
SHADES = ((0.0, "#f3f7fc"), (1.0, COLOURS[0]))


def shop_charts(shop: ShopReport) -> dict[str, go.Figure]:
    """Name to figure; one that has nothing to show is left out."""
    charts = {}
    if (shop.triangle["months_since"] > 0).any():
        charts["cohorts"] = cohort_figure(shop.triangle)
        charts["retention"] = curve_figure(shop.triangle, shop.curve)
    if shop.concentration.lorenz:
        charts["lorenz"] = lorenz_figure(shop.concentration)
    return charts


def cohort_figure(triangle: pd.DataFrame) -> go.Figure:
    """The triangle as a heat map, from the month after the first purchase on."""
    figure = styled(
        "Who comes back, by the month of the first purchase",
        "Share of the cohort that bought, in percent; months that are not over are blank",
        ("Months since the first purchase", ""),
    )
    later = triangle[triangle["months_since"].between(1, AGES)]
    wide = later.set_index(["cohort", "months_since"])["retention"].unstack().tail(COHORTS) * 100  # noqa: PD010
    written = "%{z:.0f}" if wide.shape[1] <= WRITTEN else None
    figure.add_heatmap(
        x=wide.columns.tolist(),
        y=wide.index.tolist(),
        z=[[None if np.isnan(share) else share for share in row] for row in wide.to_numpy().tolist()],
        colorscale=SHADES,
        showscale=written is None,
        texttemplate=written,
        xgap=2,
        ygap=2,
        hoverongaps=False,
        hovertemplate="first bought %{y}, %{x} months on: %{z:.1f} %<extra></extra>",
    )
    # months are text, not dates; the oldest is on top
    figure.update_yaxes(type="category", autorange="reversed").update_xaxes(dtick=1 if written else 3)
    return figure.update_layout(margin={"b": 56})


def curve_figure(triangle: pd.DataFrame, curve: pd.DataFrame) -> go.Figure:
    """One thin line per cohort, and all cohorts together."""
    figure = styled(
        "How retention settles",
        "Share that bought in the month; thin: cohorts, bold: all together",
        ("Months since the first purchase", "Bought in the month (%)"),
    )
    newest = sorted(triangle["cohort"].unique())[-COHORTS:]
    for cohort, part in triangle[triangle["cohort"].isin(newest)].groupby("cohort"):
        _line(figure, part, str(cohort), "#c9d6ea", 1)
    _line(figure, curve, "all", COLOURS[0], 3)
    return figure.update_yaxes(rangemode="tozero").update_layout(margin={"b": 56})


def lorenz_figure(found: Concentration) -> go.Figure:
    """Share of revenue of the lowest customers; the diagonal is equality."""
    figure = styled(
        "How revenue is spread over customers",
        f"Lorenz curve, Gini {found.gini:.2f}; on the dashed line all would bring the same",
        ("Customers, lowest revenue first (%)", "Share of revenue (%)"),
    )
    dashed = {"color": MUTED, "dash": "dash", "width": 1}
    figure.add_scatter(x=[0, 100], y=[0, 100], mode="lines", line=dashed, hoverinfo="skip")
    shares = np.linspace(0, 100, len(found.lorenz)).tolist()
    figure.add_scatter(
        x=shares,
        y=[100 * share for share in found.lorenz],
        mode="lines",
        line={"color": COLOURS[0], "width": 2},
        fill="tonexty",
        fillcolor="rgba(31, 95, 191, 0.08)",
        hovertemplate="the lowest %{x:.0f} % bring %{y:.1f} %<extra></extra>",
    )
    figure.update_xaxes(range=[0, 100]).update_yaxes(range=[0, 101])
    return figure.update_layout(showlegend=False, margin={"b": 56})


def _line(figure: go.Figure, part: pd.DataFrame, name: str, colour: str, width: int) -> None:
    later = part[part["months_since"].between(1, AGES)]
    figure.add_scatter(
        x=later["months_since"].tolist(),
        y=(later["retention"] * 100).tolist(),
        mode="lines",
        name=name,
        showlegend=False,
        line={"color": colour, "width": width},
        hovertemplate=f"{name}: %{{y:.1f}} % after %{{x}} months<extra></extra>",
    )

"""The distributions of a profile, drawn."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from churnlab.evaluation.plots import COLOURS, MUTED, styled
from churnlab.features.classes import Bar
from churnlab.features.profile import Shop
from churnlab.features.shop_figures import Month

BLUE, ORANGE, GREEN = COLOURS[:3]


def profile_figures(shop: Shop, horizon_days: int) -> dict[str, go.Figure]:
    """Name to figure; titles stand in the page."""
    return {
        "silence": silence_figure(shop, horizon_days),
        "waits": bars_figure(shop.rhythm.wait_bars, ("Days to the next purchase", "Purchases")),
        "orders-per-customer": bars_figure(
            shop.figures.orders_per_customer, ("Orders of a customer", "Customers")
        ),
        "orders-per-month": orders_figure(shop.months),
        "revenue-per-month": revenue_figure(shop.months),
    }


def silence_figure(shop: Shop, horizon_days: int) -> go.Figure:
    """Share of purchases not yet followed by another, with the horizon that is set and the proposed one."""
    figure = _untitled(("Days since the purchase", "No further purchase yet (%)"))
    days, silent = zip(*shop.rhythm.silent, strict=True)
    figure.add_scatter(
        x=list(days),
        y=[100 * share for share in silent],
        mode="lines",
        line={"color": BLUE, "width": 2, "shape": "hv"},
        hovertemplate="after %{x} days %{y:.1f} % are silent<extra></extra>",
        showlegend=False,
    )
    _mark(figure, horizon_days, f"set: {horizon_days} d", MUTED, 0.98)
    proposed = shop.suggestion.horizon_days
    if proposed is not None and proposed != horizon_days:
        _mark(figure, proposed, f"proposed: {proposed} d", ORANGE, 0.88)
    return figure.update_yaxes(range=[0, 102]).update_xaxes(range=[0, max(*days, horizon_days) * 1.02])


def bars_figure(bars: Sequence[Bar], axes: tuple[str, str]) -> go.Figure:
    """One bar per class."""
    figure = _untitled(axes)
    names = [_name(bar) for bar in bars]
    figure.add_bar(
        x=names,
        y=[bar.n for bar in bars],
        marker={"color": BLUE},
        hovertemplate="%{x}: %{y:,}<extra></extra>",
        showlegend=False,
    )
    # class names are text, not dates or numbers
    return figure.update_xaxes(type="category", nticks=12).update_layout(bargap=0.15)


def orders_figure(months: Sequence[Month]) -> go.Figure:
    """Orders per month, and the customers who bought for the first time."""
    figure = _untitled(("", "Per month"))
    names = [month.month for month in months]
    figure.add_bar(x=names, y=[m.orders for m in months], name="orders", marker={"color": BLUE})
    figure.add_scatter(
        x=names,
        y=[month.new_customers for month in months],
        name="new customers",
        mode="lines+markers",
        line={"color": ORANGE, "width": 2},
    )
    return figure.update_xaxes(type="category", nticks=12).update_layout(bargap=0.15, margin={"b": 66})


def revenue_figure(months: Sequence[Month]) -> go.Figure:
    """Net revenue per month."""
    figure = _untitled(("", "Revenue per month"))
    figure.add_bar(
        x=[month.month for month in months],
        y=[month.revenue for month in months],
        marker={"color": GREEN},
        hovertemplate="%{x}: %{y:,.0f}<extra></extra>",
        showlegend=False,
    )
    return figure.update_xaxes(type="category", nticks=12).update_layout(bargap=0.15)


def _untitled(axes: tuple[str, str]) -> go.Figure:
    return styled("", "", axes).update_layout(margin={"l": 50, "r": 14, "t": 12, "b": 46})


def _mark(figure: go.Figure, days: int, text: str, colour: str, height: float) -> None:
    figure.add_vline(x=days, line={"color": colour, "width": 1.5, "dash": "dash"})
    figure.add_annotation(
        x=days,
        y=height,
        yref="paper",
        text=text,
        showarrow=False,
        xanchor="left",
        xshift=5,
        font={"color": colour},
        bgcolor="rgba(255, 255, 255, 0.8)",
    )


def _name(bar: Bar) -> str:
    if bar.high is None:
        return f"{bar.low}+"
    return str(bar.low) if bar.low == bar.high else f"{bar.low}–{bar.high}"

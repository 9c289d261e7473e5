"""Trends of satisfaction, laid out and drawn."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from churnlab.evaluation.plots import COLOURS, styled
from churnlab.features.satisfaction import LATELY, UNKNOWN, Satisfaction

SHOWN_MONTHS, DRAWN_MONTHS, DRAWN_CHANNELS = 12, 36, 5
NEEDED = {
    "complaints": "complaints (kind complaint)",
    "csat": "satisfaction (kind csat, score)",
    "nps": "willingness to recommend (kind nps, score)",
    "intent": "intent to buy again (kind intent, score)",
    "wishes": "wishes (kind wish)",
    "response": "response times (responded or response_hours)",
    "resolution": "resolution times (resolved or resolution_hours)",
    "causes": "causes of complaints (topic)",
    "wished": "what is wished for (topic)",
}
WAITS = {
    "response": "How long customers wait for an answer",
    "resolution": "How long until a matter is settled",
}
LABELS = 8  # months named on an axis


def signals(found: Satisfaction) -> dict[str, bool]:
    """Which signals the table tells of, by the words of `NEEDED`."""
    months = found.months
    lately = found.channels[found.channels["period"] == LATELY]
    complaints = bool(months["complaints"].sum() + months["complaints_open"].sum())
    wishes = bool(months["wishes"].sum())
    return {
        "complaints": complaints,
        "csat": bool(months["csat_answers"].sum()),
        "nps": bool(months["nps_answers"].sum()),
        "intent": bool(months["intent_answers"].sum()),
        "wishes": wishes,
        "response": bool(lately["responses"].sum()),
        "resolution": bool(lately["resolutions"].sum()),
        "causes": complaints and bool((found.causes["cause"] != UNKNOWN).any()),
        "wished": wishes and bool((found.wished["wish"] != UNKNOWN).any()),
    }


def told(found: Satisfaction | None) -> dict[str, Any]:
    """What the section of the page shows.

    Returns
    -------
    dict
        `has` (as :func:`signals`), `missing` (what of `NEEDED` is not there), `months`, `channels`, `causes`,
        `wished` (rows); empty without a table.
    """
    if found is None:
        return {}
    has = signals(found)
    lately = found.channels[found.channels["period"] == LATELY]
    return {
        "has": has,
        "missing": [words for name, words in NEEDED.items() if not has[name]],
        "months": found.months.tail(SHOWN_MONTHS).to_dict("records"),
        "channels": lately.sort_values("responses", ascending=False, kind="stable").to_dict("records"),
        "causes": found.causes.to_dict("records"),
        "wished": found.wished.to_dict("records"),
    }


def satisfaction_charts(found: Satisfaction | None) -> dict[str, go.Figure]:
    """Name to figure; one that has fewer than two months to show is left out."""
    if found is None or len(found.months) < 2:
        return {}
    has, months = signals(found), found.months.tail(DRAWN_MONTHS)
    charts = {}
    if has["complaints"]:
        charts["complaints"] = complaints_figure(months)
    if has["csat"] or has["nps"]:
        charts["scores"] = scores_figure(months, has)
    waits = found.channels[found.channels["period"].isin(months["month"])]
    charts |= {name: waits_figure(waits, name) for name in WAITS if has[name] and len(waits)}
    return {name: _by_month(figure, months["month"].tolist()) for name, figure in charts.items()}


def complaints_figure(months: pd.DataFrame) -> go.Figure:
    """Bars of complaints per 100 active customers."""
    figure = styled(
        "How often customers complain",
        "Complaints of the month per 100 customers who bought in it",
        ("", "Per 100 active customers"),
    )
    figure.add_bar(
        x=months["month"].tolist(),
        y=_known(months["complaints_per_100_active"]),
        marker={"color": COLOURS[0]},
        customdata=months[["complaints", "complaints_open"]].to_numpy().tolist(),
        hovertemplate="%{x}: %{y:.1f}, from %{customdata[0]:,} complaints; %{customdata[1]:,} open at its end"
        "<extra></extra>",
    )
    return figure.update_yaxes(rangemode="tozero").update_layout(showlegend=False, margin={"b": 56})


def scores_figure(months: pd.DataFrame, has: dict[str, bool]) -> go.Figure:
    """Mean satisfaction and net promoter score, each as a line."""
    figure = styled(
        "What customers say when asked",
        "CSAT: mean as percent of the scale; NPS: promoters less detractors, in points",
        ("", "CSAT (%), NPS (points)"),
    )
    for name, factor, colour in (("csat", 100, COLOURS[0]), ("nps", 1, COLOURS[1])):
        if has[name]:
            hover = f"%{{x}}: {name.upper()} %{{y:.0f}} of %{{customdata:,}} answers<extra></extra>"
            figure.add_scatter(
                x=months["month"].tolist(),
                y=_known(months[name] * factor),
                name=name.upper(),
                mode="lines+markers",
                connectgaps=True,
                line={"color": colour, "width": 2},
                customdata=months[f"{name}_answers"].tolist(),
                hovertemplate=hover,
            )
    return figure.update_layout(showlegend=True, margin={"b": 84})


def waits_figure(waits: pd.DataFrame, name: str) -> go.Figure:
    """Median hours of a wait, a line for each of the busiest channels."""
    figure = styled(
        WAITS[name],
        "Median hours, by the month in which the wait ended",
        ("", "Hours"),
    )
    count, hours = f"{name}s", f"{name}_hours"
    busiest = waits.groupby("channel")[count].sum().sort_values(ascending=False, kind="stable")
    for number, channel in enumerate(busiest[busiest > 0].index[:DRAWN_CHANNELS]):
        part = waits[waits["channel"] == channel]
        figure.add_scatter(
            x=part["period"].tolist(),
            y=_known(part[hours]),
            name=str(channel),
            mode="lines+markers",
            connectgaps=True,
            line={"color": COLOURS[number], "width": 2},
            customdata=part[count].tolist(),
            hovertemplate="%{x}: %{y:,.1f} hours, of %{customdata:,}<extra>%{fullData.name}</extra>",
        )
    return figure.update_yaxes(rangemode="tozero").update_layout(showlegend=True, margin={"b": 84})


def _known(values: pd.Series) -> list[float | None]:
    return [None if pd.isna(value) else float(value) for value in values]


def _by_month(figure: go.Figure, months: list[str]) -> go.Figure:
    """Months are text in their order, not dates."""
    step = -(-len(months) // LABELS)
    figure.update_xaxes(
        type="category", categoryorder="array", categoryarray=months, tickvals=months[::step], tickangle=0
    )
    return figure

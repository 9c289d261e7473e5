"""The curves of :mod:`churnlab.evaluation.curves`, drawn; titles say what to read."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

INK, MUTED, GRID, PAPER = "#1d2433", "#5b6577", "#e6e9ef", "#ffffff"
COLOURS = ("#1f5fbf", "#d9730d", "#2a9d6f", "#8e5bb5", "#8a93a3", "#c2385a")
HEAT = ((0.0, "#eef4fb"), (0.5, "#f3c98b"), (1.0, "#c2402a"))
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Vazirmatn, Tahoma, 'DejaVu Sans', sans-serif"


def roc_figure(curve: pd.DataFrame) -> go.Figure:
    """Draw :func:`~churnlab.evaluation.curves.roc`."""
    figure = styled(
        "Can it tell leavers from stayers?",
        "ROC: the closer to the upper left corner, the better; the dashed line is guessing",
        ("Stayers wrongly flagged (%)", "Leavers found (%)"),
    )
    _diagonal(figure)
    _lines(figure, curve, "false_positive_rate", "true_positive_rate")
    return _percent_axes(figure)


def precision_recall_figure(curve: pd.DataFrame) -> go.Figure:
    """Draw :func:`~churnlab.evaluation.curves.precision_recall`."""
    figure = styled(
        "How many of those flagged do leave?",
        "The higher, the fewer contacts are wasted; it ends at the churn rate of all",
        ("Leavers found (recall, %)", "Precision (%)"),
    )
    _lines(figure, curve, "recall", "precision")
    return figure.update_xaxes(range=[0, 100]).update_yaxes(range=_room(curve["precision"] * 100))


def lift_figure(curve: pd.DataFrame) -> go.Figure:
    """Draw :func:`~churnlab.evaluation.curves.lift`."""
    figure = styled(
        "How much better than contacting at random?",
        "2 means twice as many leavers among those contacted as in the whole base",
        ("Customers contacted, riskiest first (%)", "Lift (times)"),
    )
    figure.add_hline(y=1, line={"color": MUTED, "dash": "dash", "width": 1})
    for name, part, colour in _methods(curve):
        figure.add_scatter(
            x=(part["share_contacted"] * 100).tolist(),
            y=part["lift"].tolist(),
            customdata=(part["share_of_churners"] * 100).tolist(),
            name=name,
            mode="lines",
            line={"color": colour, "width": 2},
            hovertemplate="contact %{x:.0f} %: lift %{y:.2f}, %{customdata:.0f} % of the leavers",
        )
    return figure.update_xaxes(range=[0, 100]).update_yaxes(range=_room(curve["lift"]))


def reliability_figure(curve: pd.DataFrame) -> go.Figure:
    """Draw :func:`~churnlab.evaluation.curves.reliability`."""
    figure = styled(
        "Does a stated risk of 70 % mean 7 of 10 leave?",
        "Points on the dashed line keep their word; below it the risk is overstated",
        ("Stated risk (mean churn probability of the group, %)", "Left in fact (%)"),
    )
    _diagonal(figure)
    for name, part, colour in _methods(curve):
        figure.add_scatter(
            x=(part["mean_probability"] * 100).tolist(),
            y=(part["observed_share"] * 100).tolist(),
            error_y=_whiskers(part, colour),
            customdata=part["customers"].tolist(),
            name=name,
            mode="lines+markers",
            line={"color": colour, "width": 2},
            marker={"size": 7},
            hovertemplate="stated %{x:.1f} %, left %{y:.1f} % of %{customdata:,} customers",
        )
    return _percent_axes(figure)


def clv_deciles_figure(curve: pd.DataFrame, currency_symbol: str = "") -> go.Figure:
    """Draw :func:`~churnlab.evaluation.curves.clv_deciles`.

    Bars are what the first method's groups spent, lines what each method expected of its own groups.
    """
    unit = f" ({currency_symbol})" if currency_symbol else ""
    figure = styled(
        "Do the best customers turn out best?",
        "Bars should fall from left to right, and the line should follow their tops",
        ("Tenth of customers by expected spend (1: highest)", f"Mean spend per customer{unit}"),
    )
    for number, (name, part, colour) in enumerate(_methods(curve)):
        deciles = part["decile"].tolist()
        if number == 0:
            figure.add_bar(
                x=deciles, y=part["mean_actual"].tolist(), name=f"spent ({name})", marker={"color": "#c9d8ee"}
            )
        figure.add_scatter(
            x=deciles,
            y=part["mean_expected"].tolist(),
            name=f"expected ({name})",
            mode="lines+markers",
            line={"color": colour, "width": 2},
        )
    return figure.update_xaxes(dtick=1).update_yaxes(rangemode="tozero")


def frequency_recency_figure(
    cells: pd.DataFrame, what: str = "Churn probability", percent: bool = True
) -> go.Figure:
    """Draw :func:`~churnlab.evaluation.curves.frequency_recency`.

    `what` names the averaged column; `percent` shows it times 100.
    """
    figure = styled(
        "Where is the risk?",
        "Each cell is a group of customers; hover for how many",
        ("Days since last order (tenths of the base)", "Repeat purchase days"),
    )
    factor, unit = (100, " %") if percent else (1, "")
    columns = list(dict.fromkeys(_by_start(cells["days_since_last_order"])))
    rows = list(dict.fromkeys(_by_start(cells["frequency"])))
    figure.add_heatmap(
        x=columns,
        y=rows,
        z=_grid(cells, rows, columns, "value", factor),
        customdata=_grid(cells, rows, columns, "customers", 1),
        colorscale=[list(stop) for stop in HEAT],
        xgap=2,
        ygap=2,
        hoverongaps=False,
        colorbar={"title": {"text": f"{what}{unit}", "side": "right"}, "thickness": 12, "outlinewidth": 0},
        hovertemplate="%{y} repeat days, %{x} days silent: %{z:.1f}"
        + unit
        + ", %{customdata:,} customers<extra></extra>",
    )
    return figure.update_xaxes(type="category", showgrid=False).update_yaxes(type="category", showgrid=False)


def _by_start(labels: pd.Series) -> list[str]:
    return sorted(labels, key=lambda label: int(label.rstrip("+").split("–")[0]))


def _grid(
    cells: pd.DataFrame, rows: list[str], columns: list[str], what: str, factor: float
) -> list[list[float | None]]:
    """The cells as rows of columns, None where there is no customer."""
    found = dict(
        zip(zip(cells["frequency"], cells["days_since_last_order"], strict=True), cells[what], strict=True)
    )
    return [[float(found[r, c]) * factor if (r, c) in found else None for c in columns] for r in rows]


def _methods(curve: pd.DataFrame) -> list[tuple[str, pd.DataFrame, str]]:
    """Per method its name as readers see it, its rows and its colour."""
    names = list(dict.fromkeys(curve["method"]))
    return [
        (name.replace("_", " "), curve[curve["method"] == name], COLOURS[k % len(COLOURS)])
        for k, name in enumerate(names)
    ]


def styled(title: str, subtitle: str, axes: tuple[str, str]) -> go.Figure:
    """An empty figure in the house style."""
    figure = go.Figure()
    axis = {"gridcolor": GRID, "linecolor": GRID, "zeroline": False, "automargin": True, "ticks": ""}
    figure.update_layout(
        template=go.layout.Template(),
        title={
            "text": title,
            "font": {"size": 16, "color": INK, "weight": 600},
            "subtitle": {"text": subtitle, "font": {"size": 12, "color": MUTED}},
            "x": 0.015,
            "xref": "container",
            "xanchor": "left",
            "y": 0.96,
            "yanchor": "top",
        },
        font={"family": FONT, "size": 12, "color": INK},
        paper_bgcolor=PAPER,
        plot_bgcolor=PAPER,
        colorway=list(COLOURS),
        margin={"l": 60, "r": 20, "t": 76, "b": 96},
        legend={"orientation": "h", "x": 0, "y": 0.01, "yref": "container", "yanchor": "bottom"},
        xaxis={"title": {"text": axes[0], "standoff": 10}, **axis},
        yaxis={"title": {"text": axes[1], "standoff": 12}, **axis},
        hovermode="closest",
    )
    return figure


def _diagonal(figure: go.Figure) -> None:
    figure.add_scatter(
        x=[0, 100], y=[0, 100], mode="lines", line={"color": MUTED, "dash": "dash", "width": 1},
        showlegend=False, hoverinfo="skip",
    )  # fmt: skip


def _lines(figure: go.Figure, curve: pd.DataFrame, x: str, y: str) -> None:
    """One line per method, shares as percentages."""
    for name, part, colour in _methods(curve):
        figure.add_scatter(
            x=(part[x] * 100).tolist(),
            y=(part[y] * 100).tolist(),
            name=name,
            mode="lines",
            line={"color": colour, "width": 2},
        )


def _whiskers(part: pd.DataFrame, colour: str) -> dict[str, object]:
    up, down = part["high"] - part["observed_share"], part["observed_share"] - part["low"]
    return {
        "array": (up * 100).tolist(),
        "arrayminus": (down * 100).tolist(),
        "symmetric": False,
        "color": colour,
        "thickness": 1,
        "width": 0,
    }


def _room(values: pd.Series) -> list[float] | None:
    """An axis range with a twentieth of the spread to spare on both sides; None lets Plotly choose."""
    if not len(values):
        return None
    spare = max(float(values.max() - values.min()), 0.05 * float(values.max())) / 20
    return [float(values.min()) - spare, float(values.max()) + spare]


def _percent_axes(figure: go.Figure) -> go.Figure:
    return figure.update_xaxes(range=[0, 100]).update_yaxes(range=[0, 102])

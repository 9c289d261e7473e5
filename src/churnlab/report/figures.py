"""Plotly figures as pieces of one HTML page."""

from __future__ import annotations

import plotly.graph_objects as go
import plotly.io as pio
from markupsafe import Markup
from plotly.offline import get_plotlyjs

CONFIG = {"displaylogo": False, "displayModeBar": False, "responsive": True}


def plotly_script() -> Markup:
    """The text of plotly.js, for one inline script element."""
    return Markup(get_plotlyjs())


def piece(figure: go.Figure, name: str, height_px: int = 430) -> Markup:
    """The figure as a div and its inline script.

    `name` makes the element's id, so that equal input gives equal text. Plotly escapes the angle brackets of
    everything in the figure.
    """
    html = pio.to_html(
        figure,
        config=CONFIG,
        include_plotlyjs=False,
        full_html=False,
        div_id=f"figure-{name}",
        default_height=f"{height_px}px",
    )
    return Markup(html)

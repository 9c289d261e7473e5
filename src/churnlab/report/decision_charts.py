"""What the list would have brought, drawn."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go

from churnlab.decisions.profit import EVERYONE, PLAN, UNLIMITED, over_all
from churnlab.evaluation.plots import COLOURS, MUTED, styled
from churnlab.report.wording import DEFINITIONS

STRATEGIES = {
    PLAN: "the priority list",
    UNLIMITED: "the list without limits",
    "risk_times_value": "risk times value",
    "value": "most valuable first",
    "risk": "riskiest first",
    "just_lapsed": "just lapsed first",
    "longest_silent": "longest silent first",
    "random": "by chance",
    EVERYONE: "everyone (beside the list without limits)",
    "nobody": "nobody",
}


def beaten(table: pd.DataFrame) -> list[str]:
    """The strategies that the plan was ahead of, by more than chance allows: in plain words."""
    rows = over_all(table)
    ahead = dict(zip(rows["strategy"], rows["ahead_low"] > 0, strict=True))
    return [words for name, words in STRATEGIES.items() if name not in (PLAN, UNLIMITED) and ahead[name]]


class Definition(NamedTuple):
    """The list beside the rule that does best under one definition, over so many cutoffs; money.

    `low` and `high` are the 90 % interval of `ahead`, what the list brought more than that rule.
    """

    name: str
    sentence: str
    cutoffs: int
    realised: float
    rival: str
    rival_realised: float
    ahead: float
    low: float
    high: float


def definitions(table: pd.DataFrame) -> list[Definition]:
    """The frame of :func:`churnlab.decisions.profit_definitions.definitions_table`, a row per definition."""
    found = []
    for name, sentence in DEFINITIONS.items():
        rows = table[table["definition"] == name].set_index("strategy").to_dict("index")
        rivals = {word: row for word, row in rows.items() if word not in (PLAN, UNLIMITED, EVERYONE)}
        if not rivals:
            continue
        best = max(rivals, key=lambda word: rivals[word]["realised_profit"])
        figures = [
            rivals[best][column] for column in ("realised_profit", "plan_ahead", "ahead_low", "ahead_high")
        ]
        own = rows[PLAN]
        found.append(
            Definition(
                name, sentence, own["cutoffs"], own["realised_profit"], STRATEGIES[str(best)], *figures
            )
        )
    return found


def profit_figure(table: pd.DataFrame, currency_symbol: str = "") -> go.Figure:
    """Realised profit of every strategy with its 90 % interval; without limits, beyond the axis."""
    unit = f" ({currency_symbol})" if currency_symbol else ""
    figure = styled(
        "Was the list worth it?",
        "Profit on past cutoffs, with what happened in the place of the forecast; whiskers: 90 % interval",
        (f"Realised profit{unit}", ""),
    )
    shown = over_all(table).set_index("strategy").reindex(list(STRATEGIES)[::-1])
    figure.add_bar(
        x=shown["realised_profit"].tolist(),
        y=[STRATEGIES[name] for name in shown.index],
        orientation="h",
        marker={"color": [COLOURS[0] if name == PLAN else "#c9d8ee" for name in shown.index]},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": (shown["high"] - shown["realised_profit"]).tolist(),
            "arrayminus": (shown["realised_profit"] - shown["low"]).tolist(),
            "color": MUTED,
            "thickness": 1.5,
        },
        customdata=shown[["contacts", "cost"]].to_numpy().tolist(),
        hovertemplate="%{y}: %{x:,.0f} from %{customdata[0]:,.0f} contacts that cost %{customdata[1]:,.0f}"
        "<extra></extra>",
    )
    limited = shown.drop(index=[EVERYONE, UNLIMITED])
    low, high = float(limited["low"].min()), float(limited["high"].max())
    room = 0.08 * (high - low or 1.0)
    return figure.update_xaxes(range=[min(low, 0.0) - room, high + room]).update_layout(
        showlegend=False, margin={"l": 150, "b": 56}
    )

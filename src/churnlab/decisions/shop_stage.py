"""The stage a shop is in, read from its log, and what it means for the budget.

`dominant` is a share of a market, and one shop's log does not hold the market: it is never given.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import ibis

from churnlab.decisions.figure_table import first_day
from churnlab.features.exact import exact

if TYPE_CHECKING:
    import ibis.expr.types as ir

STAGES = ("start_up", "traction", "steady_growth", "established")
START_UP_DAYS = 180  # in half a year few customers have had the time to come back
YEAR_DAYS = 365  # before every season was seen once, growth cannot be told from season
REPEAT_SHARE = 0.5  # from here on the shop lives more on those it has than on those it wins
GROWTH = 0.1  # per window; below it the base changes no more than it does by chance and season
NOT_SEEN = "Whether the shop dominates its market cannot be seen from its own log."
CLOSED = (
    " Nobody in the last window is new: if the log follows a chosen group of customers, it does not show the "
    "stage of the whole shop."
)
BUDGET = {
    "start_up": "put most of the budget into winning customers, and make the first order a good one",
    "traction": "keep winning customers, and use part of the budget to bring new ones to a second order",
    "steady_growth": "split the budget between winning customers and keeping them",
    "established": "put most of the budget into keeping customers, the most valuable ones at risk first",
}


@dataclass(frozen=True)
class Stage:
    """Where the shop stands.

    Attributes
    ----------
    stage
        One of `STAGES`.
    age_days
        Of the log, to `end`: the shop may be older.
    window_days
        Length of the two windows compared: a year, or half of the log where it is shorter than two.
    repeat_revenue_share
        Of the last window's net revenue, the part from days after the customer's first purchase day, 0 to 1;
        None without revenue.
    active_customers, active_before
        Customers with a purchase in the last window and in the one before.
    new_customers
        With their first purchase in the last window.
    growth
        Of the active customers, from one window to the next; None where there were none before.
    sentence
        What it means for the split of the budget.
    """

    stage: str
    age_days: int
    window_days: int
    repeat_revenue_share: float | None
    active_customers: int
    active_before: int
    new_customers: int
    growth: float | None
    sentence: str


def shop_stage(orders: ir.Table, end: date) -> Stage:
    """Read the stage from the log up to and with `end`.

    Parameters
    ----------
    orders
        `customer_id`, `day` (date), `amount` (net money), `is_purchase`; one row per order.
    end
        Last day that is known.
    """
    known = orders.filter(orders.day <= end)
    began = first_day(known)
    age = (end - began).days + 1 if began else 0
    window = min(YEAR_DAYS, max(age // 2, 1))
    found = _measured(known, end - timedelta(days=window), end - timedelta(days=2 * window))
    money, repeat = found["revenue"], found["repeat_revenue"]
    share = min(max(repeat / money, 0.0), 1.0) if money > 0 else None
    growth = found["now"] / found["before"] - 1 if found["before"] else None
    stage = stage_of(age, share, growth)
    told = _sentence(stage, age, share, growth)
    if age and not found["new"]:
        told += CLOSED
    people = found["now"], found["before"], found["new"]
    return Stage(stage, age, window, share, *people, growth, told)


def stage_of(age_days: int, repeat_revenue_share: float | None, growth: float | None) -> str:
    """The first rule that holds; see the thresholds of this module."""
    if age_days < START_UP_DAYS:
        return "start_up"
    if age_days < YEAR_DAYS or repeat_revenue_share is None or repeat_revenue_share < REPEAT_SHARE:
        return "traction"
    return "steady_growth" if growth is not None and growth > GROWTH else "established"


def _measured(known: ir.Table, after: date, before: date) -> dict[str, Any]:
    """Money of the last window, and the customers of it and of the one before."""
    bought = known.filter(known.is_purchase)
    first = bought.group_by("customer_id").aggregate(first=bought.day.min())
    rows = known.left_join(first, "customer_id").select(known, first["first"])
    last = rows.day > after
    told = rows.aggregate(
        revenue=exact(rows.amount, where=last),
        repeat_revenue=exact(rows.amount, where=last & (rows.day > rows["first"]).fill_null(False)),
        now=rows.customer_id.nunique(where=last & rows.is_purchase),
        new=rows.customer_id.nunique(where=rows["first"] > after),
        before=rows.customer_id.nunique(where=~last & (rows.day > ibis.literal(before)) & rows.is_purchase),
    )
    return dict(told.to_pyarrow().to_pylist()[0])


def _sentence(stage: str, age: int, share: float | None, growth: float | None) -> str:
    repeat = "no revenue lately" if share is None else f"{share:.0%} of the revenue from repeat purchases"
    base = "" if growth is None else f", the active base {_change(growth)}"
    told = f"Stage: {stage.replace('_', ' ')} ({age} days of log, {repeat}{base}): {BUDGET[stage]}."
    if growth is not None and growth < -GROWTH:
        told += " The active base shrinks: find out why customers leave before spending on new ones."
    return told


def _change(growth: float) -> str:
    if abs(growth) < 0.005:
        return "as large as before"
    return f"{abs(growth):.0%} {'larger' if growth > 0 else 'smaller'} than before"

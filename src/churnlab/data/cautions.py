"""What looks odd about accepted orders, in plain words: nothing is refused for it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from churnlab.data.daily import DAILY_SHARE, FEWEST_GAP_DAYS, calendar_gaps, orders_per_day

if TYPE_CHECKING:
    import ibis.expr.types as ir

BLOCK_DAYS = 28
WEEKS_COMPARED = 8
CUT_SHORT = 0.25  # of the usual orders
FEWEST_USUAL = 8  # usual orders of a day; of fewer, chance may leave almost none
JUMP = 3.0
DOMINANT = 0.3


def cautions(orders: ir.Table, as_of: date | None = None) -> list[str]:
    """Sentences for the reader of a run; empty where nothing stands out.

    Parameters
    ----------
    orders
        customer_id, day, amount, is_purchase: accepted orders up to the last day that counts.
    as_of
        That day; the last one with an order if None.
    """
    bought = orders.filter(orders.is_purchase)
    daily = orders_per_day(bought)
    if daily.empty:
        return []
    found = (_cut_short(daily), _jump(daily), _gaps(orders_per_day(bought, as_of)), _dominated(bought))
    return [text for text in found if text]


def _cut_short(daily: pd.Series) -> str | None:
    """The last day against the same weekday of the weeks before, in a shop that sells daily."""
    before = daily.iloc[-7 * WEEKS_COMPARED - 1 : -1]
    if len(before) < 7 * WEEKS_COMPARED or (before > 0).mean() < DAILY_SHARE:
        return None
    usual, last = float(before.iloc[::7].median()), int(daily.iloc[-1])
    if usual < FEWEST_USUAL or last >= CUT_SHORT * usual:
        return None
    day = daily.index[-1].date()
    return (
        f"the last day, {day}, has {last:,} orders where {usual:,.0f} are usual: if the load was cut short, "
        f'set data.as_of to "{day - timedelta(days=1)}"'
    )


def _jump(daily: pd.Series) -> str | None:
    """The last four weeks against the blocks of four weeks before."""
    blocks = [
        int(daily.iloc[max(end - BLOCK_DAYS, 0) : end].sum())
        for end in range(len(daily), BLOCK_DAYS - 1, -BLOCK_DAYS)
    ]
    usual = float(pd.Series(blocks[1:], dtype=float).median()) if len(blocks) > 3 else 0.0
    if usual < FEWEST_USUAL * 7 or usual / JUMP <= blocks[0] <= usual * JUMP:
        return None
    return (
        f"the last {BLOCK_DAYS} days have {blocks[0]:,} orders where {usual:,.0f} are usual: "
        "see that no file is missing or loaded twice"
    )


def _gaps(daily: pd.Series) -> str | None:
    """Days in a row without an order: a holiday, or a file that was never loaded."""
    gaps = calendar_gaps(daily)
    if not gaps:
        return None
    longest = max(gaps, key=lambda gap: gap.days)
    days = f"{longest.days} days without an order, {longest.first_day} to {longest.last_day}"
    told = f"{len(gaps)} gaps of {FEWEST_GAP_DAYS} days and more in the calendar, the longest of {days}"
    return (
        f"{told if len(gaps) > 1 else f'a gap in the calendar: {days}'}, in a shop that sells daily: "
        "if it was not closed, a load is missing"
    )


def _dominated(bought: ir.Table) -> str | None:
    """The greatest customer's share of the money taken; who it is stays unsaid."""
    money = bought.group_by("customer_id").aggregate(money=bought.gross.sum().cast("float64"))
    row = money.aggregate(most=money.money.max(), all=money.money.sum(), n=money.count()).to_pyarrow()
    most, total, customers = (row[name][0].as_py() for name in ("most", "all", "n"))
    if customers < 10 or not total or most / total <= DOMINANT:
        return None
    return (
        f"one customer of {customers:,} brings {most / total:.0%} of the money: totals hang on that customer"
    )

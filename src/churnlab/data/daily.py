"""Purchases day by day, and the stretches on which a shop that sells daily sold nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import ibis.expr.types as ir

DAILY_SHARE = 0.8  # share of days with an order from which a shop counts as selling daily
FEWEST_GAP_DAYS = 3
FEWEST_MISSED = 24  # orders that a gap would usually hold; of fewer, chance may leave none


@dataclass(frozen=True)
class CalendarGap:
    """Days in a row without an order: the first, the last, and how many, closed weekdays among them."""

    first_day: date
    last_day: date
    days: int


def orders_per_day(bought: ir.Table, as_of: date | None = None) -> pd.Series:
    """Orders on every calendar day from the first to the last, or to `as_of`; empty without any.

    Parameters
    ----------
    bought
        `day` of orders with a purchase.
    """
    by_day = bought.group_by("day").aggregate(n=bought.count()).order_by("day").to_pandas()
    if by_day.empty:
        return pd.Series(dtype="int64")
    days = pd.date_range(by_day["day"].iloc[0], as_of or by_day["day"].iloc[-1])
    return by_day.set_index(pd.to_datetime(by_day["day"]))["n"].reindex(days, fill_value=0)


def calendar_gaps(daily: pd.Series) -> list[CalendarGap]:
    """Stretches without an order that a shop which sells daily does not leave by chance.

    A weekday on which most weeks have no order is a closed one, and does not count. A gap has at least three
    of the other days, which usually bring 24 orders together.

    Parameters
    ----------
    daily
        As :func:`orders_per_day` gives it.
    """
    if daily.empty:
        return []
    weekday = pd.DatetimeIndex(daily.index).day_of_week
    is_open = (daily > 0).groupby(weekday).transform("mean") > 1 - DAILY_SHARE
    if (daily[is_open] > 0).mean() < DAILY_SHARE:
        return []
    usual = float(daily[is_open].median())
    return [gap for gap, missed in _silences(daily[is_open]) if missed * usual >= FEWEST_MISSED]


def _silences(opened: pd.Series) -> list[tuple[CalendarGap, int]]:
    """Runs of three and more open days without an order, each with how many open days it has."""
    silent = (opened == 0).to_numpy()
    run = np.cumsum(np.diff(silent, prepend=False) != 0)
    found = []
    for number in np.unique(run[silent]):
        days = opened.index[run == number]
        if len(days) >= FEWEST_GAP_DAYS:
            first, last = days[0].date(), days[-1].date()
            found.append((CalendarGap(first, last, (last - first).days + 1), len(days)))
    return found

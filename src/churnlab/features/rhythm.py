"""How a shop's purchases follow each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pandas as pd

from churnlab.features.classes import QUANTILES, Bar, named
from churnlab.features.waits import quantiles, silent_after, survival

if TYPE_CHECKING:
    import ibis.expr.types as ir

RETURN_DAYS = (30, 60, 90, 180, 365)
FEWEST_GAPS = 2
MOST_BARS, MOST_POINTS = 60, 200


@dataclass(frozen=True)
class Rhythm:
    """How purchases follow each other, in days.

    Attributes
    ----------
    returns
        Waits that ended with a purchase; purchases of one customer on one day are one.
    wait_days
        Quantile to days, of those waits.
    wait_bars
        The same waits in classes.
    silent
        (days, share of waits that last longer), the silence at the end of the log counted as unfinished.
    second_order_days
        Quantile to days from the first to the second purchase day, of those who have one.
    second_order_within
        Days to the share of first purchases that are followed by a second within them, new customers counted
        as long as they were seen (Kaplan-Meier); None where the log cannot show it.
    regular_customers
        Customers with three purchase days and more.
    own_gap_days
        Quantile to days, of these customers' own median gaps.
    regularity
        Median over them of standard deviation / mean of the gaps: 0 is a clock, 1 is chance.
    """

    returns: int
    wait_days: dict[str, int]
    wait_bars: tuple[Bar, ...]
    silent: tuple[tuple[int, float], ...]
    second_order_days: dict[str, int]
    second_order_within: dict[str, float | None]
    regular_customers: int
    own_gap_days: dict[str, float]
    regularity: float | None


def rhythm(days: ir.Table, counted: pd.DataFrame) -> Rhythm:
    all_waits, first = _together(counted), counted[counted["first"]]
    curve, second = survival(all_waits), survival(first)
    own = _own_gaps(days)
    known = own["median"].to_numpy()
    return Rhythm(
        returns=int(counted.loc[counted["returned"], "n"].sum()),
        wait_days=named(QUANTILES, quantiles(all_waits, QUANTILES)),
        wait_bars=_wait_bars(all_waits),
        silent=_thinned(curve),
        second_order_days=named(QUANTILES, quantiles(first, QUANTILES)),
        second_order_within={str(n): _come(second, n) for n in RETURN_DAYS},
        regular_customers=len(own),
        own_gap_days=named(QUANTILES, np.quantile(known, QUANTILES).tolist()) if len(own) else {},
        regularity=float(np.median(own["spread"])) if len(own) else None,
    )


def _together(counted: pd.DataFrame) -> pd.DataFrame:
    return counted.groupby(["days", "returned"])["n"].sum().reset_index()


def _come(curve: pd.DataFrame, days: int) -> float | None:
    silent = silent_after(curve, days)
    return None if silent is None else 1.0 - silent


def _own_gaps(days: ir.Table) -> pd.DataFrame:
    """median and spread (standard deviation / mean) of the gaps of every customer with two and more."""
    in_order = ibis.window(group_by="customer_id", order_by=days.day)
    gaps = days.select("customer_id", gap=days.day.delta(days.day.lag().over(in_order), unit="day"))
    gaps = gaps.filter(gaps.gap > 0)
    each = gaps.group_by("customer_id").aggregate(
        n=gaps.count(),
        median=gaps.gap.cast("float64").median(),
        total=gaps.gap.sum(),
        squares=(gaps.gap * gaps.gap).sum(),
    )
    own = each.filter(each.n >= FEWEST_GAPS).order_by("customer_id").to_pandas()
    n, total = own["n"].to_numpy(float), own["total"].to_numpy(float)
    variance = (own["squares"].to_numpy(float) - total**2 / n) / (n - 1)
    return own.assign(spread=np.sqrt(np.maximum(variance, 0.0)) / (total / n))


def _wait_bars(counted: pd.DataFrame) -> tuple[Bar, ...]:
    """Classes of days, or of whole weeks, so that almost all lie in at most 60 of them; the last is open."""
    ended = counted[counted["returned"]]
    if ended.empty:
        return ()
    (far,) = quantiles(counted, [0.995])
    width = 1 if far <= MOST_BARS else 7 * int(np.ceil(far / MOST_BARS / 7))
    lows = range(1, far + 1, width)
    place = np.minimum((ended["days"].to_numpy() - 1) // width, len(lows) - 1)
    sizes = np.bincount(place, weights=ended["n"].to_numpy(), minlength=len(lows))
    beyond = int(ended["days"].max()) > lows[-1] + width - 1
    return tuple(
        Bar(low, None if beyond and low == lows[-1] else low + width - 1, int(n))
        for low, n in zip(lows, sizes, strict=True)
    )


def _thinned(curve: pd.DataFrame) -> tuple[tuple[int, float], ...]:
    step = max(int(np.ceil(len(curve) / MOST_POINTS)), 1)
    shown = curve[(curve["days"] % step == 0) | (curve["days"] == len(curve))]
    return ((0, 1.0), *zip(shown["days"].tolist(), shown["silent"].tolist(), strict=True))

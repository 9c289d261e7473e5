"""How long customers wait for their next purchase, the silence at the end of the log included."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import ibis.expr.types as ir


def purchase_days(orders: ir.Table, as_of: date) -> ir.Table:
    """customer_id, day: one row per customer and day with a purchase, up to and with `as_of`."""
    bought = orders.filter((orders.day <= as_of) & orders.is_purchase)
    return bought.select("customer_id", "day").distinct()


def waits(days: ir.Table, as_of: date) -> pd.DataFrame:
    """Every wait that a purchase day begins, counted.

    Parameters
    ----------
    days
        See :func:`purchase_days`.
    as_of
        Last day that is known.

    Returns
    -------
    days (int64: to the customer's next purchase day, or to `as_of` where there is none), returned (bool:
    there is one), first (bool: the wait begins with the customer's first purchase), n (int64: how many such
    waits). Sorted.
    """
    in_order = ibis.window(group_by="customer_id", order_by=days.day)
    following = days.day.lead().over(in_order)
    each = days.select(
        days=following.coalesce(ibis.literal(as_of)).delta(days.day, unit="day"),
        returned=(following > days.day).fill_null(False),
        first=ibis.row_number().over(in_order) == 0,
    )
    keys = ["days", "returned", "first"]
    counted = each.group_by(keys).aggregate(n=each.count()).order_by(keys).to_pandas()
    return counted.astype({"days": "int64", "n": "int64"})


def waits_from(days: ir.Table, start: date, as_of: date) -> pd.DataFrame:
    """From one day on, every customer's wait for the next purchase, counted.

    Parameters
    ----------
    days
        See :func:`purchase_days`.
    start
        Customers with a purchase on or before it are in, each once.
    as_of
        Last day that is known.

    Returns
    -------
    days (int64: from `start` to the customer's next purchase day, or to `as_of`), returned (bool), n (int64).
    Sorted.
    """
    each = days.group_by("customer_id").aggregate(
        known=(days.day <= start).any(), following=days.day.min(where=days.day > start)
    )
    each = each.filter(each.known)
    each = each.select(
        days=each.following.coalesce(ibis.literal(as_of)).delta(ibis.literal(start), unit="day"),
        returned=(each.following > start).fill_null(False),
    )
    keys = ["days", "returned"]
    counted = each.group_by(keys).aggregate(n=each.count()).order_by(keys).to_pandas()
    return counted.astype({"days": "int64", "n": "int64"})


def survival(counted: pd.DataFrame) -> pd.DataFrame:
    """Kaplan & Meier (1958): the share still silent after so many days, of all waits.

    A wait that the end of the log cuts short counts as long as it was seen, so that a short log does not make
    waits look short.

    Parameters
    ----------
    counted
        days, returned, n, as from :func:`waits`.

    Returns
    -------
    days (1, 2, … to the longest wait), at_risk (waits seen so long), returned (of them those that end on that
    day), silent (share that lasts longer).
    """
    longest = int(counted["days"].max()) if len(counted) else 0
    ends, total = np.zeros(longest + 1, dtype=np.int64), np.zeros(longest + 1, dtype=np.int64)
    for columns, into in ((counted[counted["returned"]], ends), (counted, total)):
        np.add.at(into, columns["days"].to_numpy(), columns["n"].to_numpy())
    at_risk = total[::-1].cumsum()[::-1]
    returned, at_risk = ends[1:], at_risk[1:]
    return pd.DataFrame(
        {
            "days": np.arange(1, longest + 1),
            "at_risk": at_risk,
            "returned": returned,
            "silent": np.cumprod(1.0 - returned / at_risk),
        }
    )


def silent_after(curve: pd.DataFrame, days: int) -> float | None:
    """Share of waits that last longer than `days`, or None beyond the end of the curve."""
    if days < 1:
        return 1.0
    return float(curve["silent"].iloc[days - 1]) if days <= len(curve) else None


def quantiles(counted: pd.DataFrame, shares: Sequence[float]) -> list[int]:
    """Days within which these shares of the waits that ended have ended; empty where none has."""
    ended = counted[counted["returned"]].groupby("days")["n"].sum()
    if ended.empty:
        return []
    reached = ended.cumsum().to_numpy()
    # whole numbers are compared: 0.9 * 10 is a little more than 9
    wanted = [int(np.ceil(round(share * int(reached[-1]), 6))) for share in shares]
    return [int(ended.index[int(np.searchsorted(reached, max(n, 1)))]) for n in wanted]

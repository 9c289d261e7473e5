"""What each known customer did in the days after a cutoff."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import ibis

from churnlab.features.exact import MONEY

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

TYPES = {"customer_id": "str", "churned": "int8", "n_purchases": "int64", "spend": "float64"}


def first_order_after(orders: ir.Table, cutoff: date, horizon_days: int) -> pd.DataFrame:
    """When each customer first bought in (cutoff, cutoff + horizon_days].

    Parameters
    ----------
    orders
        customer_id, day, is_purchase.

    Returns
    -------
    customer_id; days (from the cutoff, 1 for the day after); sorted; who did not buy is missing.
    """
    later = orders.filter(
        orders.is_purchase, orders.day > cutoff, orders.day <= cutoff + timedelta(days=horizon_days)
    )
    first = later.group_by("customer_id").aggregate(first=later.day.min())
    days = first.first.delta(ibis.literal(cutoff), unit="day").cast("float64")
    found = first.select("customer_id", days=days).order_by("customer_id").to_pandas()
    return found.astype({"customer_id": "str", "days": "float64"})


def spent_before(orders: ir.Table, cutoff: date, days: int) -> pd.DataFrame:
    """What every customer spent in the days up to a cutoff, returns taken off, and on how many days.

    Parameters
    ----------
    orders
        customer_id, day, amount, is_purchase.

    Returns
    -------
    customer_id; spend (money); purchase_days; sorted by customer_id; who has no order then is missing.
    """
    lately = orders.filter(orders.day <= cutoff, orders.day > cutoff - timedelta(days=days))
    spent = lately.group_by("customer_id").aggregate(
        spend=lately.amount.cast(MONEY).sum().cast("float64"),
        purchase_days=lately.day.nunique(where=lately.is_purchase).cast("float64"),
    )
    types = {"customer_id": "str", "spend": "float64", "purchase_days": "float64"}
    return spent.order_by("customer_id").to_pandas().astype(types)


def outcomes(orders: ir.Table, cutoff: date, horizon_days: int) -> pd.DataFrame:
    """What happened in (cutoff, cutoff + horizon_days] to the customers acquired by the cutoff.

    Parameters
    ----------
    orders
        customer_id, day, amount, is_purchase. The caller sees to it that the window has passed.
    cutoff
        Customers with a purchase on or before it are in.
    horizon_days
        Length of the window.

    Returns
    -------
    customer_id; churned (int8: 1 without a purchase day in the window); n_purchases (int64: purchase
    days in the window); spend (float64: net sum of the window, returns taken off, at least 0).
    Sorted by customer_id.
    """
    seen = orders.filter(orders.day <= cutoff + timedelta(days=horizon_days))
    later = seen.day > cutoff
    by_day = seen.group_by(["customer_id", "day"]).aggregate(
        later=later.any(),
        bought=seen.is_purchase.any(),
        net=seen.amount.cast(MONEY).sum(where=later).fill_null(0),
    )
    by_customer = by_day.group_by("customer_id").aggregate(
        known=(by_day.bought & ~by_day.later).any(),
        n_purchases=(by_day.bought & by_day.later).cast("int64").sum(),
        net=by_day.net.sum().cast("float64"),
    )
    known = by_customer.filter(by_customer.known).select(
        "customer_id",
        churned=(by_customer.n_purchases == 0).cast("int8"),
        n_purchases=by_customer.n_purchases,
        spend=ibis.greatest(by_customer.net, 0.0),
    )
    return known.order_by("customer_id").to_pandas().astype(TYPES)

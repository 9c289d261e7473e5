"""Recency, frequency and money: the columns from which the purchase and spend models are fitted."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from churnlab.features.exact import counted, ratio
from churnlab.features.occasions import purchase_days

if TYPE_CHECKING:
    import ibis.expr.types as ir


def rfm(orders: ir.Table, cutoff: date) -> ir.Table:
    """RFM of every customer with a purchase on or before the cutoff.

    Parameters
    ----------
    orders
        See :func:`churnlab.features.occasions.occasions`.
    cutoff
        Last day that is known.

    Returns
    -------
    customer_id and the columns of :func:`rfm_columns`, sorted by customer_id.
    """
    visits = purchase_days(orders, cutoff)
    return visits.group_by("customer_id").aggregate(**rfm_columns(visits)).order_by("customer_id")


def rfm_columns(visits: ir.Table) -> dict[str, ir.Value]:
    """RFM as aggregates over one customer's purchase days (value, age_days); all float64, times in days.

    frequency, recency, T and monetary_value are those of Fader, Hardie & Lee (2005): repeat purchase
    days; days from first to last purchase; days from first purchase to cutoff; mean value of the repeat
    days worth more than 0 (`paid_repeats` of them; 0 if none).
    days_since_last_order = T - recency; first_order_value: value of the first purchase day;
    total_spend: value of all purchase days. A day's value is its net amount, at least 0.
    """
    tenure = visits.age_days.max().cast("float64")
    hiatus = visits.age_days.min().cast("float64")
    first, total = visits.value.argmax(visits.age_days), visits.value.sum()
    paid = counted(visits.value > 0) - (first > 0).cast("float64")
    return {
        "frequency": visits.count().cast("float64") - 1.0,
        "recency": tenure - hiatus,
        "T": tenure,
        "monetary_value": ratio((total - first).cast("float64"), paid).fill_null(0.0),
        "paid_repeats": paid,
        "days_since_last_order": hiatus,
        "first_order_value": first.cast("float64"),
        "total_spend": total.cast("float64"),
    }

"""The shop's key figures: repeat customer rate, purchase frequency, average order value, customer value."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from churnlab.features.exact import exact

if TYPE_CHECKING:
    import ibis.expr.types as ir


def key_figures(orders: ir.Table, as_of: date, days: int | None = 365) -> dict[str, Any]:
    """Key figures of the whole base over the last `days` days up to and with `as_of`.

    An order counts when it is a purchase; a customer counts who placed one in the period. Revenue is the net
    amount of the period, returns subtracted on the day they happen.
    repeat_customer_rate = customers with more than one order / customers;
    purchase_frequency = orders / customers; average_order_value = revenue / orders;
    customer_value = purchase_frequency * average_order_value.

    Parameters
    ----------
    orders
        `customer_id`, `day` (date), `amount` (net money), `is_purchase`; one row per order.
    as_of
        Last day that counts.
    days
        Length of the period; None takes everything up to `as_of`.

    Returns
    -------
    dict
        `period_start`, `period_end` (dates; the period starts no earlier than the first purchase there is,
        None without any), `customers`, `orders`, `repeat_customers` (counts), `revenue` (money), and the four
        figures above, None in a period without a purchase.
    """
    known = orders.filter(orders.day <= as_of)
    window = known if days is None else known.filter(known.day > as_of - timedelta(days=days))
    counts = _counts(window)
    return {"period_start": _start(known, as_of, days), "period_end": as_of, **counts, **rates(**counts)}


def rates(customers: int, orders: int, repeat_customers: int, revenue: float) -> dict[str, float | None]:
    """The four figures of counts and money; None where there is no purchase."""
    return {
        "repeat_customer_rate": repeat_customers / customers if customers else None,
        "purchase_frequency": orders / customers if customers else None,
        "average_order_value": revenue / orders if orders else None,
        "customer_value": (orders / customers) * (revenue / orders) if customers else None,
    }


def _counts(window: ir.Table) -> dict[str, Any]:
    """Customers, orders, repeat customers and revenue of the rows."""
    per_customer = window.group_by("customer_id").aggregate(n=window.is_purchase.cast("int64").sum())
    people = per_customer.aggregate(
        customers=(per_customer.n > 0).sum().fill_null(0),
        orders=per_customer.n.sum().fill_null(0),
        repeat_customers=(per_customer.n > 1).sum().fill_null(0),
    )
    money = window.aggregate(revenue=exact(window.amount))
    return {**_row(people), **_row(money)}


def _start(known: ir.Table, as_of: date, days: int | None) -> date | None:
    first: date | None = _row(known.aggregate(first=known.day.min(where=known.is_purchase)))["first"]
    return first if first is None or days is None else max(first, as_of - timedelta(days=days - 1))


def _row(table: ir.Table) -> dict[str, Any]:
    return dict(table.to_pyarrow().to_pylist()[0])

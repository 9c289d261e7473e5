"""A shop's customers, orders, money and returns as numbers, over the whole log and by month."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from churnlab.features.classes import QUANTILES, Bar, classes, named
from churnlab.features.exact import exact

if TYPE_CHECKING:
    import ibis.expr.types as ir

TOP_SHARES = (0.01, 0.05, 0.1, 0.2)
ORDER_COUNTS = (1, 2, 3, 4, 5, 6, 11, 21, 51, 101)  # where the classes of orders per customer begin


@dataclass(frozen=True)
class Figures:
    """Orders and customers as numbers.

    Attributes
    ----------
    customers, orders
        With a purchase.
    returns_only_customers
        Customers who only ever gave back.
    repeat_customers, repeat_customer_rate
        Customers with more than one order, and their share.
    orders_per_customer
        Classes of customers by number of orders.
    revenue, average_order_value
        Net: returns taken off on the day that they happen.
    order_values
        Quantile to the gross value of an order.
    top_shares
        Share of customers to the share of money that the best of them bring.
    return_line_share, return_money_share
        Returned lines among accepted ones; money given back for what was sold.
    """

    customers: int
    orders: int
    returns_only_customers: int
    repeat_customers: int
    repeat_customer_rate: float
    orders_per_customer: tuple[Bar, ...]
    revenue: float
    average_order_value: float
    order_values: dict[str, float]
    top_shares: dict[str, float]
    return_line_share: float
    return_money_share: float


@dataclass(frozen=True)
class Month:
    """A calendar month: orders with a purchase, net revenue, customers who bought, and the new among them."""

    month: str
    orders: int
    revenue: float
    customers: int
    new_customers: int


def shop_figures(orders: ir.Table, return_line_share: float) -> Figures:
    by_customer = orders.group_by("customer_id").aggregate(
        n=orders.is_purchase.cast("int64").sum(),
        net=exact(orders.amount),
        gross=exact(orders.gross),
        returned=exact(orders.returned),
    )
    each = by_customer.order_by("customer_id").to_pandas()
    values = orders.filter(orders.is_purchase).gross.to_pyarrow().to_numpy(zero_copy_only=False)
    bought = each[each["n"] > 0]
    revenue, sold = float(each["net"].sum()), float(each["gross"].sum())
    return Figures(
        customers=len(bought),
        orders=len(values),
        returns_only_customers=len(each) - len(bought),
        repeat_customers=int((bought["n"] > 1).sum()),
        repeat_customer_rate=float((bought["n"] > 1).mean()),
        orders_per_customer=classes(bought["n"].to_numpy(), ORDER_COUNTS),
        revenue=revenue,
        average_order_value=revenue / len(values),
        order_values=named(QUANTILES, np.quantile(values, QUANTILES).tolist()),
        top_shares=top_shares(bought["net"].to_numpy()),
        return_line_share=return_line_share,
        return_money_share=float(each["returned"].sum()) / sold if sold > 0 else 0.0,
    )


def top_shares(net: np.ndarray, shares: Sequence[float] = TOP_SHARES) -> dict[str, float]:
    """Share of the money that the best customers bring; nothing where none brings any.

    Parameters
    ----------
    net
        Net money of each customer; what is below 0 counts as 0.
    shares
        Of the customers, each from 0 to 1; at least one customer, and of a part of one none.
    """
    money = np.sort(np.maximum(net, 0.0))[::-1]
    total = money.sum()
    if total <= 0:
        return {}
    counts = [max(int(share * len(money) + 1e-9), 1) for share in shares]
    return named(shares, [float(money[:n].sum() / total) for n in counts])


def months(orders: ir.Table) -> tuple[Month, ...]:
    bought = orders.filter(orders.is_purchase)
    first = bought.group_by("customer_id").aggregate(month=bought.day.min().strftime("%Y-%m"))
    new = first.group_by("month").aggregate(new_customers=first.count())
    dated = orders.mutate(month=orders.day.strftime("%Y-%m"))
    found = dated.group_by("month").aggregate(
        orders=dated.is_purchase.cast("int64").sum(),
        revenue=exact(dated.amount),
        customers=dated.customer_id.nunique(where=dated.is_purchase),
    )
    joined = found.left_join(new, "month").select(found, new_customers=new.new_customers.fill_null(0))
    rows = {row["month"]: row for row in joined.to_pyarrow().to_pylist()}
    nothing = {"orders": 0, "revenue": 0.0, "customers": 0, "new_customers": 0}
    months = pd.period_range(min(rows), max(rows), freq="M").astype(str)
    return tuple(Month(**{"month": month, **nothing, **rows.get(month, {})}) for month in months)

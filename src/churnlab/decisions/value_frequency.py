"""Customers by average order value and purchase frequency: which of the two to build."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

FIELDS = ("frequent_large", "frequent_small", "rare_large", "rare_small")
ADVICE = {
    "frequent_large": "frequent and large orders: exclusivity, service, no discounts needed",
    "frequent_small": "frequent and small orders: basket-building (bundles, recommendations, thresholds)",
    "rare_large": "rare and large orders: frequency-building (reminders, reasons for a next order)",
    "rare_small": "rare and small orders: low-cost contacts only",
}


@dataclass(frozen=True)
class Field:
    """One field of the matrix: customers, orders (counts), revenue (net money), and what to do there."""

    field: str
    customers: int
    orders: int
    revenue: float
    advice: str


@dataclass(frozen=True)
class ValueFrequency:
    """The matrix of a period.

    Attributes
    ----------
    median_orders, median_order_value
        Where the base is split (orders per customer; money); None without customers. Above it is frequent,
        and large; where half of the base or more have one order, every repeat customer is frequent.
    fields
        In the order of `FIELDS`.
    frequency_gain, basket_gain
        Money of the period, had rare_large customers ordered as often as frequent_large ones, and had
        frequent_small orders been as large as theirs: the most there is to win, not a forecast. None where
        one of the two fields is empty.
    focus
        frequency, basket, or None where nothing tells them apart.
    sentence
        What it means.
    """

    median_orders: float | None
    median_order_value: float | None
    fields: tuple[Field, ...]
    frequency_gain: float | None
    basket_gain: float | None
    focus: str | None
    sentence: str


def value_frequency(customers: pd.DataFrame) -> ValueFrequency:
    """Split the base at its own medians, so that no unit of money and no line of business is assumed.

    Parameters
    ----------
    customers
        orders (at least 1), revenue (net money) of everyone with a purchase in the period; any order.
    """
    orders, revenue = customers["orders"].to_numpy(float), customers["revenue"].to_numpy(float)
    worth = revenue / orders
    often, large = _median(orders), _median(worth)
    frequent, dear = _above(orders, often), _above(worth, large)
    which = (frequent & dear, frequent & ~dear, ~frequent & dear, ~frequent & ~dear)
    fields = tuple(
        _field(name, orders[rows], revenue[rows]) for name, rows in zip(FIELDS, which, strict=True)
    )
    gains = _gains({field.field: field for field in fields})
    focus = _focus(*gains)
    return ValueFrequency(often, large, fields, *gains, focus, _sentence(focus))


def _median(values: np.ndarray) -> float | None:
    return float(np.median(values)) if len(values) else None


def _above(values: np.ndarray, split: float | None) -> np.ndarray:
    return np.zeros(0, dtype=bool) if split is None else values > split


def _field(name: str, orders: np.ndarray, revenue: np.ndarray) -> Field:
    money = float(np.sort(revenue).cumsum()[-1]) if len(revenue) else 0.0  # in any order of rows the same
    return Field(name, len(orders), int(orders.sum()), money, ADVICE[name])


def _gains(fields: dict[str, Field]) -> tuple[float | None, float | None]:
    best, small, rare = (fields[name] for name in FIELDS[:3])
    if not best.customers:
        return None, None
    more_orders = best.orders / best.customers - rare.orders / rare.customers if rare.customers else None
    frequency = None if more_orders is None else more_orders * rare.customers * rare.revenue / rare.orders
    basket = small.orders * best.revenue / best.orders - small.revenue if small.customers else None
    return frequency, basket


def _focus(frequency: float | None, basket: float | None) -> str | None:
    gains = {"frequency": frequency or 0.0, "basket": basket or 0.0}
    best = max(gains, key=lambda name: gains[name])
    return best if gains[best] > 0 and gains["frequency"] != gains["basket"] else None


def _sentence(focus: str | None) -> str:
    if focus == "frequency":
        return (
            "Build frequency first: customers with large but rare orders hold more to win, if they ordered "
            "as often as the best, than small baskets do."
        )
    if focus == "basket":
        return (
            "Build baskets first: customers with frequent but small orders hold more to win, if those "
            "were as large as the best customers' orders, than rare orders do."
        )
    return "Nothing tells frequency and baskets apart: too few customers stand in either field."

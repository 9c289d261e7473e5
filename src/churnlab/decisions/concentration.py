"""How much of the revenue comes from how few customers (the 80/20 check)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from churnlab.features.shop_figures import top_shares

TOP = (0.1, 0.2, 0.5)
POINTS = 101  # of the Lorenz curve: one per cent of the customers each


@dataclass(frozen=True)
class Concentration:
    """Revenue by customers. Net revenue below 0 (more returned than bought) counts as 0 in all shares.

    Attributes
    ----------
    customers
        With a purchase in the period.
    negative_customers, negative_revenue
        Those whose net revenue is below 0, and its sum (money, not above 0).
    top_shares
        Share of customers (text) to the share of revenue that the best of them bring; empty without revenue.
    gini
        0: all bring the same; near 1: one brings all. None without revenue.
    lorenz
        Share of revenue of the lowest 0 %, 1 %, … 100 % of the customers; empty without revenue.
    sentence
        What it means.
    """

    customers: int
    negative_customers: int
    negative_revenue: float
    top_shares: dict[str, float]
    gini: float | None
    lorenz: tuple[float, ...]
    sentence: str


def concentration(net: np.ndarray) -> Concentration:
    """Measure it.

    Parameters
    ----------
    net
        Net revenue of each customer with a purchase in the period, in money; any order.
    """
    shares = top_shares(net, TOP)
    curve = lorenz(net)
    below = np.sort(net[net < 0])
    return Concentration(
        customers=len(net),
        negative_customers=len(below),
        negative_revenue=float(below.sum()),
        top_shares=shares,
        gini=gini(net),
        lorenz=tuple(np.interp(np.linspace(0, 1, POINTS), *curve).tolist()) if shares else (),
        sentence=_sentence(shares),
    )


def lorenz(net: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The curve's corners: shares of the customers, lowest first, and of the revenue; both from 0 to 1."""
    money = np.sort(np.maximum(net, 0.0))
    sums = np.concatenate([[0.0], np.cumsum(money)])
    return np.arange(len(sums)) / max(len(money), 1), sums / sums[-1] if sums[-1] > 0 else sums


def gini(net: np.ndarray) -> float | None:
    """1 less twice the area below the Lorenz curve (Gini 1912); None without revenue."""
    customers, revenue = lorenz(net)
    if revenue[-1] <= 0:
        return None
    area = float(np.sum((revenue[1:] + revenue[:-1]) / 2 * np.diff(customers)))
    return max(1 - 2 * area, 0.0)  # rounding may leave it a hair below 0


def _sentence(shares: dict[str, float]) -> str:
    if not shares:
        return "No customer brought revenue in the period."
    fifth = shares[str(0.2)]
    if fifth >= 0.6:
        meaning = "losing one of them costs as much as losing many others, so they come first"
    elif fifth >= 0.4:
        meaning = "they come first, but the rest is too large to leave alone"
    else:
        meaning = "revenue is spread widely, so what reaches many customers counts more than care for a few"
    return f"The best 20% of the customers bring {fifth:.0%} of the revenue: {meaning}."

"""What customers are worth: lifetime value, and the range of outcomes around a forecast."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from churnlab.errors import ModelError
from churnlab.models.fitting import rounded
from churnlab.models.purchase_formulas import Floats
from churnlab.models.purchases import PurchaseModel

DAYS_PER_MONTH = 365.25 / 12.0
LEAST_RATIO, GREATEST_RATIO = 0.2, 5.0
LEVELS = np.arange(1, 100) / 100.0
MIN_ACTIVE = 30


def clv(
    purchases: PurchaseModel,
    expected_order_value: Floats,
    rfm: pd.DataFrame,
    months: int,
    monthly_discount_rate: float,
    margin: float,
) -> Floats:
    """Present value of each customer's profit in the `months` after the cutoff, in the currency of the data.

    sum over m = 1..months of E[purchases in month m] * expected_order_value * margin / (1 + rate)^m, a month
    being 365.25 / 12 days: the discrete form of Fader, Hardie & Lee (2005), "RFM and CLV: using iso-value
    curves for customer base analysis", Journal of Marketing Research 42(4), eq. (3), with Fader & Hardie's
    (2013) expected order value. Past purchases are not counted.

    Parameters
    ----------
    purchases
        A fitted purchase model.
    expected_order_value
        One value per row of `rfm`, currency per purchase day.
    rfm
        Columns frequency, recency (days), T (days).
    months
        Length of the future that counts.
    monthly_discount_rate
        0.01 is 12.7 % a year.
    margin
        Share of an order's value that is profit.

    Raises
    ------
    ModelError
        An argument is out of range, or there is not one order value per customer.
    """
    if months < 1 or not monthly_discount_rate >= 0 or not margin > 0:
        raise ModelError(
            "clv: needs clv_months >= 1, monthly_discount_rate >= 0 and margin > 0: mend params.yaml"
        )
    value = np.asarray(expected_order_value, dtype=np.float64)
    if value.shape != (len(rfm),):
        raise ModelError(f"clv: {value.size} order values for {len(rfm)} customers: give one per row of rfm")
    month = np.arange(1, months + 1)
    total = purchases.expected_purchases_by(rfm, list(month * DAYS_PER_MONTH))
    in_month = np.maximum(np.diff(total, axis=1, prepend=0.0), 0.0)
    discounted = (in_month * (1.0 + monthly_discount_rate) ** -month.astype(np.float64)).sum(axis=1)
    return np.asarray(discounted * value * margin, dtype=np.float64)


def coherent(clv: Floats, expected_spend: Floats, btyd_expected_spend: Floats) -> Floats:
    """Lifetime value in proportion to the forecast of the horizon, so that attrition is counted once.

    The purchase model has its own idea of who leaves. Where the churn model knows better, its forecast of the
    horizon replaces the purchase model's, and the lifetime value follows in the same ratio, kept within 0.2
    and 5 because what a few weeks show says less about a year. Unchanged where the purchase model expects no
    spend.

    Parameters
    ----------
    clv
        From :func:`clv`.
    expected_spend
        Forecast of the horizon, (1 - churn_probability) * spend given active.
    btyd_expected_spend
        The purchase model's: expected purchases in the horizon * expected order value.
    """
    own = np.asarray(btyd_expected_spend, dtype=np.float64)
    ratio = np.divide(expected_spend, own, out=np.ones_like(own), where=own > 0)
    return np.asarray(clv, dtype=np.float64) * np.clip(ratio, LEAST_RATIO, GREATEST_RATIO)


@dataclass(frozen=True)
class SpendSpread:
    """How far the spend of active customers falls from what was expected of them.

    Attributes
    ----------
    quantiles
        Three rows (few, middling, many purchases expected) of the 1 % .. 99 % quantiles of
        actual spend / expected spend given active.
    edges
        Expected purchases at which the second and the third row begin.
    n_active
        Active customers it was learnt from.
    """

    quantiles: tuple[tuple[float, ...], ...]
    edges: tuple[float, float]
    n_active: int

    def interval(
        self,
        churn_probability: Floats,
        spend_given_active: Floats,
        coverage: float,
        expected_purchases: Floats,
    ) -> tuple[Floats, Floats]:
        """Low and high ends of the central interval of spend, each with (1 - coverage) / 2 beyond it.

        Spend is 0 with churn_probability and spend_given_active * ratio otherwise, so its quantile at level u
        is 0 for u <= churn_probability and else the ratio's at (u - churn_probability) / (1 -
        churn_probability). It is an interval of outcomes: where they are so skewed that the expectation (1 -
        churn_probability) * spend_given_active lies beyond an end, that end is moved to it. Always 0 <= low
        <= expectation <= high.

        Parameters
        ----------
        churn_probability
            In the horizon.
        spend_given_active
            Expected spend of a customer who buys in the horizon, in the currency of the data (or that of any
            sum proportional to it, such as lifetime value).
        coverage
            Between 0 and 0.98.
        expected_purchases
            As in :func:`fit_spread`.

        Raises
        ------
        ModelError
            Coverage is out of range.
        """
        if not 0.0 < coverage <= 0.98:
            raise ModelError(f"clv.interval: {coverage} cannot be met: choose between 0 and 0.98")
        p = np.clip(np.asarray(churn_probability, dtype=np.float64), 0.0, 1.0)
        spend = np.maximum(np.asarray(spend_given_active, dtype=np.float64), 0.0)
        kind = np.searchsorted(self.edges, np.asarray(expected_purchases, dtype=np.float64), side="right")
        low, high = (self._quantile(p, spend, kind, (1.0 + side * coverage) / 2.0) for side in (-1.0, 1.0))
        expected = (1.0 - p) * spend
        return np.minimum(low, expected), np.maximum(high, expected)

    def to_dict(self) -> dict[str, Any]:
        """The spread as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> SpendSpread:
        """The spread that :meth:`to_dict` described.

        Raises
        ------
        ModelError
            A key is missing, or the quantiles are not three ascending rows of 99.
        """
        try:
            low, high = (float(edge) for edge in saved["edges"])
            rows = tuple(tuple(float(value) for value in row) for row in saved["quantiles"])
            spread = cls(rows, (low, high), int(saved["n_active"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"spend spread: {error!r} when loading it: train the model again") from error
        if [len(row) for row in rows] != [len(LEVELS)] * 3 or any(np.any(np.diff(row) < 0) for row in rows):
            raise ModelError("spend spread: not three ascending rows of 99 quantiles: train the model again")
        return spread

    def _quantile(self, p: Floats, spend: Floats, kind: np.ndarray, level: float) -> Floats:
        """The hurdle quantile of spend at `level`."""
        within = np.divide(level - p, 1.0 - p, out=np.zeros_like(p), where=p < 1.0)
        ratio = np.zeros_like(p)
        for row, quantiles in enumerate(self.quantiles):
            ratio = np.where(kind == row, np.interp(within, LEVELS, quantiles), ratio)
        return np.where(level > p, ratio * spend, 0.0)


def fit_spread(
    actual_spend: Floats, spend_given_active: Floats, expected_purchases: Floats, active: np.ndarray
) -> SpendSpread:
    """Learn the spread from a snapshot whose horizon has passed.

    Parameters
    ----------
    actual_spend
        In the horizon, currency.
    spend_given_active
        What was expected of each customer if active, currency; from a model that has not seen `actual_spend`.
    expected_purchases
        In the horizon; sorts customers into three kinds of equal size, for frequent buyers are steadier.
    active
        Whether each bought in the horizon; only those count, and of them only where something was expected.

    Notes
    -----
    A kind with fewer than 30 active customers takes the quantiles of all; if all are fewer than
    30, those of the exponential distribution stand in.
    """
    expected = np.asarray(spend_given_active, dtype=np.float64)
    counts = np.asarray(active, dtype=bool) & (expected > 0)
    ratio = np.maximum(np.asarray(actual_spend, dtype=np.float64)[counts], 0.0) / expected[counts]
    purchases = np.asarray(expected_purchases, dtype=np.float64)[counts]
    pooled = _ratio_quantiles(ratio, tuple(-np.log1p(-LEVELS)))
    edges = np.quantile(purchases, [1 / 3, 2 / 3]) if len(ratio) >= MIN_ACTIVE else np.array([0.0, 0.0])
    low, high = (rounded(float(edge)) for edge in edges)
    kind = np.searchsorted((low, high), purchases, side="right")
    rows = tuple(_ratio_quantiles(ratio[kind == row], pooled) for row in range(3))
    return SpendSpread(rows, (low, high), int(counts.sum()))


def _ratio_quantiles(ratio: Floats, otherwise: tuple[float, ...]) -> tuple[float, ...]:
    if len(ratio) < MIN_ACTIVE:
        return tuple(rounded(float(value)) for value in otherwise)
    found = (rounded(float(value)) for value in np.quantile(ratio, LEVELS))
    return tuple(value if math.isfinite(value) else 0.0 for value in found)

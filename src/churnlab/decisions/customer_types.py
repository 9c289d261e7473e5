"""Life-cycle type (D9) and buying style (D10) of every customer, by explicit scale-free rules."""

from __future__ import annotations

import numpy as np
import pandas as pd

# Silent for three of one's own usual gaps: under exponential gaps that is chance in 5 % of the cases (e^-3).
SILENT_GAPS = 3.0
# Regular: gaps that vary less than those of a memoryless buyer, whose coefficient of variation is 1.
REGULAR_GAP_CV = 1.0
LOYAL_REPEATS = 3
# A tenth off the whole history is beyond an occasional voucher.
DISCOUNT_SHARE = 0.10
# Baskets that vary more than a memoryless amount would.
VARIED_ORDER_CV = 0.75
NARROW_NEW_SHARE = 0.2


def lifecycle_type(features: pd.DataFrame, new_customer_days: int, typical_gap_days: float) -> pd.Series:
    """One type per customer; the first that fits of new, inactive, loyal, active.

    Parameters
    ----------
    features
        frequency, T, days_since_last_order (days), gap_mean_days, gap_cv (NaN for one-time buyers).
    new_customer_days
        First purchase within so many days: `new`.
    typical_gap_days
        Median of gap_mean_days over the base at training; a century where nobody had bought twice.

    Returns
    -------
    Series
        Index of `features`.

    Notes
    -----
    Silence is judged against the customer's own mean gap, and against the typical one for those who have
    none; in a base without a repeat buyer nobody is inactive. `potential` is given to returns-only
    customers elsewhere; `dissatisfied` needs the interactions table.
    """
    rhythm = features["gap_mean_days"].fillna(typical_gap_days)
    silent = features["days_since_last_order"] > SILENT_GAPS * rhythm
    regular = (features["frequency"] >= LOYAL_REPEATS) & (features["gap_cv"] <= REGULAR_GAP_CV)
    chosen = np.select(
        [features["T"] < new_customer_days, silent, regular], ["new", "inactive", "loyal"], default="active"
    )
    return pd.Series(chosen, index=features.index, dtype="str")


def buying_style(features: pd.DataFrame, value_label: pd.Series) -> pd.Series:
    """One style per customer; the first that fits of loyal, discount, impulse, need-based, unassigned.

    A style whose columns are absent is not assigned. `wandering` (much traffic, little revenue) needs visits,
    which transactions do not hold. Below three repeat purchases there is no style to see.

    Parameters
    ----------
    features
        frequency, gap_cv, order_value_cv; discount_share, products_new_share where the source has them.
    value_label
        low, medium, high or top, index as `features`.

    Returns
    -------
    Series
        Index of `features`.
    """
    nothing = pd.Series(np.nan, index=features.index)
    off = features.get("discount_share", nothing)
    novelty = features.get("products_new_share", nothing)
    repeats = features["frequency"] >= LOYAL_REPEATS
    irregular = features["gap_cv"] > REGULAR_GAP_CV
    loyal = repeats & value_label.isin(["high", "top"]) & ~irregular
    discount = repeats & (off >= DISCOUNT_SHARE)
    impulse = repeats & irregular & (features["order_value_cv"] > VARIED_ORDER_CV)
    need = repeats & (
        (novelty <= NARROW_NEW_SHARE) | (~irregular & (features["order_value_cv"] <= VARIED_ORDER_CV))
    )
    chosen = np.select(
        [loyal, discount, impulse, need], ["loyal", "discount", "impulse", "need-based"], default="unassigned"
    )
    return pd.Series(chosen, index=features.index, dtype="str")

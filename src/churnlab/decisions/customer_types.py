"""Life-cycle type (D9) and buying style (D10) of every customer, by explicit scale-free rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import ndtr

if TYPE_CHECKING:
    from churnlab.config import CustomerTypes
    from churnlab.features.spec import FeatureSpec

CONFIDENCE_DIGITS = 6
STYLES = ("loyal", "discount", "impulse", "need-based")
COMPLAINT_DAYS = 90  # of complaints_90d


def lifecycle_type(
    features: pd.DataFrame, new_customer_days: int, typical_gap_days: float, rules: CustomerTypes
) -> pd.Series:
    """One type per customer; the first that fits of dissatisfied, new, inactive, loyal, active.

    Parameters
    ----------
    features
        frequency, T, days_since_last_order (days), gap_mean_days, gap_cv (NaN for one-time buyers), and those
        that :func:`dissatisfied` looks at.
    new_customer_days
        First purchase within so many days: `new`.
    typical_gap_days
        Median of gap_mean_days over the base at training; a century where nobody had bought twice.
    rules
        Thresholds.

    Returns
    -------
    Series
        Index of `features`.

    Notes
    -----
    Silence is judged against the customer's own mean gap, and against the typical one for those who have
    none; in a base without a repeat buyer nobody is inactive. `potential` is given to returns-only
    customers elsewhere.

    No type reads a forecast. Between two purchases nothing moves but T and the silence, which only grow, so
    a type changes with an event of the customer's or when one of them crosses its threshold, once: unlike
    labels, types need no hysteresis.
    """
    rhythm = features["gap_mean_days"].fillna(typical_gap_days)
    silent = features["days_since_last_order"] > rules.silent_gaps * rhythm
    regular = (features["frequency"] >= rules.loyal_repeats) & (features["gap_cv"] <= rules.regular_gap_cv)
    chosen = np.select(
        [dissatisfied(features, rules), features["T"] < new_customer_days, silent, regular],
        ["dissatisfied", "new", "inactive", "loyal"],
        default="active",
    )
    return pd.Series(chosen, index=features.index, dtype="str")


def dissatisfied(features: pd.DataFrame, rules: CustomerTypes) -> pd.Series:
    """Whether anything on record says so; what is not recorded says nothing.

    Parameters
    ----------
    features
        Any of complaint_open, complaints_90d (counts), csat_last (0 to 1), nps_last (0 to 10),
        returned_share (of the money ever taken). Answers and returns older than a year do not count where
        csat_mean_365d, nps_mean_365d and returned_share_365d tell their age.
    rules
        Thresholds.

    Returns
    -------
    Series
        Booleans, index of `features`.
    """
    nothing = pd.Series(np.nan, index=features.index)

    def column(name: str) -> pd.Series:
        return features.get(name, nothing)

    def lately(name: str) -> pd.Series | bool:
        return column(name).notna() if name in features else True

    given_back_lately = column("returned_share_365d") > 0 if "returned_share_365d" in features else True
    found: pd.Series = (
        (column("complaint_open") > 0)
        | (column("complaints_90d") >= rules.recent_complaints)
        | ((column("csat_last") <= rules.low_csat) & lately("csat_mean_365d"))
        | ((column("nps_last") <= rules.detractor_nps) & lately("nps_mean_365d"))
        | ((column("returned_share") > rules.returned_share) & given_back_lately)
    )
    return found


def buying_style(features: pd.DataFrame, value_label: pd.Series, rules: CustomerTypes) -> pd.DataFrame:
    """One style per customer, the first that fits of `STYLES`, and how surely it fits.

    A style whose columns are absent is not assigned. `wandering` (much traffic, little revenue) needs visits,
    which transactions do not hold. Below `loyal_repeats` repeat purchases there is no style to see.

    Parameters
    ----------
    features
        frequency, gap_cv, order_value_cv; discount_share, products_new_share where the source has them.
    value_label
        low, medium, high or top, index as `features`.
    rules
        Thresholds.

    Returns
    -------
    DataFrame
        buying_style and buying_style_confidence, index of `features`. The confidence is 0 for `unassigned`,
        else from 0.5 on the rule's border to 1: the chance that estimates from so few purchases would lie
        less deep inside the rule if the customer's true figure lay on its border. The least sure condition of
        the rule decides, and of two rules for one style the surer one.
    """
    nothing = pd.Series(np.nan, index=features.index)
    enough = features["frequency"] >= rules.loyal_repeats
    gaps, days = features["frequency"].to_numpy(float), features["frequency"].to_numpy(float) + 1.0
    steady = _below(features["gap_cv"], rules.regular_gap_cv, _cv_error(rules.regular_gap_cv, gaps))
    varied = rules.varied_order_cv
    alike = _below(features["order_value_cv"], varied, _cv_error(varied, days))
    off = rules.discount_share
    discounted = 1.0 - _below(features.get("discount_share", nothing), off, _share_error(off, days))
    new = rules.narrow_new_share
    narrow = _below(features.get("products_new_share", nothing), new, _share_error(new, days))

    irregular = features["gap_cv"] > rules.regular_gap_cv
    mixed = features["order_value_cv"] > varied
    valuable = value_label.isin(["high", "top"])
    by_products = enough & (features.get("products_new_share", nothing) <= new)
    by_rhythm = enough & ~irregular & ~mixed & features["order_value_cv"].notna()
    fits = [
        enough & valuable & ~irregular,
        enough & (features.get("discount_share", nothing) >= off),
        enough & irregular & mixed,
        by_products | by_rhythm,
    ]
    sure = [
        steady,
        discounted,
        np.minimum(1.0 - steady, 1.0 - alike),
        np.maximum(np.where(by_products, narrow, 0.0), np.where(by_rhythm, np.minimum(steady, alike), 0.0)),
    ]
    confidence = np.round(np.select(fits, sure, default=0.0), CONFIDENCE_DIGITS)
    return pd.DataFrame(
        {
            "buying_style": pd.Series(
                np.select(fits, STYLES, default="unassigned"), index=features.index, dtype="str"
            ),
            "buying_style_confidence": confidence,
        },
        index=features.index,
    )


def styles_not_assigned(spec: FeatureSpec) -> dict[str, str]:
    """Styles and types that nobody can be given, and why, as sentences.

    Parameters
    ----------
    spec
        Which columns the model's snapshots have.
    """
    complaints = spec.has_complaints and (spec.has_resolution or spec.interaction_days >= COMPLAINT_DAYS)
    found = {}
    if not (complaints or spec.has_csat or spec.has_nps or spec.has_returns):
        found["dissatisfied"] = (
            "Nobody is called dissatisfied: the model knows no returns, complaints or survey answers"
        )
    if not spec.has_discount:
        found["discount"] = "Nobody is called discount: the model knows no discounts"
    return found | {
        "wandering": "Nobody is called wandering: it needs visits, which transactions do not hold"
    }


def _below(values: pd.Series, threshold: float, error: np.ndarray) -> np.ndarray:
    """How surely values lie below a threshold, 0 to 1; the error is that of a value on the threshold."""
    with np.errstate(divide="ignore"):
        return np.asarray(ndtr((threshold - values.to_numpy(float)) / error))


def _cv_error(cv: float, n: np.ndarray) -> np.ndarray:
    """Standard error of a coefficient of variation of n values (Miller 1991).

    It is that of normal values; of a memoryless buyer's gaps it would be 1/sqrt(n), a little less.
    """
    return np.asarray(cv * np.sqrt((0.5 + cv * cv) / np.maximum(n - 1.0, 1.0)))


def _share_error(share: float, n: np.ndarray) -> np.ndarray:
    """Standard error of a share of n purchase days, as of a binomial on the threshold (Wilson 1927).

    Shares of money or of baskets vary less than yes or no does, so it is an upper bound of the error for
    purchase days of equal weight.
    """
    return np.asarray(np.sqrt(share * (1.0 - share) / np.maximum(n, 1.0)))

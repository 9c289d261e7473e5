"""The profit that a ranking of churners allows, whatever the offers keep: EMPC."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.stats import beta
from sklearn.metrics import roc_curve

ALPHA, BETA = 6.0, 14.0  # of the distribution of the save rate: 30 % on average
INCENTIVE, CONTACT = 0.05, 0.005  # as shares of the lifetime value: 10 and 1 of 200


def empc(
    churned: npt.ArrayLike,
    score: npt.ArrayLike,
    alpha: float = ALPHA,
    beta_: float = BETA,
    incentive: float = INCENTIVE,
    contact: float = CONTACT,
) -> float:
    """Expected maximum profit of a campaign per customer, as a share of a customer's lifetime value.

    Verbraken, Verbeke & Baesens (2013), "A novel profit maximizing metric for measuring classification
    performance of customer churn prediction models", IEEE Transactions on Knowledge and Data Engineering
    25(5), equations 11 to 15, with their values: for every save rate γ the share of customers is contacted
    at which γ(1 - δ) - φ on churners less δ + φ on others is highest, and that profit is averaged over the
    Beta distribution of γ. The best share is always a corner of the convex hull of the ROC curve, so the
    average is a sum over its corners.

    Parameters
    ----------
    churned
        0 or 1 per customer.
    score
        Higher for who is likelier to churn.
    alpha, beta_
        Of the Beta distribution of the save rate.
    incentive, contact
        δ and φ, as shares of the lifetime value.

    Returns
    -------
    float
        0 for a ranking that is never worth a campaign; NaN with one class only.
    """
    y, s = np.asarray(churned, dtype=float), np.asarray(score, dtype=float)
    if not len(y) or y.min() == y.max():
        return math.nan
    share = float(y.mean())
    wrong, right = _hull(*roc_curve(y, s, drop_intermediate=False)[:2])
    steps = np.diff(right) * share
    with np.errstate(divide="ignore"):
        needed = (np.diff(wrong) * (1 - share) * (incentive + contact) / steps + contact) / (1 - incentive)
    edges = np.clip(np.concatenate([[0.0], needed, [1.0]]), 0.0, 1.0)
    edges = np.maximum.accumulate(edges)
    mass = np.diff(beta.cdf(edges, alpha, beta_))
    mean = alpha / (alpha + beta_) * np.diff(beta.cdf(edges, alpha + 1, beta_))
    profit = share * right * ((1 - incentive) * mean - contact * mass)
    return float((profit - (1 - share) * wrong * (incentive + contact) * mass).sum())


def _hull(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the upper convex hull of a ROC curve, from (0, 0) to (1, 1)."""
    corners: list[tuple[float, float]] = []
    for point in zip(x.tolist(), y.tolist(), strict=True):
        while len(corners) > 1 and _turns_up(corners[-2], corners[-1], point):
            corners.pop()
        corners.append(point)
    return tuple(np.array(corners).T)


def _turns_up(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    """Whether the way from a over b to c does not turn to the right."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) >= 0

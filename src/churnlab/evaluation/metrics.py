"""How far predictions are from what happened, and how sure that distance is.

Every metric takes arrays of one length, one entry per customer, outcome first. A metric that the data cannot
define (one class only, no spend at all, no customers) is NaN; the dictionaries of :func:`churn_metrics` and
:func:`value_metrics` leave such a metric out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats
from sklearn import metrics as sk

from churnlab.evaluation.empc import empc

Array = npt.ArrayLike
Metric = Callable[[npt.NDArray[np.float64], npt.NDArray[np.float64]], float]

CLIP = 1e-6
BETTER: dict[str, Literal["higher", "lower", "zero"]] = {
    "roc_auc": "higher",
    "average_precision": "higher",
    "brier": "lower",
    "log_loss": "lower",
    "ece": "lower",
    "lift_at_10pct": "higher",
    "empc": "higher",
    "normalised_gini": "higher",
    "spearman": "higher",
    "mae": "lower",
    "rmse": "lower",
    "decile_mape": "lower",
    "aggregate_bias": "zero",
    "top_decile_capture": "higher",
}


class Difference(NamedTuple):
    """A metric of `a` minus the metric of `b` on the same customers, with its interval."""

    estimate: float
    low: float
    high: float
    share_above_zero: float


def roc_auc(churned: Array, score: Array) -> float:
    """Chance that a churner scores above a non-churner, ties counting one half; NaN with one class only."""
    y, s = _pair(churned, score)
    return float(sk.roc_auc_score(y, s)) if _two_classes(y) else math.nan


def average_precision(churned: Array, score: Array) -> float:
    """Precision averaged over the steps of recall, ties entering together; NaN without a churner."""
    y, s = _pair(churned, score)
    return float(sk.average_precision_score(y, s)) if y.any() else math.nan


def brier(churned: Array, probability: Array) -> float:
    """Mean squared error of the probability (Brier 1950, for two classes)."""
    y, p = _pair(churned, probability)
    return _mean((p - y) ** 2)


def log_loss(churned: Array, probability: Array) -> float:
    """Mean negative log likelihood in nats, probabilities kept within 1e-6 of 0 and 1."""
    y, p = _pair(churned, probability)
    q = np.clip(p, CLIP, 1 - CLIP)
    return _mean(-(y * np.log(q) + (1 - y) * np.log(1 - q)))


def ece(churned: Array, probability: Array, bins: int = 10) -> float:
    """Expected calibration error over equal-width bins (Naeini, Cooper & Hauskrecht 2015, eq. 3)."""
    y, p = _pair(churned, probability)
    if not len(y):
        return math.nan
    which = np.minimum((p * bins).astype(int), bins - 1)
    gap = np.bincount(which, weights=p, minlength=bins) - np.bincount(which, weights=y, minlength=bins)
    return float(np.abs(gap).sum() / len(y))


def lift_at(churned: Array, score: Array, share: float = 0.1) -> float:
    """Churn rate among the `share` with the highest scores over the churn rate of all.

    A tie at the edge brings in its own churn rate. NaN without a churner.
    """
    y, s = _pair(churned, score)
    if not y.any():
        return math.nan
    size = _top_size(len(y), share)
    return float(_sum_of_top(y, s, size) / size / y.mean())


def normalised_gini(actual: Array, expected: Array) -> float:
    """Area between the Lorenz curve of `actual` along falling `expected` and the diagonal, over the best.

    1 for the perfect order, 0 for none, -1 for its reverse. Customers of equal prediction share their sum, so
    their order does not matter. Normalised as in Wang, Liu & Miao (2019), section 5.2.
    NaN when nothing is spent or all spend the same.
    """
    y, p = _pair(actual, expected)
    best = _lorenz_area(y, y)
    return float(_lorenz_area(y, p) / best) if best > 0 else math.nan


def spearman(actual: Array, expected: Array) -> float:
    """Correlation of the ranks, ties at their mean rank; NaN where either side is constant."""
    y, p = _pair(actual, expected)
    if len(y) < 2 or not np.ptp(y) or not np.ptp(p):
        return math.nan
    return float(stats.spearmanr(y, p).statistic)


def mae(actual: Array, expected: Array) -> float:
    """Mean absolute error, in the unit of `actual`."""
    y, p = _pair(actual, expected)
    return _mean(np.abs(p - y))


def rmse(actual: Array, expected: Array) -> float:
    """Root of the mean squared error, in the unit of `actual`."""
    y, p = _pair(actual, expected)
    return math.sqrt(_mean((p - y) ** 2))


def decile_mape(actual: Array, expected: Array, seed: int = 0) -> float:
    """Mean of |mean expected - mean actual| / mean actual over ten equal groups by prediction.

    Wang, Liu & Miao (2019), section 5.3. Equal predictions are spread over groups at random, by `seed`.
    Groups without positive actual mean do not count; NaN when none is left.
    """
    y, p = _pair(actual, expected)
    groups = [g for g in np.array_split(by_prediction(p, seed), 10) if len(g) and y[g].mean() > 0]
    if not groups:
        return math.nan
    return float(np.mean([abs(p[g].mean() - y[g].mean()) / y[g].mean() for g in groups]))


def aggregate_bias(actual: Array, expected: Array) -> float:
    """Sum of the predictions over the sum of the actuals, minus one; NaN when the actuals sum to nothing."""
    y, p = _pair(actual, expected)
    return float(p.sum() / y.sum() - 1) if y.sum() > 0 else math.nan


def top_decile_capture(actual: Array, expected: Array) -> float:
    """What the predicted top tenth brought over what the actual top tenth brought; a tie is shared."""
    y, p = _pair(actual, expected)
    size = _top_size(len(y), 0.1)
    best = float(np.sort(y)[::-1][:size].sum())
    return _sum_of_top(y, p, size) / best if best > 0 else math.nan


def rank_metrics(churned: Array, score: Array) -> dict[str, float]:
    """The churn metrics that need an order only: roc_auc, average_precision, lift_at_10pct, empc."""
    return _defined(
        {
            "roc_auc": roc_auc(churned, score),
            "average_precision": average_precision(churned, score),
            "lift_at_10pct": lift_at(churned, score),
            "empc": empc(*_pair(churned, score)),
        }
    )


def churn_metrics(churned: Array, probability: Array) -> dict[str, float]:
    """All churn metrics by name; those the data cannot define are left out."""
    calibration = {
        "brier": brier(churned, probability),
        "log_loss": log_loss(churned, probability),
        "ece": ece(churned, probability),
    }
    return rank_metrics(churned, probability) | _defined(calibration)


def value_metrics(actual: Array, expected: Array) -> dict[str, float]:
    """All metrics of an amount (spend, purchases) by name; those the data cannot define are left out."""
    return _defined(
        {
            "normalised_gini": normalised_gini(actual, expected),
            "spearman": spearman(actual, expected),
            "mae": mae(actual, expected),
            "rmse": rmse(actual, expected),
            "decile_mape": decile_mape(actual, expected),
            "aggregate_bias": aggregate_bias(actual, expected),
            "top_decile_capture": top_decile_capture(actual, expected),
        }
    )


def paired_difference(
    metric: Metric, y: Array, a: Array, b: Array, resamples: int = 200, seed: int = 7, coverage: float = 0.9
) -> Difference:
    """Percentile bootstrap over customers (Efron & Tibshirani 1993, section 13.3) of metric(a) - metric(b).

    Both are taken on the same resample each time; resamples that leave the metric undefined do not count.
    `share_above_zero` is the share of resamples where `a` has the larger metric.
    """
    y, p = _pair(y, a)
    _, q = _pair(y, b)
    drawn = np.array([metric(y[i], p[i]) - metric(y[i], q[i]) for i in _resamples(len(y), resamples, seed)])
    drawn = drawn[~np.isnan(drawn)]
    above = float((drawn > 0).mean()) if len(drawn) else math.nan
    return Difference(metric(y, p) - metric(y, q), *_quantiles(drawn, coverage), above)


def by_prediction(prediction: npt.NDArray[np.float64], seed: int = 0) -> npt.NDArray[np.intp]:
    """Positions in rising order of the prediction, equal predictions in random order by `seed`."""
    shuffle = np.random.default_rng(seed).random(len(prediction))
    return np.lexsort((shuffle, prediction))


def _pair(y: Array, prediction: Array) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    actual, predicted = np.asarray(y, dtype=float), np.asarray(prediction, dtype=float)
    if actual.shape != predicted.shape or actual.ndim != 1:
        raise ValueError(
            f"outcome {actual.shape} and prediction {predicted.shape}: pass two vectors of one length"
        )
    return actual, predicted


def _two_classes(y: npt.NDArray[np.float64]) -> bool:
    return bool(y.any() and not y.all())


def _mean(values: npt.NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else math.nan


def _top_size(n: int, share: float) -> int:
    return max(round(n * share), 1)


def _sum_of_top(y: npt.NDArray[np.float64], score: npt.NDArray[np.float64], size: int) -> float:
    """Sum of `y` over the `size` highest scores; those tied at the edge bring their mean."""
    if not len(y):
        return math.nan
    edge = np.partition(score, len(score) - size)[len(score) - size]
    above, tied = score > edge, score == edge
    return float(y[above].sum() + y[tied].mean() * (size - above.sum()))


def _lorenz_area(y: npt.NDArray[np.float64], key: npt.NDArray[np.float64]) -> float:
    """Area between the diagonal and the cumulated share of `y` along falling `key`; NaN when y sums to 0."""
    if not y.sum() > 0:
        return math.nan
    _, group = np.unique(-key, return_inverse=True)
    people = np.cumsum(np.bincount(group)) / len(y)
    money = np.cumsum(np.bincount(group, weights=y)) / y.sum()
    return float(np.trapezoid(np.r_[0.0, money], np.r_[0.0, people]) - 0.5)


def _resamples(n: int, resamples: int, seed: int) -> Iterator[npt.NDArray[np.intp]]:
    generator = np.random.default_rng(seed)
    return (generator.integers(0, n, n) for _ in range(resamples if n else 0))


def _quantiles(drawn: npt.NDArray[np.float64], coverage: float) -> tuple[float, float]:
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        return math.nan, math.nan
    tail = (1 - coverage) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def _defined(values: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if not math.isnan(value)}

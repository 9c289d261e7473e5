"""Curves of model quality as small frames.

They have at most 200 points per method and values of 6 digits after the point, so that equal inputs give
equal files.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn import metrics as sk

from churnlab.evaluation.baselines import align
from churnlab.evaluation.metrics import by_prediction

Vector = npt.NDArray[np.float64]

MAX_POINTS = 200
DIGITS = 6


def roc(outcomes: pd.DataFrame, predictions: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """ROC curves: `method`, `false_positive_rate`, `true_positive_rate` (shares), from (0, 0) to (1, 1).

    Parameters
    ----------
    outcomes
        `customer_id`, `churned` (0 or 1).
    predictions
        Per method a frame with `customer_id` and `churn_probability` or `score`; methods without either are
        left out, and so is every method when only one class happened.

    Raises
    ------
    ModelError
        A method lacks a figure for a customer of `outcomes`.
    """
    return _stack(
        {name: _roc(y, score) for name, (y, score) in _rankings(outcomes, predictions).items()},
        ("false_positive_rate", "true_positive_rate"),
    )


def precision_recall(outcomes: pd.DataFrame, predictions: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Precision-recall curves: `method`, `recall`, `precision` (shares), recall falling.

    Arguments as in :func:`roc`.
    """
    return _stack(
        {name: _precision_recall(y, score) for name, (y, score) in _rankings(outcomes, predictions).items()},
        ("recall", "precision"),
    )


def lift(outcomes: pd.DataFrame, predictions: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Lift along the list of the riskiest: `method`, `share_contacted`, `lift`, `share_of_churners`.

    lift = churn rate among those contacted / churn rate of all; equal scores bring their mean.
    Arguments as in :func:`roc`.
    """
    return _stack(
        {name: _lift(y, score) for name, (y, score) in _rankings(outcomes, predictions).items()},
        ("share_contacted", "lift", "share_of_churners"),
    )


def reliability(
    outcomes: pd.DataFrame, predictions: Mapping[str, pd.DataFrame], bins: int = 10
) -> pd.DataFrame:
    """Said against happened, per equal-width bin of `churn_probability`; empty bins have no row.

    Returns
    -------
    pd.DataFrame
        `method`, `mean_probability`, `observed_share`, `low`, `high` (95 % Wilson interval of the observed
        share), `customers`. Arguments as in :func:`roc`; a `score` is no probability and is left out.
    """
    curves = {}
    for name, frame in predictions.items():
        if "churn_probability" in frame:
            joined = align(outcomes, frame[["customer_id", "churn_probability"]], name)
            curves[name] = _reliability(
                _vector(joined, "churned"), _vector(joined, "churn_probability"), bins
            )
    columns = ("mean_probability", "observed_share", "low", "high", "customers")
    return _stack(curves, columns).astype({"customers": "int64"})


def clv_deciles(outcomes: pd.DataFrame, predictions: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Forecast and real spend of ten equal groups of customers, the best forecasts first.

    Parameters
    ----------
    outcomes
        `customer_id`, `spend` (money in the horizon).
    predictions
        Per method a frame with `customer_id`, `expected_spend`; methods without it are left out.

    Returns
    -------
    pd.DataFrame
        `method`, `decile` (1: highest expected spend), `mean_expected`, `mean_actual` (money per customer),
        `customers`. Equal forecasts are spread at random by a fixed seed, as in `decile_mape`.
    """
    curves = {}
    for name, frame in predictions.items():
        if "expected_spend" in frame:
            joined = align(outcomes, frame[["customer_id", "expected_spend"]], name)
            curves[name] = _deciles(_vector(joined, "spend"), _vector(joined, "expected_spend"))
    columns = ("decile", "mean_expected", "mean_actual", "customers")
    return _stack(curves, columns).astype({"decile": "int64", "customers": "int64"})


def frequency_recency(scores: pd.DataFrame, value: str = "churn_probability") -> pd.DataFrame:
    """Mean of a prediction by how often a customer bought and how long ago: the frequency-recency heat map.

    Parameters
    ----------
    scores
        `frequency` (repeat purchase days), `days_since_last_order` (days), and the column `value`.
    value
        Column to average.

    Returns
    -------
    pd.DataFrame
        `frequency` and `days_since_last_order` (labels of ranges), `value` (mean), `customers`; ranges in
        rising order, pairs without customers left out. Ranges of frequency double in width; ranges of silence
        are tenths of the base.
    """
    often = _doubling(scores["frequency"])
    silent = _tenths(scores["days_since_last_order"])
    cells = (
        pd.DataFrame(
            {"frequency": often, "days_since_last_order": silent, "value": scores[value].astype(float)}
        )
        .groupby(["frequency", "days_since_last_order"], observed=True)["value"]
        .agg(value="mean", customers="size")
        .reset_index()
    )
    text = cells.astype({"frequency": "str", "days_since_last_order": "str"})
    return text.assign(value=text["value"].round(DIGITS))


def _rankings(
    outcomes: pd.DataFrame, predictions: Mapping[str, pd.DataFrame]
) -> dict[str, tuple[Vector, Vector]]:
    """Per method the outcome and the churn score; no methods when only one class happened."""
    found = {}
    for name, frame in predictions.items():
        column = next((c for c in ("churn_probability", "score") if c in frame), None)
        if column and outcomes["churned"].nunique() == 2:
            joined = align(outcomes, frame[["customer_id", column]], name)
            found[name] = (_vector(joined, "churned"), _vector(joined, column))
    return found


def _vector(frame: pd.DataFrame, column: str) -> Vector:
    return frame[column].to_numpy(dtype=float)


def _stack(curves: Mapping[str, Vector], columns: tuple[str, ...]) -> pd.DataFrame:
    """Curves (points x columns) under each other, named, rounded."""
    parts = [
        pd.DataFrame(points, columns=list(columns)).round(DIGITS).assign(method=name)
        for name, points in curves.items()
    ]
    if not parts:
        parts = [
            pd.DataFrame({c: pd.Series(dtype=float) for c in columns}).assign(method=pd.Series(dtype="str"))
        ]
    return pd.concat(parts, ignore_index=True)[["method", *columns]]


def _thin(points: Vector) -> Vector:
    """At most MAX_POINTS rows, evenly spread, both ends kept."""
    if len(points) <= MAX_POINTS:
        return points
    kept: Vector = points[np.linspace(0, len(points) - 1, MAX_POINTS).round().astype(int)]
    return kept


def _roc(y: Vector, score: Vector) -> Vector:
    false_positive, true_positive, _ = sk.roc_curve(y, score)
    return _thin(np.column_stack([false_positive, true_positive]))


def _precision_recall(y: Vector, score: Vector) -> Vector:
    precision, recall, _ = sk.precision_recall_curve(y, score)
    return _thin(np.column_stack([recall, precision]))


def _lift(y: Vector, score: Vector) -> Vector:
    _, group = np.unique(-score, return_inverse=True)
    people = np.r_[0.0, np.cumsum(np.bincount(group))] / len(y)
    found = np.r_[0.0, np.cumsum(np.bincount(group, weights=y))] / y.sum()
    shares = np.linspace(0, 1, 101)[1:]
    churners = np.interp(shares, people, found)
    return np.column_stack([shares, churners / shares, churners])


def _reliability(y: Vector, p: Vector, bins: int) -> Vector:
    which = np.minimum((p * bins).astype(int), bins - 1)
    n = np.bincount(which, minlength=bins).astype(float)
    full = n > 0
    stated = np.bincount(which, weights=p, minlength=bins)[full] / n[full]
    share = np.bincount(which, weights=y, minlength=bins)[full] / n[full]
    low, high = _wilson(share, n[full])
    return np.column_stack([stated, share, low, high, n[full]])


def _wilson(share: Vector, n: Vector, z: float = 1.959964) -> tuple[Vector, Vector]:
    """Wilson (1927) score interval of a share of n."""
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return np.minimum(centre - half, share), np.maximum(centre + half, share)


def _deciles(actual: Vector, expected: Vector) -> Vector:
    groups = [g for g in np.array_split(by_prediction(expected), 10)[::-1] if len(g)]
    rows = [(k, expected[g].mean(), actual[g].mean(), len(g)) for k, g in enumerate(groups, start=1)]
    return np.array(rows, dtype=float).reshape(-1, 4)


def _doubling(frequency: pd.Series) -> pd.Series:
    """0, 1, 2-3, 4-7, 8-15, 16-31, 32+."""
    edges = [0, 1, 2, 4, 8, 16, 32, np.inf]
    labels = ["0", "1", "2–3", "4–7", "8–15", "16–31", "32+"]
    return pd.cut(frequency.astype(float), edges, right=False, labels=labels)


def _tenths(days: pd.Series) -> pd.Series:
    edges = (
        np.unique(np.ceil(np.quantile(days.astype(float), np.linspace(0, 1, 11))))
        if len(days)
        else np.zeros(1)
    )
    edges = np.r_[edges[:-1], edges[-1] + 1] if len(edges) > 1 else np.r_[edges, edges + 1]
    labels = [_range(int(a), int(b) - 1) for a, b in pairwise(edges)]
    return pd.cut(days.astype(float), edges.tolist(), right=False, labels=labels)


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}–{last}"

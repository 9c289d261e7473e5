"""Who responds to a contact: the save rate of each customer, learned from treated and held-out ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

# Columns of the scores that may tell who responds; a list without its scores has the first two alone.
FEATURES = (
    "churn_probability",
    "clv",
    "p_alive",
    "frequency",
    "recency",
    "T",
    "monetary_value",
    "days_since_last_order",
    "expected_order_value",
)
ROUNDS = 40
LEAST_PROBABILITY = 1e-3  # of leaving: below it, nothing is told of a rate among leavers
PARAMS = {
    "objective": "regression",
    "num_leaves": 4,
    "learning_rate": 0.1,
    "lambda_l2": 10.0,
    "max_bin": 31,
    "seed": 1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,  # sums then come out alike on every machine
    "verbose": -1,
}


@dataclass(frozen=True)
class Response:
    """An X-learner of save rates; what there is to save is LightGBM's own model text and three numbers.

    Attributes
    ----------
    features
        Columns read, in order.
    of_treated, of_control
        Model texts: how far the rate of a customer lies from the average, as learned from either group.
    share_treated
        Of the rows learned from.
    trust
        What deviations are multiplied by, 0 to 1.
    level
        Save rate of a deviation of 0.
    """

    features: tuple[str, ...]
    of_treated: str
    of_control: str
    share_treated: float
    trust: float = 1.0
    level: float = 0.0

    def deviations(self, scores: pd.DataFrame) -> np.ndarray:
        """From the average save rate: e·τ_c + (1 - e)·τ_t, what either group tells, e the share treated.

        Künzel, Sekhon, Bickel & Yu (2019), "Metalearners for estimating heterogeneous treatment effects using
        machine learning", PNAS 116(10), step 3 of the X-learner.
        """
        by_treated, by_control = (
            _answers(text, self.features, scores) for text in (self.of_treated, self.of_control)
        )
        return self.share_treated * by_control + (1 - self.share_treated) * by_treated

    def save_rates(self, scores: pd.DataFrame) -> np.ndarray:
        """0 to 1 per row, of scores with the columns `features`."""
        return rates_at(self.level, self.trust * self.deviations(scores))


def fit_response(
    rows: pd.DataFrame, features: tuple[str, ...], treated: np.ndarray, residual: np.ndarray, average: float
) -> Response:
    """Learn how far each customer's save rate lies from the average.

    Each group's outcomes are set beside what the model of the other group says of the same customers. The
    difference p·γ(x) is learned as a deviation of γ(x) from `average`, rows weighted by p², so that what is
    minimised is the error of p·γ(x); with little to learn from, trees stay near 0.

    Parameters
    ----------
    rows
        churn_probability (p, 0 to 1) and `features`, in an order of their own.
    treated
        True for treated rows, False for held-out ones; some of both.
    residual
        Outcome less what the past explains and what is common to its date.
    average
        The save rate of all, 0 to 1.
    """
    table = rows[list(features)]
    by_treated, by_control = (_fitted(table[side], residual[side]) for side in (treated, ~treated))
    effect = np.empty(len(rows))
    effect[treated] = residual[treated] - _answers(by_control, features, table[treated])
    effect[~treated] = _answers(by_treated, features, table[~treated]) - residual[~treated]
    p = np.maximum(rows["churn_probability"].to_numpy(float), LEAST_PROBABILITY)
    deviation = effect / p - average
    of_treated, of_control = (
        _fitted(table[side], deviation[side], p[side] ** 2) for side in (treated, ~treated)
    )
    return Response(features, of_treated, of_control, float(treated.mean()))


def rates_at(level: float | np.ndarray, deviations: np.ndarray) -> np.ndarray:
    """Save rates of deviations from a level, none below 0 or above 1."""
    return np.clip(level + deviations, 0.0, 1.0)


def level_for(average: float, deviations: np.ndarray, weight: np.ndarray) -> float:
    """The level at which save rates have a given mean.

    Parameters
    ----------
    average
        The mean, 0 to 1.
    weight
        Of each row, such as its chance of leaving; they add up to more than 0.
    """
    low, high = -float(deviations.max()), 1.0 - float(deviations.min())
    for _ in range(60):
        middle = (low + high) / 2
        if np.average(rates_at(middle, deviations), weights=weight) < average:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _fitted(table: pd.DataFrame, target: np.ndarray, weight: np.ndarray | None = None) -> str:
    """Trees that lean towards 0, or towards the mean where rows have no weights, as a model text."""
    smallest = int(np.clip(len(table) // 10, 10, 200))
    how = {**PARAMS, "min_data_in_leaf": smallest, "boost_from_average": weight is None}
    import lightgbm as lgb  # noqa: PLC0415 - see churnlab.models.churn

    data = lgb.Dataset(table.to_numpy(float), target, weight=weight)
    return str(lgb.train(how, data, ROUNDS).model_to_string())


def _answers(text: str, features: tuple[str, ...], table: pd.DataFrame) -> np.ndarray:
    rows = table[list(features)].to_numpy(float)
    return np.asarray(_booster(text).predict(rows, num_threads=1))  # a few small trees


@lru_cache(maxsize=64)
def _booster(text: str) -> Any:
    """Read once; a response itself holds no booster, so that it travels to Spark's workers."""
    import lightgbm as lgb  # noqa: PLC0415

    return lgb.Booster(model_str=text)

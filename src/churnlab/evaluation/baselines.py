"""The naive forecasts that a model has to beat, and the table that sets them side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from churnlab.errors import ModelError
from churnlab.evaluation.metrics import churn_metrics, rank_metrics, value_metrics

OUTCOME_OF = {"expected_purchases": "n_purchases", "expected_spend": "spend"}
TARGET_OF = {"expected_purchases": "purchases", "expected_spend": "spend"}


def days_since_last_order(rfm: pd.DataFrame) -> pd.DataFrame:
    """Rank customers by silence: the longer ago the last order, the likelier the churn.

    Parameters
    ----------
    rfm
        One row per customer: `customer_id`, `days_since_last_order` (days).

    Returns
    -------
    pd.DataFrame
        `customer_id`, `score` (days; an order only, no probability).
    """
    return pd.DataFrame(
        {"customer_id": rfm["customer_id"], "score": rfm["days_since_last_order"].astype(float)}
    ).reset_index(drop=True)


def historical_rate(rfm: pd.DataFrame, horizon_days: int) -> pd.DataFrame:
    """Carry every customer's own past rate forward, as a Poisson process without dropout.

    expected_purchases = purchase days / max(T, horizon_days / 4) * horizon_days;
    churn_probability = exp(-expected_purchases), the Poisson chance of no purchase;
    expected_spend = expected_purchases * mean spend per purchase day. The floor under T keeps customers of a
    few days from being forecast to buy daily.

    Parameters
    ----------
    rfm
        One row per customer: `customer_id`, `frequency` (repeat purchase days), `T` (days),
        `total_spend` (money over all purchase days).
    horizon_days
        Length of the window after the cutoff, in days.

    Returns
    -------
    pd.DataFrame
        `customer_id`, `churn_probability`, `expected_purchases` (purchase days), `expected_spend` (money).
    """
    days = rfm["frequency"].astype(float) + 1.0
    tenure = rfm["T"].astype(float).clip(lower=horizon_days / 4)
    purchases = days / tenure * horizon_days
    return pd.DataFrame(
        {
            "customer_id": rfm["customer_id"],
            "churn_probability": np.exp(-purchases),
            "expected_purchases": purchases,
            "expected_spend": purchases * (rfm["total_spend"].astype(float) / days),
        }
    ).reset_index(drop=True)


def compare(outcomes: pd.DataFrame, predictions: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Score several methods on the same customers.

    Parameters
    ----------
    outcomes
        `customer_id`, `churned` (0 or 1), `n_purchases` (days), `spend` (money).
    predictions
        Per method a frame with `customer_id` and any of `churn_probability`, `score` (used for ranking where
        there is no probability), `expected_purchases`, `expected_spend`. Customers beyond those of `outcomes`
        are ignored.

    Returns
    -------
    pd.DataFrame
        `method`, `target` (churn, purchases or spend), `metric`, `value`; undefined metrics have no row.

    Raises
    ------
    ModelError
        A method lacks a figure for a customer of `outcomes`, or names a customer twice.
    """
    rows = [
        (name, target, metric, value)
        for name, frame in predictions.items()
        for target, values in _scores(align(outcomes, frame, name)).items()
        for metric, value in values.items()
    ]
    return pd.DataFrame(rows, columns=["method", "target", "metric", "value"]).astype(
        {"method": "str", "target": "str", "metric": "str", "value": "float64"}
    )


def align(outcomes: pd.DataFrame, prediction: pd.DataFrame, method: str) -> pd.DataFrame:
    """The outcomes with one method's figures beside them, one row per customer of `outcomes`.

    Raises
    ------
    ModelError
        The method lacks a figure for a customer, or names a customer twice.
    """
    columns = ["churn_probability", "score", *OUTCOME_OF]
    wanted = prediction[["customer_id", *(c for c in columns if c in prediction)]]
    known = outcomes[["customer_id", *(c for c in ("churned", "n_purchases", "spend") if c in outcomes)]]
    try:
        joined = known.merge(wanted, on="customer_id", how="left", validate="one_to_one")
    except pd.errors.MergeError as error:
        raise ModelError(f"{method}: a customer has two rows: give one prediction per customer") from error
    figures = joined[wanted.columns.drop("customer_id")].astype(float)
    missing = int((~np.isfinite(figures)).any(axis=1).sum())
    if missing:
        raise ModelError(
            f"{method}: {missing} of {len(outcomes)} customers lack a figure: predict for all of the outcomes"
        )
    return joined


def _scores(joined: pd.DataFrame) -> dict[str, dict[str, float]]:
    scores = {}
    if "churn_probability" in joined:
        scores["churn"] = churn_metrics(joined["churned"], joined["churn_probability"])
    elif "score" in joined:
        scores["churn"] = rank_metrics(joined["churned"], joined["score"])
    for column, outcome in OUTCOME_OF.items():
        if column in joined:
            scores[TARGET_OF[column]] = value_metrics(joined[outcome], joined[column])
    return scores

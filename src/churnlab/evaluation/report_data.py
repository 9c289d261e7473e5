"""Backtest results in the shapes that DVC, MLflow and the report show."""

from __future__ import annotations

import pandas as pd

from churnlab.evaluation import curves
from churnlab.evaluation.backtest import MODEL, Backtest

SHOWN_RIVALS = ("btyd_bgnbd", "historical_rate", "days_since_last_order")


def headline(table: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """Mean over the cutoffs: method → target → metric → value, and the spread of the model's over cutoffs.

    Parameters
    ----------
    table
        method, target, metric, value, cutoff.
    """
    out: dict[str, dict[str, dict[str, float]]] = {}
    for (method, target, metric), values in table.groupby(["method", "target", "metric"])["value"]:
        cell = out.setdefault(str(method), {}).setdefault(str(target), {})
        cell[str(metric)] = round(float(values.mean()), 6)
        if method == MODEL and len(values) > 1:
            cell[f"{metric}_sd_over_cutoffs"] = round(float(values.std(ddof=1)), 6)
    return out


def plot_frames(test: Backtest, truth: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The data behind every plot, by file name."""
    methods = {MODEL: test.predictions} | {n: test.rivals[n] for n in SHOWN_RIVALS if n in test.rivals}
    probabilities = {name: frame for name, frame in methods.items() if "churn_probability" in frame}
    spending = {name: frame for name, frame in methods.items() if "expected_spend" in frame}
    shown = test.features[["customer_id", "frequency", "days_since_last_order"]]
    return {
        "roc": curves.roc(truth, methods),
        "precision_recall": curves.precision_recall(truth, methods),
        "lift": curves.lift(truth, methods),
        "reliability": curves.reliability(truth, probabilities),
        "clv_deciles": curves.clv_deciles(truth, spending),
        "frequency_recency": curves.frequency_recency(
            shown.merge(test.predictions, on="customer_id", validate="one_to_one")
        ),
    }

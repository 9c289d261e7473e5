"""One MLflow run per pipeline execution: what goes into it and how it is found again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from churnlab.config import Params
from churnlab.evaluation.backtest import MODEL
from churnlab.operations import tracking
from churnlab.operations.promotion import Headline


def run_key(params: Params, training_id: str) -> str:
    """What an execution's results depend on: all parameters and the trained model."""
    return hashlib.sha256(f"{params.model_dump_json()} {training_id}".encode()).hexdigest()[:32]


def metrics_of(headline: Headline) -> dict[str, float]:
    """`method.target.metric` → value."""
    return {
        f"{method}.{target}.{metric}": value
        for method, targets in headline.items()
        for target, metrics in targets.items()
        for metric, value in metrics.items()
    }


def by_cutoff(comparison: pd.DataFrame) -> dict[str, dict[int, float]]:
    """The model's metrics at each backtest cutoff, the step being the cutoff as YYYYMMDD.

    Parameters
    ----------
    comparison
        method, target, metric, value, cutoff (ISO date).
    """
    own = comparison[comparison["method"] == MODEL]
    steps = own["cutoff"].str.replace("-", "").astype(int)
    return {
        f"{MODEL}.{target}.{metric}.by_cutoff": dict(zip(steps[rows.index], rows["value"], strict=True))
        for (target, metric), rows in own.groupby(["target", "metric"])
    }


def record_execution(
    root: Path,
    params: Params,
    headline: Headline,
    comparison: pd.DataFrame,
    identity: Mapping[str, str],
    artifacts: list[tuple[Path, str]],
    figures: Mapping[str, Any],
) -> str:
    """Log one pipeline execution: all parameters, all methods' metrics, plots, data version and commit.

    Parameters
    ----------
    comparison
        As in :func:`by_cutoff`.
    identity
        data_version, model_digest and training_id, logged as tags.
    """
    return tracking.record_run(
        root,
        experiment=params.registry.experiment,
        run_name=f"{params.data.dataset or 'own data'}, {params.features.horizon_days} days",
        key=run_key(params, identity["training_id"]),
        params=params.model_dump(mode="json"),
        metrics=metrics_of(headline),
        series=by_cutoff(comparison),
        tags=dict(identity),
        artifacts=artifacts,
        figures=figures,
    )


def synthetic_example(features: pd.DataFrame) -> pd.DataFrame:
    """Two made-up rows in the columns of `features`, never a real customer's: medians and upper quartiles.

    Parameters
    ----------
    features
        customer_id and the columns of a snapshot; money in the shop's currency.
    """
    numbers = features.select_dtypes("number")
    middle = numbers.median().fillna(0.0)
    upper = numbers.quantile(0.75).fillna(0.0)
    rows = pd.DataFrame([middle, upper]).reset_index(drop=True).astype("float64")
    return _possible(rows).assign(customer_id=["example-1", "example-2"])[list(features.columns)]


def _possible(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with a purchase history that agrees with itself: quantiles of different customers need not."""
    frequency = np.floor(rows["frequency"])
    recency = rows[["recency", "T"]].min(axis=1).where(frequency > 0, 0.0)
    return rows.assign(
        frequency=frequency,
        recency=recency,
        days_since_last_order=rows["T"] - recency,
        paid_repeats=np.minimum(np.floor(rows["paid_repeats"]), frequency),
    )

"""What a run's record holds, and the made-up example that stands for the customers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from churnlab.features.plan import current_snapshot
from churnlab.operations import tracking
from churnlab.operations.recording import by_cutoff, metrics_of, record_execution, run_key, synthetic_example
from churnlab.operations.tracking_store import tracking_uri

HEADLINE = {"churnlab": {"churn": {"roc_auc": 0.8}}, "historical_rate": {"spend": {"spearman": 0.5}}}

COMPARISON = pd.DataFrame(
    [
        ("churnlab", "churn", "roc_auc", 0.7, "1998-01-31"),
        ("churnlab", "churn", "roc_auc", 0.9, "1998-04-01"),
        ("historical_rate", "churn", "roc_auc", 0.5, "1998-04-01"),
    ],
    columns=["method", "target", "metric", "value", "cutoff"],
)


def test_the_models_metrics_are_curves_over_the_cutoffs():
    assert by_cutoff(COMPARISON) == {"churnlab.churn.roc_auc.by_cutoff": {19980131: 0.7, 19980401: 0.9}}


def test_metrics_are_flat():
    assert metrics_of(HEADLINE) == {"churnlab.churn.roc_auc": 0.8, "historical_rate.spend.spearman": 0.5}


def test_run_key_depends_on_parameters_and_model(small_log):
    params = small_log.params
    other = params.model_copy(update={"workspace": "elsewhere"})
    assert run_key(params, "a") == run_key(small_log.params, "a")
    assert len({run_key(params, "a"), run_key(params, "b"), run_key(other, "a")}) == 3


def test_a_recorded_run_is_found_by_its_key(small_log, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    identity = {"data_version": "d", "model_digest": "m", "training_id": "t"}
    run_id = record_execution(tmp_path, small_log.params, HEADLINE, COMPARISON, identity, [], {})
    experiment = small_log.params.registry.experiment
    assert tracking.find_run(tmp_path, experiment, run_key(small_log.params, "t")) == run_id
    client = MlflowClient(tracking_uri=tracking_uri(tmp_path))
    curve = client.get_metric_history(run_id, "churnlab.churn.roc_auc.by_cutoff")
    assert [(point.step, point.value) for point in curve] == [(19980131, 0.7), (19980401, 0.9)]


@pytest.fixture(scope="module")
def features(small_orders, small_scorer):
    return current_snapshot(small_orders, small_scorer.plan)


def test_the_example_is_nobody(features):
    example = synthetic_example(features)
    assert list(example.columns) == list(features.columns)
    assert not example["customer_id"].isin(features["customer_id"]).any()
    numbers = list(features.columns.drop("customer_id"))
    assert example.merge(features, on=numbers).empty


def test_the_example_agrees_with_itself(features):
    """Definitions: recency is at most T, and days_since_last_order = T - recency."""
    example = synthetic_example(features)
    assert (example["recency"] <= example["T"]).all()
    assert (example["days_since_last_order"] == example["T"] - example["recency"]).all()


def test_the_example_has_a_possible_history(features):
    """Whole repeat purchases; none of them means that first and last purchase are one."""
    odd = features.iloc[:2].assign(frequency=[0.0, 1.0], recency=[0.0, 30.0], paid_repeats=[0.0, 1.0])
    example = synthetic_example(odd)
    assert example["frequency"].to_list() == [0.0, 0.0]
    assert example["recency"].to_list() == [0.0, 0.0]
    assert (example["paid_repeats"] == 0).all()


def test_the_model_answers_the_example(features, small_scorer):
    answer = small_scorer.predict(synthetic_example(features))
    assert np.isfinite(answer.select_dtypes("number").to_numpy(float)).all()


def test_a_column_unknown_for_everybody_is_0(features):
    example = synthetic_example(features.assign(gap_cv=float("nan")))
    pd.testing.assert_series_equal(example["gap_cv"], pd.Series([0.0, 0.0], name="gap_cv"))

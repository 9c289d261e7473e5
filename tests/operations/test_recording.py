"""What a run's record holds, and the made-up example that stands for the customers."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from churnlab.decisions.effects import EFFECT_TYPES, Effects
from churnlab.decisions.save_rates import SaveRate
from churnlab.features.plan import current_snapshot
from churnlab.operations import tracking
from churnlab.operations.measuring import Measured
from churnlab.operations.recording import (
    by_cutoff,
    effect_metrics,
    metrics_of,
    record_execution,
    record_measurement,
    run_key,
    synthetic_example,
)
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


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder whose mlflow.db the tests share."""
    return tmp_path_factory.mktemp("project")


def test_a_recorded_run_is_found_by_its_key(small_log, project, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    identity = {"data_version": "d", "model_digest": "m", "training_id": "t"}
    run_id = record_execution(project, small_log.params, HEADLINE, COMPARISON, identity, [], {})
    experiment = small_log.params.registry.experiment
    assert tracking.find_run(project, experiment, run_key(small_log.params, "t")) == run_id
    client = MlflowClient(tracking_uri=tracking_uri(project))
    curve = client.get_metric_history(run_id, "churnlab.churn.roc_auc.by_cutoff")
    assert [(point.step, point.value) for point in curve] == [(19980131, 0.7), (19980401, 0.9)]


def effect(action, segment, outcome, difference, back=float("nan")):
    """A row of the effects whose interval reaches 2 to both sides."""
    told = {"action": action, "segment_by": segment, "segment": "x", "outcome": outcome}
    told |= {"difference": difference, "low": difference - 2, "high": difference + 2, "return_on_spend": back}
    return {name: told.get(name) for name in EFFECT_TYPES}


@pytest.fixture
def measurement():
    """Two actions on two lists; of the second, nothing was learned and its return is not known."""
    rows = [
        effect("تماس", "all", "retained", 0.25),
        effect("تماس", "all", "net_spend", 6.0, back=0.5),
        effect("تماس", "risk_label", "retained", 99.0),
        effect("letter", "all", "retained", float("nan")),
        effect("letter", "all", "net_spend", 1.0),
    ]
    rates = {"تماس": SaveRate(0.1, 0.3, 0.05, 0.2, 0.04, 20, 10)}
    plans = [
        {
            "file": f"{day}.parquet",
            "as_of": day,
            "horizon_days": 30,
            "treated": 2,
            "control": 1,
            "sha256": "0",
        }
        for day in ("2024-03-31", "2024-02-29")
    ]
    return Measured(Effects(pd.DataFrame(rows), rates), plans, [])


def test_effects_of_whole_actions_are_metrics(measurement):
    """By hand; what is not known is left out."""
    assert effect_metrics(measurement) == {
        "تماس.retained.difference": 0.25,
        "تماس.retained.low": -1.75,
        "تماس.retained.high": 2.25,
        "تماس.net_spend.difference": 6.0,
        "تماس.net_spend.low": 4.0,
        "تماس.net_spend.high": 8.0,
        "تماس.return_on_spend": 0.5,
        "تماس.save_rate": 0.2,
        "letter.net_spend.difference": 1.0,
        "letter.net_spend.low": -1.0,
        "letter.net_spend.high": 3.0,
    }


def test_a_measurement_is_a_run(measurement, small_log, project, tmp_path, monkeypatch):
    """Read back by MLflow's own client."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "measure.json").write_text(json.dumps(measurement.to_dict()))
    run_id = record_measurement(project, small_log.params, measurement, tmp_path / "measure.json")
    client = MlflowClient(tracking_uri=tracking_uri(project))
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "measure, 2024-02-29 to 2024-03-31"
    assert run.data.tags["kind"] == "measure"
    assert run.data.tags["plan_dates"] == "2024-03-31, 2024-02-29"
    assert run.data.tags["plan_files"] == "2024-03-31.parquet, 2024-02-29.parquet"
    assert run.data.tags["horizon_days"] == "30"
    assert len(run.data.metrics) == len(effect_metrics(measurement))
    assert run.data.metrics["letter.net_spend.high"] == 3.0
    assert "measure.json" in [file.path for file in client.list_artifacts(run_id)]


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

"""What MLflow keeps of a measurement. Authority: effects written by hand, and MLflow's own client."""

import json

import pandas as pd
import pytest
from mlflow import MlflowClient

from churnlab.decisions.effects import EFFECT_TYPES, Effects
from churnlab.decisions.save_rates import SaveRate
from churnlab.operations.measuring import Measured
from churnlab.operations.recorded_effects import effect_metrics, record_measurement
from churnlab.operations.tracking_store import tracking_uri


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
    return Measured(Effects(pd.DataFrame(rows), rates), {}, plans, [])


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


def test_a_measurement_is_a_run(measurement, small_log, tmp_path, monkeypatch):
    """Read back by MLflow's own client."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "measure.json").write_text(json.dumps(measurement.to_dict()))
    run_id = record_measurement(tmp_path, small_log.params, measurement, tmp_path / "measure.json")
    client = MlflowClient(tracking_uri=tracking_uri(tmp_path))
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

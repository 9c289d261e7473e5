"""Curves against hand computations, areas under them against the metrics."""

import numpy as np
import pandas as pd
import pytest

from churnlab.evaluation import curves, metrics


@pytest.fixture(scope="module")
def outcomes():
    generator = np.random.default_rng(5)
    n = 3000
    risk = generator.beta(2, 2, n)
    spend = np.where(generator.random(n) < risk, 0.0, generator.gamma(2, 20, n).round(2))
    return pd.DataFrame(
        {
            "customer_id": [f"c{k:04d}" for k in range(n)],
            "churned": (spend == 0).astype("int8"),
            "n_purchases": (spend > 0).astype(int),
            "spend": spend,
            "risk": risk,
        }
    )


@pytest.fixture(scope="module")
def predictions(outcomes):
    model = outcomes[["customer_id"]].assign(
        churn_probability=outcomes["risk"], expected_spend=(1 - outcomes["risk"]) * 40
    )
    silence = outcomes[["customer_id"]].assign(score=outcomes["risk"].round(1) * 100)
    return {"model": model, "silence": silence}


def test_roc_area_is_the_metric(outcomes, predictions):
    """Invariant: the trapezoid area under the thinned curve is ROC AUC to the third digit."""
    curve = curves.roc(outcomes, predictions)
    for name, column in (("model", "churn_probability"), ("silence", "score")):
        part = curve[curve["method"] == name]
        area = np.trapezoid(part["true_positive_rate"], part["false_positive_rate"])
        assert area == pytest.approx(
            metrics.roc_auc(outcomes["churned"], predictions[name][column]), abs=1e-3
        )
        assert part.iloc[0, 1:].tolist() == [0, 0]
        assert part.iloc[-1, 1:].tolist() == [1, 1]


def test_lift_curve_passes_through_the_metric(outcomes, predictions):
    """Peer: lift_at at a tenth, ties shared by both; at 100 % lift is 1 and all leavers are found."""
    curve = curves.lift(outcomes, predictions)
    for name, column in (("model", "churn_probability"), ("silence", "score")):
        part = curve[curve["method"] == name].set_index("share_contacted")
        expected = metrics.lift_at(outcomes["churned"], predictions[name][column], 0.1)
        assert part.loc[0.1, "lift"] == pytest.approx(expected, abs=1e-6)
        assert part.loc[1.0].tolist()[1:] == [1, 1]


def test_precision_at_full_recall_is_the_churn_rate(outcomes, predictions):
    """Invariant: flagging everybody finds all leavers, with the base rate as precision."""
    curve = curves.precision_recall(outcomes, predictions)
    first = curve[curve["method"] == "model"].iloc[0]
    assert first["recall"] == 1
    assert first["precision"] == pytest.approx(outcomes["churned"].mean(), abs=1e-6)


def test_reliability_weighs_up_to_the_calibration_error(outcomes, predictions):
    """Invariant: the mean gap weighted by customers is ECE; the score-only method has no curve."""
    curve = curves.reliability(outcomes, predictions)
    assert set(curve["method"]) == {"model"}
    gap = (curve["mean_probability"] - curve["observed_share"]).abs()
    expected = metrics.ece(outcomes["churned"], predictions["model"]["churn_probability"])
    assert (gap * curve["customers"]).sum() / len(outcomes) == pytest.approx(expected, abs=1e-6)
    assert curve["customers"].sum() == len(outcomes)


def test_reliability_interval_is_wilsons():
    """Published: Newcombe (1998), table I: 15 of 148 has the Wilson interval .0624 to .1605."""
    truth = pd.DataFrame({"customer_id": [f"{k:03d}" for k in range(148)], "churned": [1] * 15 + [0] * 133})
    said = {"m": truth[["customer_id"]].assign(churn_probability=0.15)}
    row = curves.reliability(truth, said).iloc[0]
    assert [row["low"], row["high"]] == pytest.approx([0.0624, 0.1605], abs=5e-5)


def test_deciles_by_hand():
    """Twenty customers in pairs: the best forecasts, 19 and 18, spent 38 and 36."""
    truth = pd.DataFrame({"customer_id": [f"{k:02d}" for k in range(20)], "spend": np.arange(20.0) * 2})
    said = {"m": truth[["customer_id"]].assign(expected_spend=np.arange(20.0))}
    found = curves.clv_deciles(truth, said)
    assert found["decile"].tolist() == list(range(1, 11))
    assert found.iloc[0][["mean_expected", "mean_actual"]].tolist() == [18.5, 37]
    assert found["customers"].tolist() == [2] * 10


def test_deciles_of_few_customers():
    """Three customers make three groups of one."""
    truth = pd.DataFrame({"customer_id": ["a", "b", "c"], "spend": [1.0, 2, 3]})
    found = curves.clv_deciles(truth, {"m": truth.rename(columns={"spend": "expected_spend"})})
    assert found["mean_actual"].tolist() == [3, 2, 1]


def test_frequency_recency_by_hand():
    """Four customers: two alike share a cell, the other cells are theirs alone."""
    scores = pd.DataFrame(
        {
            "frequency": [0, 0, 3, 40],
            "days_since_last_order": [100, 100, 10, 10],
            "churn_probability": [0.9, 0.7, 0.2, 0.1],
        }
    )
    found = curves.frequency_recency(scores)
    assert found["customers"].sum() == 4
    assert found["frequency"].tolist() == ["0", "2–3", "32+"]
    assert found["value"].tolist() == [0.8, 0.2, 0.1]


@pytest.mark.parametrize("days", [[7.0], [0.0, 0.0, 0.0], list(range(500))])
def test_frequency_recency_loses_nobody(days):
    """Invariant: each customer is in exactly one cell, the most and the least silent ones included."""
    scores = pd.DataFrame({"frequency": 1.0, "days_since_last_order": days, "churn_probability": 0.5})
    assert curves.frequency_recency(scores)["customers"].sum() == len(days)


def test_frames_are_small_and_stable(outcomes, predictions):
    """Contract: at most 200 points per method, 6 digits, and row order of the input does not matter."""
    shuffled = outcomes.sample(frac=1, random_state=3)
    for curve in (curves.roc, curves.precision_recall, curves.lift, curves.reliability, curves.clv_deciles):
        frame = curve(outcomes, predictions)
        assert frame.groupby("method").size().max() <= 200
        numbers = frame.select_dtypes("float64")
        pd.testing.assert_frame_equal(numbers, numbers.round(6))
        pd.testing.assert_frame_equal(frame, curve(shuffled, predictions))


def test_one_class_gives_empty_ranking_curves(outcomes, predictions):
    """With stayers only there is nothing to rank; the columns stay."""
    nobody = outcomes.assign(churned=0)
    for curve in (curves.roc, curves.precision_recall, curves.lift):
        frame = curve(nobody, predictions)
        assert frame.empty
        assert frame.columns[0] == "method"

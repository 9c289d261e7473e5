"""Baselines against hand computations."""

import math

import numpy as np
import pandas as pd
import pytest

from churnlab.errors import ModelError
from churnlab.evaluation import baselines

RFM = pd.DataFrame(
    {
        "customer_id": ["a", "b", "c"],
        "frequency": [0.0, 2.0, 1.0],
        "T": [272.0, 271.0, 0.0],
        "days_since_last_order": [272.0, 181.0, 0.0],
        "total_spend": [11.77, 61.06, 40.0],
    }
)
OUTCOMES = pd.DataFrame(
    {
        "customer_id": ["a", "b", "c"],
        "churned": [1, 0, 0],
        "n_purchases": [0, 2, 1],
        "spend": [0.0, 78.41, 9.0],
    }
)


def test_silence_ranks_customers():
    found = baselines.days_since_last_order(RFM)
    assert found.columns.tolist() == ["customer_id", "score"]
    assert found["score"].tolist() == [272, 181, 0]


def test_historical_rate_of_two_cdnow_customers():
    """By hand: customers 00001 and 00003 of CDNOW at 1997-09-30.

    One purchase day worth 11.77 in 272 days: 90/272 purchases. Three worth 61.06 in 271 days: 270/271.
    """
    found = baselines.historical_rate(RFM, horizon_days=90).set_index("customer_id")
    assert found.loc["a", "expected_purchases"] == pytest.approx(90 / 272)
    assert found.loc["a", "expected_spend"] == pytest.approx(90 / 272 * 11.77)
    assert found.loc["b", "expected_purchases"] == pytest.approx(270 / 271)
    assert found.loc["b", "expected_spend"] == pytest.approx(270 / 271 * 61.06 / 3)
    assert found.loc["b", "churn_probability"] == pytest.approx(math.exp(-270 / 271))


def test_historical_rate_counts_a_quarter_of_the_horizon_at_least():
    """Two purchase days, acquired today, horizon 90: tenure counts as 22.5 days, so 8 purchases."""
    found = baselines.historical_rate(RFM, horizon_days=90).set_index("customer_id")
    assert found.loc["c", "expected_purchases"] == pytest.approx(8)
    assert found.loc["c", "expected_spend"] == pytest.approx(160)


def test_inputs_stay_as_they_are():
    before = RFM.copy(deep=True)
    baselines.historical_rate(RFM, 30)
    baselines.days_since_last_order(RFM)
    pd.testing.assert_frame_equal(RFM, before)


def test_compare_scores_what_each_method_offers():
    """By hand: silence ranks the only churner first; a perfect forecast has no error."""
    perfect = OUTCOMES.rename(columns={"n_purchases": "expected_purchases", "spend": "expected_spend"})
    predictions = {
        "perfect": perfect.sample(frac=1, random_state=1),
        "silence": baselines.days_since_last_order(RFM),
    }
    table = baselines.compare(OUTCOMES, predictions)
    found = table.set_index(["method", "target", "metric"])["value"]
    assert found["silence", "churn", "roc_auc"] == 1
    assert found["perfect", "spend", "mae"] == 0
    assert found["perfect", "purchases", "normalised_gini"] == pytest.approx(1)
    assert set(found["silence"].index.get_level_values("metric")) == {
        "roc_auc",
        "average_precision",
        "lift_at_10pct",
        "empc",
    }
    assert table["value"].notna().all()


def test_compare_joins_on_customer_id():
    """By hand: the same figures in another row order, with a stranger among them, give the same table."""
    forecast = baselines.historical_rate(RFM, 90)
    stranger = forecast.iloc[:1].assign(customer_id="z")
    mixed = pd.concat([stranger, forecast.iloc[::-1]], ignore_index=True)
    pd.testing.assert_frame_equal(
        baselines.compare(OUTCOMES, {"m": mixed}), baselines.compare(OUTCOMES, {"m": forecast})
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_missing_figure_is_refused(bad):
    forecast = baselines.historical_rate(RFM, 90)
    forecast.loc[1, "expected_spend"] = bad
    with pytest.raises(ModelError, match=r"^m: 1 of 3 customers lack a figure"):
        baselines.compare(OUTCOMES, {"m": forecast})
    with pytest.raises(ModelError, match=r"^m: 1 of 3 customers lack a figure"):
        baselines.compare(OUTCOMES, {"m": forecast.drop(index=1)})


def test_a_customer_named_twice_is_refused():
    forecast = baselines.historical_rate(RFM, 90)
    with pytest.raises(ModelError, match="two rows"):
        baselines.compare(OUTCOMES, {"m": pd.concat([forecast, forecast])})


def test_nothing_to_compare_gives_an_empty_table():
    table = baselines.compare(OUTCOMES, {})
    assert table.columns.tolist() == ["method", "target", "metric", "value"]
    assert table.empty

"""The rule of promotion on headlines made by hand."""

from __future__ import annotations

import pytest

from churnlab.operations.promotion import against_baselines, against_champion, gains


def method(log_loss=None, auc=None, gini=None):
    churn = {"log_loss": log_loss, "roc_auc": auc}
    spend = {"normalised_gini": gini}
    return {
        "churn": {k: v for k, v in churn.items() if v is not None},
        "spend": {k: v for k, v in spend.items() if v is not None},
    }


RIVALS = {
    "btyd_bgnbd": method(0.40, 0.80, 0.60),
    "btyd_mbgnbd": method(0.42, 0.82, 0.58),
    "historical_rate": method(0.90, 0.70, 0.55),
    "days_since_last_order": method(None, 0.75, None),
}


def against(*figures, tolerance=0.01):
    return against_baselines({"churnlab": method(*figures), **RIVALS}, tolerance)


def test_better_everywhere_is_promoted():
    verdict = against(0.39, 0.83, 0.61)
    assert verdict.promote
    assert verdict.findings == (
        "churn log_loss: 0.3900, best baseline btyd_bgnbd 0.4000, gain +0.0100",
        "churn roc_auc: 0.8300, best baseline btyd_mbgnbd 0.8200, gain +0.0100",
        "spend normalised_gini: 0.6100, best baseline btyd_bgnbd 0.6000, gain +0.0100",
    )


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ((0.41, 0.81, 0.59), True),  # worse by the tolerance itself, on each
        ((0.42, 0.83, 0.61), False),  # log loss worse by .02: less is better
        ((0.39, 0.80, 0.61), False),  # ranking worse than the best rival's .82
        ((0.39, 0.83, 0.58), False),
        ((float("nan"), 0.83, 0.61), False),
    ],
)
def test_worse_by_more_than_the_tolerance_is_not(figures, expected):
    assert against(*figures).promote is expected


def test_what_is_not_defined_is_not_judged():
    verdict = against_baselines({"churnlab": method(0.3, 0.9), "btyd_bgnbd": method(0.4, 0.8)}, 0.0)
    assert verdict.promote
    assert verdict.findings[2] == "spend normalised_gini: not defined on this history, not judged"


def test_gains_are_over_the_best_of_the_btyd_families():
    """By hand: log loss .40 - .38, AUC .83 - .82, Gini .59 - .60; other baselines do not count."""
    found = gains(
        {"historical_rate": method(0.1, 0.99, 0.99), "churnlab": method(0.38, 0.83, 0.59), **RIVALS}
    )
    assert found == {
        "gain_churn_log_loss": 0.02,
        "gain_churn_roc_auc": 0.01,
        "gain_spend_normalised_gini": -0.01,
    }


def test_gains_leave_out_what_is_not_defined():
    assert gains({"churnlab": method(0.3), "btyd_bgnbd": method(0.4, 0.8)}) == {"gain_churn_log_loss": 0.1}
    assert gains({"churnlab": method(0.3)}) == {}


def test_the_first_model_has_no_champion_to_match():
    assert against_champion({"gain_churn_log_loss": -1.0}, {}, 0.0).promote


@pytest.mark.parametrize(("gain", "expected"), [(0.05, True), (0.048, True), (0.0479, False)])
def test_a_champion_is_matched_within_the_tolerance(gain, expected):
    verdict = against_champion(
        {"gain_churn_roc_auc": gain}, {"gain_churn_roc_auc": "0.05", "other": "x"}, 0.002
    )
    assert verdict.promote is expected
    assert verdict.findings == (f"gain_churn_roc_auc: {gain:+.4f}, champion's +0.0500",)


def test_one_lost_gain_is_enough():
    champion = {"gain_churn_roc_auc": "0.05", "gain_churn_log_loss": "0.01"}
    new = {"gain_churn_roc_auc": 0.01, "gain_churn_log_loss": 0.09}
    assert not against_champion(new, champion, 0.002).promote

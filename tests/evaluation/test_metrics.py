"""Metrics against hand computations, scikit-learn and SciPy as peers, and invariants."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from churnlab.evaluation import metrics

CHURNED = [1, 1, 0, 0, 1, 0]
PROBABILITY = [0.9, 0.6, 0.6, 0.2, 0.3, 0.1]


@st.composite
def churn_cases(draw):
    """Both classes and scores with many ties."""
    n = draw(st.integers(2, 40))
    y = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n).filter(lambda v: 0 < sum(v) < len(v)))
    s = draw(st.lists(st.integers(0, 12), min_size=n, max_size=n))
    return np.array(y), np.array(s) / 12


@st.composite
def spend_cases(draw):
    """Unequal spend and forecasts, both with ties."""
    n = draw(st.integers(2, 40))
    y = draw(st.lists(st.integers(0, 30), min_size=n, max_size=n).filter(lambda v: min(v) < max(v)))
    p = draw(st.lists(st.integers(0, 12), min_size=n, max_size=n))
    return np.array(y, float), np.array(p, float)


def test_roc_auc_counts_pairs():
    """By hand: of 9 pairs (churner, stayer) 7 are in order, one is tied, one is reversed: 7.5 / 9."""
    assert metrics.roc_auc(CHURNED, PROBABILITY) == pytest.approx(7.5 / 9)


def test_average_precision_by_hand():
    """Steps of the list: 1/1 at recall 1/3; tie 2/3 at 2/3; 3/4 at 1. AP = (1 + 2/3 + 3/4) / 3."""
    assert metrics.average_precision(CHURNED, PROBABILITY) == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)


def test_brier_by_hand():
    """Squares .01 + .16 + .36 + .04 + .49 + .01 = 1.07 over 6."""
    assert metrics.brier(CHURNED, PROBABILITY) == pytest.approx(1.07 / 6)


def test_log_loss_by_hand():
    expected = (
        -(math.log(0.9) + math.log(0.6) + math.log(0.4) + math.log(0.8) + math.log(0.3) + math.log(0.9)) / 6
    )
    assert metrics.log_loss(CHURNED, PROBABILITY) == pytest.approx(expected)


def test_log_loss_of_a_sure_mistake_is_clipped_at_one_millionth():
    assert metrics.log_loss([1], [0.0]) == pytest.approx(-math.log(1e-6))


def test_ece_by_hand():
    """Bins: .9 | .6 .6 | .2 | .3 | .1; gaps .1, |1.2 - 1| = .2, .2, .7, .1 sum to 1.3 over 6."""
    assert metrics.ece(CHURNED, PROBABILITY) == pytest.approx(1.3 / 6)


def test_ece_takes_a_probability_of_one():
    """A certain and true forecast is calibrated."""
    assert metrics.ece([1, 0], [1.0, 0.0]) == 0


def test_lift_by_hand():
    """Top 2 of 10 hold both of the 4 churners that a share of .2 can hold: (2/2) / (4/10) = 2.5."""
    y = [1, 1, 0, 0, 0, 1, 0, 1, 0, 0]
    assert metrics.lift_at(y, np.arange(10, 0, -1), share=0.2) == pytest.approx(2.5)


def test_lift_shares_a_tie_at_the_edge():
    """All scores equal: whoever is chosen, the mean churn rate comes out, so lift is 1."""
    assert metrics.lift_at([1, 0, 0, 1, 0], [3, 3, 3, 3, 3], share=0.4) == pytest.approx(1)


def test_normalised_gini_by_hand():
    """Spend 6, 3, 1; forecast puts 3 first, then 6, then 1.

    Lorenz areas over the diagonal: best (0+.6)/6 + (.6+.9)/6 + (.9+1)/6 - 1/2 = 4/6 - 1/2 = 1/6;
    ours (0+.3)/6 + (.3+.9)/6 + (.9+1)/6 - 1/2 = 3.4/6 - 1/2 = .4/6. Share .4.
    """
    assert metrics.normalised_gini([6, 3, 1], [5, 9, 2]) == pytest.approx(0.4)


def test_normalised_gini_of_a_constant_forecast_is_zero():
    """One tie shares everything, so the Lorenz curve is the diagonal."""
    assert metrics.normalised_gini([6, 3, 1], [2, 2, 2]) == pytest.approx(0)


def test_decile_mape_by_hand():
    """Groups of two: forecasts are 10 % above in every group but the first, which spends nothing."""
    y = np.repeat(np.arange(10.0), 2)
    assert metrics.decile_mape(y, y * 1.1) == pytest.approx(0.1)


def test_decile_mape_does_not_follow_the_order_of_ties():
    """With one forecast for all, groups are random: sorting customers by spend must not make them pure.

    Pure groups would give the mean of |4.5 - k| / k over k = 1..9, which is 0.78.
    """
    y = np.repeat(np.arange(10.0), 100)
    assert metrics.decile_mape(y, np.full(1000, 4.5)) < 0.2


def test_bias_capture_mae_rmse_by_hand():
    """Ten customers, top tenth is one: forecast's best brought 4 of the possible 8. Sums 20 and 25."""
    y = [8, 4, 2, 2, 1, 1, 1, 1, 0, 0]
    p = [7, 9, 3, 2, 1, 1, 1, 1, 0, 0]
    assert metrics.aggregate_bias(y, p) == pytest.approx(25 / 20 - 1)
    assert metrics.top_decile_capture(y, p) == pytest.approx(0.5)
    assert metrics.mae(y, p) == pytest.approx(7 / 10)
    assert metrics.rmse(y, p) == pytest.approx(math.sqrt(27 / 10))


@given(churn_cases())
def test_churn_metrics_agree_with_scikit_learn(case):
    """Peer: scikit-learn on the same arrays."""
    y, p = case
    found = metrics.churn_metrics(y, p)
    assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(y, p))
    assert found["average_precision"] == pytest.approx(sk.average_precision_score(y, p))
    assert found["brier"] == pytest.approx(sk.brier_score_loss(y, p))
    assert found["log_loss"] == pytest.approx(sk.log_loss(y, np.clip(p, 1e-6, 1 - 1e-6)))


@given(churn_cases())
def test_ranking_metrics_see_the_order_only(case):
    """Invariant: a strictly rising transform changes neither ROC AUC, average precision nor lift."""
    y, s = case
    assert metrics.rank_metrics(y, np.exp(3 * s) - 7) == pytest.approx(metrics.rank_metrics(y, s))


@given(churn_cases())
def test_reversing_the_score_reflects_roc_auc(case):
    """Invariant: AUC(-s) = 1 - AUC(s), ties included."""
    y, s = case
    assert metrics.roc_auc(y, -s) == pytest.approx(1 - metrics.roc_auc(y, s))


@given(spend_cases())
def test_gini_lies_between_its_bounds(case):
    y, p = case
    gini = metrics.normalised_gini(y, p)
    assert -1 - 1e-9 <= gini <= 1 + 1e-9
    assert metrics.normalised_gini(y, -p) == pytest.approx(-gini, abs=1e-9)


@given(spend_cases())
def test_a_perfect_forecast_scores_perfectly(case):
    y, _ = case
    found = metrics.value_metrics(y, y)
    for name in ("normalised_gini", "spearman", "top_decile_capture"):
        assert found[name] == pytest.approx(1)
    for name in ("mae", "rmse", "decile_mape", "aggregate_bias"):
        assert found[name] == pytest.approx(0)


@given(spend_cases(), st.integers(0, 10_000))
def test_value_metrics_do_not_follow_the_order_of_customers(case, seed):
    """Invariant: shuffling rows changes nothing where ties are shared."""
    y, p = case
    order = np.random.default_rng(seed).permutation(len(y))
    for metric in (metrics.normalised_gini, metrics.top_decile_capture, metrics.aggregate_bias):
        assert metric(y[order], p[order]) == pytest.approx(metric(y, p), abs=1e-9)


@given(spend_cases())
def test_metrics_without_a_unit_do_not_see_the_currency(case):
    """Invariant: money times 10^6 changes only MAE and RMSE, by 10^6."""
    y, p = case
    small, large = metrics.value_metrics(y, p), metrics.value_metrics(y * 1e6, p * 1e6)
    for name in ("mae", "rmse"):
        small[name] *= 1e6
    assert large == pytest.approx(small)


@given(spend_cases())
def test_spearman_agrees_with_scipy(case):
    """Peer: Pearson's correlation of SciPy's ranks."""
    y, p = case
    if np.ptp(p):
        expected = stats.pearsonr(stats.rankdata(y), stats.rankdata(p)).statistic
        assert metrics.spearman(y, p) == pytest.approx(expected)


@pytest.mark.parametrize(("churned", "left"), [([0, 0], {"brier", "log_loss", "ece"}), ([], set())])
def test_churn_metrics_leave_out_what_is_undefined(churned, left):
    """No churner: no pair to order, no precision, no lift. No customer: nothing at all."""
    assert set(metrics.churn_metrics(churned, [0.2] * len(churned))) == left


def test_all_churned_leaves_only_roc_auc_undefined():
    """With churners only, every precision is 1 and every lift is 1, but there is no pair to order."""
    found = metrics.churn_metrics([1, 1], [0.2, 0.4])
    assert "roc_auc" not in found
    assert found["average_precision"] == found["lift_at_10pct"] == 1


def test_value_metrics_without_any_spend():
    """Nothing spent: only the errors in money are defined."""
    assert metrics.value_metrics([0, 0], [1, 3]) == pytest.approx({"mae": 2.0, "rmse": math.sqrt(5)})


def test_every_metric_says_which_way_is_better():
    names = metrics.churn_metrics(CHURNED, PROBABILITY) | metrics.value_metrics([1, 2, 3], [1, 3, 2])
    assert set(metrics.BETTER) == set(names)


def test_bootstrap_of_a_mean_has_the_textbook_width():
    """Central limit theorem: the 90 % interval of a mean is 1.645 sd / sqrt(n) on both sides.

    Error |p - y| is |N(0, 1)| with mean sqrt(2/pi), sd sqrt(1 - 2/pi); the other method has none.
    """
    noise = np.random.default_rng(0).normal(size=4000)
    truth = np.zeros(4000)
    found = metrics.paired_difference(metrics.mae, truth, noise, truth, resamples=1000)
    half = 1.645 * math.sqrt(1 - 2 / math.pi) / math.sqrt(4000)
    assert found.estimate == pytest.approx(np.abs(noise).mean())
    assert found.high - found.estimate == pytest.approx(half, rel=0.15)
    assert found.estimate - found.low == pytest.approx(half, rel=0.15)


def test_bootstrap_repeats_with_its_seed():
    y, p = np.arange(50.0), np.arange(50.0)[::-1]
    found = metrics.paired_difference(metrics.mae, y, p, y)
    assert found == metrics.paired_difference(metrics.mae, y, p, y)
    assert found != metrics.paired_difference(metrics.mae, y, p, y, seed=8)


def test_paired_difference_of_a_method_with_itself_is_zero():
    """Invariant: both sides see the same resamples."""
    y, p = np.arange(30.0), np.sin(np.arange(30.0))
    assert metrics.paired_difference(metrics.rmse, y, p, p) == (0, 0, 0, 0)


def test_paired_difference_cancels_what_both_share():
    """By hand: b errs by exactly 1 more for each customer, so the difference is -1 in every resample."""
    y, p = np.zeros(20), np.arange(20.0)
    assert metrics.paired_difference(metrics.mae, y, p, p + 1) == pytest.approx((-1, -1, -1, 0))


@settings(max_examples=20)
@given(churn_cases())
def test_interval_skips_resamples_without_both_classes(case):
    """Invariant: against guessing (AUC 1/2) limits lie within 1/2 (or are undefined together), no crash."""
    y, p = case
    found = metrics.paired_difference(metrics.roc_auc, y, p, np.zeros(len(y)), resamples=20)
    assert (-0.5 <= found.low <= found.high <= 0.5) or (math.isnan(found.low) and math.isnan(found.high))


def test_vectors_of_different_length_are_refused():
    with pytest.raises(ValueError, match="one length"):
        metrics.mae([1, 2], [1])

"""Qini and uplift curves. Authority: sums by hand; figures of scikit-uplift 0.5.1; invariants.

scikit-uplift had its last release in 2022 and calls what scikit-learn drops in 1.10: its figures stand here.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnlab.evaluation.uplift import Ranking, area_over_chance, auuc, best_area, qini_curve, uplift_curve

K = np.arange(40)
SCORE, TREATED, OUTCOME = (K * 7 % 40) // 4 / 10, (K * 3 % 7) < 4, ((K * K * 5 + K * 3) % 11 < 5) * 1.0
QINI = [0.0, 1.0, 1.0, 2.0, 1.857143, 0.666667, 0.2, 0.333333, 0.142857, -1.4, -0.235294]
UPLIFT = [0.0, 2.0, 2.0, 4.0, 3.301587, 1.212121, 0.342857, 0.583333, 0.253968, -2.4, -0.409207]
SHARED = settings(max_examples=60, deadline=None)


def drawn(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random(n).round(1), rng.permutation(n) < n // 2, (rng.random(n) < 0.4) * 1.0


def test_curves_of_four_customers_by_hand():
    """Treated 1, held out 0, treated 0, held out 1, in this order: Y_t - Y_c·N_t/N_c after each."""
    score, treated = np.array([4.0, 3.0, 2.0, 1.0]), np.array([True, False, True, False])
    outcome = np.array([1.0, 0.0, 0.0, 1.0])
    reached, brought = qini_curve(Ranking.of(score), treated, outcome)
    assert (reached.tolist(), brought.tolist()) == ([0, 1, 2, 3, 4], [0, 1, 1, 1, 0])
    assert area_over_chance((reached, brought)) == 3.0
    reached, brought = uplift_curve(Ranking.of(score), treated, outcome)
    assert brought.tolist() == pytest.approx([0, 1, 2, 1.5, 0])
    assert auuc((reached, brought)) == pytest.approx(4.5 / 16)


def test_figures_of_scikit_uplift():
    ranking = Ranking.of(SCORE)
    for curve, expected in ((qini_curve, QINI), (uplift_curve, UPLIFT)):
        reached, brought = curve(ranking, TREATED, OUTCOME)
        assert reached.tolist() == list(range(0, 41, 4))
        assert brought == pytest.approx(expected, abs=1e-6)
    coefficient = area_over_chance(qini_curve(ranking, TREATED, OUTCOME)) / best_area(TREATED, OUTCOME)
    assert coefficient == pytest.approx(0.06543209876543209)
    assert auuc(uplift_curve(ranking, TREATED, OUTCOME)) == pytest.approx(0.02772315915826147)


@SHARED
@given(seed=st.integers(0, 10**6))
def test_no_order_is_above_the_best(seed):
    score, treated, outcome = drawn(seed)
    found = area_over_chance(qini_curve(Ranking.of(score), treated, outcome))
    assert found <= best_area(treated, outcome) + 1e-9


@SHARED
@given(seed=st.integers(0, 10**6))
def test_rows_in_any_order_and_scores_on_any_scale(seed):
    score, treated, outcome = drawn(seed)
    shuffled = np.random.default_rng(seed).permutation(len(score))
    one = qini_curve(Ranking.of(score), treated, outcome)
    other = qini_curve(Ranking.of(np.exp(score)[shuffled]), treated[shuffled], outcome[shuffled])
    np.testing.assert_allclose(other, one)


@SHARED
@given(seed=st.integers(0, 10**6))
def test_a_weight_is_a_row_so_many_times(seed):
    score, treated, outcome = drawn(seed)
    times = np.random.default_rng(seed).integers(1, 4, len(score))
    weighted = qini_curve(Ranking.of(score), treated, outcome, times.astype(float))
    repeated = (np.repeat(values, times) for values in (score, treated, outcome))
    ranking = Ranking.of(next(repeated))
    np.testing.assert_allclose(weighted, qini_curve(ranking, *repeated))


def test_one_score_for_all_is_chance():
    _, treated, outcome = drawn(3)
    assert area_over_chance(qini_curve(Ranking.of(np.zeros(60)), treated, outcome)) == pytest.approx(0)
    uplift = outcome[treated].mean() - outcome[~treated].mean()
    assert auuc(uplift_curve(Ranking.of(np.zeros(60)), treated, outcome)) == pytest.approx(uplift / 2)

"""EMPC: by hand for two customers, by numerical integration over every threshold, by its bounds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta

from churnlab.evaluation.empc import empc


def by_integration(churned, score, a=6.0, b=14.0, incentive=0.05, contact=0.005) -> float:
    """The definition itself: the best of all thresholds at every save rate."""
    y, s = np.asarray(churned, float), np.asarray(score, float)
    cuts = [np.inf, *np.unique(s)[::-1]]
    right = np.array([((s >= cut) * y).mean() for cut in cuts])
    wrong = np.array([((s >= cut) * (1 - y)).mean() for cut in cuts])

    def best(rate: float) -> float:
        gain = (rate * (1 - incentive) - contact) * right - (incentive + contact) * wrong
        return float(gain.max()) * beta.pdf(rate, a, b)

    edges = np.linspace(0, 1, 101)
    return sum(quad(best, low, high)[0] for low, high in pairwise(edges))


def test_a_perfect_ranking_by_hand():
    """Half churn and are ranked first: contact them alone, unless the save rate is below φ / (1 - δ).

    .5 (.95 · .3 - .005) = .14 but for the tail of Beta(6, 14) below .0053, which is nought to eight digits.
    """
    assert empc([1, 0], [0.9, 0.1]) == pytest.approx(0.14, abs=1e-8)


def test_a_ranking_upside_down_leaves_all_or_nobody():
    """Contact everybody: .5 (.95 γ - .005) - .5 · .055, where that is above 0: γ > .06 / .95."""
    edge = 0.06 / 0.95
    tail, mean = beta.sf(edge, 6, 14), 0.3 * beta.sf(edge, 7, 14)
    expected = 0.5 * (0.95 * mean - 0.005 * tail) - 0.5 * 0.055 * tail
    assert empc([1, 0], [0.1, 0.9]) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.integers(4, 60), st.integers(1, 12))
def test_as_by_numerical_integration(seed, n, levels):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.4).astype(float)
    y[:2] = [0, 1]
    score = np.round(rng.random(n) * levels + y * rng.random(), 1)
    assert empc(y, score) == pytest.approx(by_integration(y, score), rel=1e-5, abs=1e-7)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_only_the_order_counts_and_no_order_beats_the_perfect_one(seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, 50).astype(float)
    y[:2] = [0, 1]
    score = rng.random(50)
    assert empc(y, np.exp(3 * score)) == pytest.approx(empc(y, score), rel=1e-12)
    assert empc(y, score) <= empc(y, y) + 1e-12


@pytest.mark.parametrize("churned", [[], [1, 1], [0, 0]])
def test_one_class_has_none(churned):
    assert np.isnan(empc(churned, churned))

"""Fits begun on a part of the customers, against least squares by hand and counting."""

import autograd.numpy as agnp
import numpy as np
import pandas as pd
import pytest

from churnlab.models import large_fits
from churnlab.models.large_fits import finished, thinned


def test_a_part_is_evenly_spaced_over_the_customers(monkeypatch):
    """Shares of the customers up to any row differ by at most one customer of the part."""
    monkeypatch.setattr(large_fits, "MAX_FIRST_ROWS", 100)
    weights = np.random.default_rng(3).integers(1, 40, 700)
    pooled = pd.DataFrame({"value": np.arange(700), "weights": weights})
    part = thinned(pooled)
    assert part["weights"].sum() == 100
    for upto in (0, 9, 350, 698):
        share = weights[: upto + 1].sum() / weights.sum()
        kept = part.loc[part["value"] <= upto, "weights"].sum() / 100
        assert kept == pytest.approx(share, abs=0.01)


def test_few_rows_are_all_kept():
    pooled = pd.DataFrame({"value": [1.0, 2.0], "weights": [7, 10**6]})
    assert thinned(pooled) is pooled


def valley(logs: np.ndarray, bottom: np.ndarray) -> float:
    return agnp.sum((logs - bottom) ** 2 * agnp.array([1.0, 100.0]))


@pytest.mark.parametrize(
    "hessian",
    [
        np.diag([2.0, 200.0]),
        np.diag([2.0, 0.0]),  # flat
        np.diag([2.0, -1.0]),  # no minimum
        np.full((2, 2), np.nan),
    ],
)
def test_the_lowest_place_is_found_whatever_the_curvature_said(hessian):
    bottom = np.array([0.5, -2.0])
    assert finished(valley, np.zeros(2), hessian, (bottom,)) == pytest.approx(bottom, abs=1e-6)

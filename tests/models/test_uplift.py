"""Each customer's own save rate. Authority: effects put in without noise; invariants."""

from __future__ import annotations

import json
import pickle
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from _campaigns import FEATURES, customers, lately_silent
from churnlab.models import uplift
from churnlab.models.uplift import Response, fit_response, level_for, rates_at
from churnlab.operations.scoring import SCORES

AVERAGE = 0.25


def sample(n: int = 600) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Outcomes as they are on average, with nothing left to chance."""
    rng = np.random.default_rng(5)
    people, treated = customers(rng, n), rng.permutation(n) < n * 3 // 4
    kept = people["churn_probability"].to_numpy() * lately_silent(people)
    return people, treated, np.where(treated, kept, 0.0) - 0.1


def fitted(people: pd.DataFrame, treated: np.ndarray, residual: np.ndarray) -> Response:
    return fit_response(people, FEATURES, treated, residual, AVERAGE)


def test_who_responds_is_learned():
    """0.5 less the average of 0.25, or 0 less it; trees lean towards the average, and so do answers."""
    people, treated, residual = sample()
    responds = lately_silent(people) > 0
    found = fitted(people, treated, residual).deviations(people)
    assert 0.12 < found[responds].mean() < 0.25
    assert -0.25 < found[~responds].mean() < -0.12


def test_groups_are_weighed_by_the_share_of_the_other():
    """By hand: of three quarters treated, three quarters of what the held-out tell."""
    people, treated, residual = sample()
    response = fitted(people, treated, residual)
    assert response.share_treated == 0.75
    of_control, of_treated = (
        replace(response, share_treated=share).deviations(people) for share in (1.0, 0.0)
    )
    np.testing.assert_allclose(response.deviations(people), 0.75 * of_control + 0.25 * of_treated)


def test_the_unit_of_money_decides_nothing():
    people, treated, residual = sample()
    rials = people.assign(clv=people["clv"] * 42_000.0)
    one, other = (fitted(rows, treated, residual).deviations(rows) for rows in (people, rials))
    np.testing.assert_allclose(other, one, atol=1e-12)


def test_it_survives_json_and_pickle():
    """Files hold the one, Spark's workers are sent the other."""
    people, treated, residual = sample(200)
    response = replace(fitted(people, treated, residual), trust=0.7, level=0.1)
    told = json.loads(json.dumps(asdict(response)))
    expected = response.save_rates(people)
    for again in (
        Response(**{**told, "features": tuple(told["features"])}),
        pickle.loads(pickle.dumps(response)),
    ):
        assert again == response
        np.testing.assert_array_equal(again.save_rates(people), expected)
    np.testing.assert_allclose(expected, np.clip(0.1 + 0.7 * response.deviations(people), 0, 1))


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), average=st.floats(0, 1), spread=st.floats(0, 3))
def test_the_level_gives_the_average(seed, average, spread):
    rng = np.random.default_rng(seed)
    deviations, weight = rng.normal(0, spread, 30), rng.random(30)
    rates = rates_at(level_for(average, deviations, weight), deviations)
    assert np.average(rates, weights=weight) == pytest.approx(average, abs=1e-9)
    assert ((rates >= 0) & (rates <= 1)).all()


def test_what_is_read_is_told_and_stands_in_the_scores():
    page = (Path(__file__).parents[2] / "docs" / "decisions.md").read_text(encoding="utf-8")
    section = page.partition("### Who responds")[2].partition("\n#")[0]
    assert all(f"`{name}`" in section for name in uplift.FEATURES)
    assert set(uplift.FEATURES) <= set(SCORES.names)

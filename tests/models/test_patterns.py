"""Authority: LightGBM's own answers, row by row."""

from __future__ import annotations

from typing import Any

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnlab.models.patterns import BLOCK_ROWS, MOST_SPLITS, Patterns

ROWS, COLUMNS = 900, 6


def rows_of(rng: np.random.Generator, missing: bool, n: int = ROWS) -> np.ndarray:
    """Columns of few and of many values, zeros, tiny and huge ones; one never missing, one nearly always."""
    x = rng.normal(size=(n, COLUMNS)) * 10.0 ** rng.integers(-3, 4, COLUMNS)
    x[:, 0] = rng.integers(0, 4, n)
    x[:, 1] = np.where(rng.random(n) < 0.5, 0.0, x[:, 1])
    if missing:
        x[:, 2:5] = np.where(rng.random((n, 3)) < 0.3, np.nan, x[:, 2:5])
        x[:, 5] = np.where(rng.random(n) < 0.9, np.nan, x[:, 5])
    return x


def booster_of(rng: np.random.Generator, x: np.ndarray, objective: str, leaves: int, **more: Any) -> Any:
    y = rng.integers(0, 2, len(x)) if objective == "binary" else rng.gamma(1.0, size=len(x)) + 0.01
    terms = {"objective": objective, "num_leaves": leaves, "min_data_in_leaf": 5, "verbose": -1} | more
    return lgb.train({"num_threads": 1, "seed": 1, **terms}, lgb.Dataset(x, y), 12)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["binary", "poisson", "gamma"]),
    st.integers(2, MOST_SPLITS + 1),
    st.booleans(),
    st.booleans(),
)
def test_answers_are_those_of_lightgbm(seed, objective, leaves, learned_missing, asked_missing):
    """Links to the bit; SHAP values but for the order of addition. Missing values may be new to the trees."""
    rng = np.random.default_rng(seed)
    booster = booster_of(rng, rows_of(rng, learned_missing), objective, leaves)
    asked = rows_of(rng, asked_missing)
    found = Patterns.of(booster)
    assert found is not None
    assert (found.link(asked.T) == booster.predict(asked, raw_score=True)).all()
    told = found.contributions(asked.T).T
    both = found.link_and_contributions(asked.T)
    assert np.array_equal(both[0], found.link(asked.T)) and np.array_equal(both[1].T, told)
    assert told == pytest.approx(booster.predict(asked, pred_contrib=True)[:, :-1], abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, ROWS), max_size=4))
def test_an_answer_depends_on_its_row_alone(seed, cuts):
    """Any order and any split of the rows give the same bytes, asked afresh or again."""
    rng = np.random.default_rng(seed)
    x = rows_of(rng, missing=True)
    booster = booster_of(rng, x, "binary", 8)
    order = rng.permutation(ROWS)
    whole, parted = Patterns.of(booster), Patterns.of(booster)
    parts = np.split(x[order], sorted(cuts))
    for answer in ("link", "contributions"):
        together = getattr(whole, answer)(x.T)
        apart = np.concatenate([getattr(parted, answer)(part.T) for part in parts], axis=-1)
        assert apart.tobytes() == np.ascontiguousarray(together[..., order]).tobytes()


def test_more_rows_than_a_block():
    rng = np.random.default_rng(3)
    x = rows_of(rng, missing=True, n=BLOCK_ROWS + 5)
    booster = booster_of(rng, x[:ROWS], "gamma", 6)
    found = Patterns.of(booster)
    assert (found.link(x.T) == booster.predict(x, raw_score=True)).all()
    last = slice(BLOCK_ROWS - 5, None)
    told = found.contributions(x.T)[:, last].T
    assert told == pytest.approx(booster.predict(x[last], pred_contrib=True)[:, :-1], abs=1e-12)


def test_trees_of_one_leaf_add_their_value_and_no_contribution():
    rng = np.random.default_rng(4)
    x = rows_of(rng, missing=False, n=50)
    booster = booster_of(rng, x, "poisson", 8, min_data_in_leaf=40)
    assert "num_leaves=1\n" in booster.model_to_string()
    found = Patterns.of(booster)
    assert (found.link(x.T) == booster.predict(x, raw_score=True)).all()
    assert not found.contributions(x.T).any()


def test_no_rows_no_answers():
    rng = np.random.default_rng(5)
    found = Patterns.of(booster_of(rng, rows_of(rng, missing=True), "binary", 4))
    assert found.link(np.zeros((COLUMNS, 0))).shape == (0,)
    assert found.contributions(np.zeros((COLUMNS, 0))).shape == (COLUMNS, 0)


@pytest.mark.parametrize(("leaves", "more"), [(MOST_SPLITS + 2, {}), (4, {"zero_as_missing": True})])
def test_other_trees_are_left_to_lightgbm(leaves, more):
    rng = np.random.default_rng(6)
    x = rows_of(rng, missing=True)
    assert Patterns.of(booster_of(rng, x, "binary", leaves, **more)) is None


def test_splits_by_category_are_left_to_lightgbm():
    rng = np.random.default_rng(7)
    x = rows_of(rng, missing=False)
    y = np.isin(x[:, 0], (0, 2)).astype(float)
    data = lgb.Dataset(x, y, categorical_feature=[0])
    assert Patterns.of(lgb.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, 2)) is None

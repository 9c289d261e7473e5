"""Threads that share a model. Authority: the same questions, asked one after another."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest

from churnlab.models.churn import FEWEST_ROWS, Boosted

NAMES = tuple("abcdef")


@pytest.fixture(scope="module")
def text() -> str:
    rng = np.random.default_rng(8)
    rows = rng.normal(size=(4_000, len(NAMES)))
    y = rows[:, 0] * rows[:, 1] + rng.normal(size=len(rows)) > 0
    terms = {"objective": "binary", "num_leaves": 12, "verbose": -1, "num_threads": 1}
    return lgb.train(terms, lgb.Dataset(rows, y), 150).model_to_string()


def test_answers_to_threads_are_those_to_one(text):
    """One thread has its answers explained, tree by tree, while others ask for links of few and many rows."""
    rng = np.random.default_rng(9)
    asked = [
        pd.DataFrame(rng.normal(size=(n, len(NAMES))), columns=list(NAMES))
        for n in (FEWEST_ROWS - 1, 2 * FEWEST_ROWS, 50)
    ]
    nothing = np.zeros((0, 0))
    alone = Boosted(NAMES, text, 0.0)
    links = [alone.link(frame, nothing) for frame in asked]
    explained = [alone.contributions(frame).to_numpy() for frame in asked]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            shared = Boosted(NAMES, text, 0.0)  # one that has learned nothing yet
            reasons = [pool.submit(shared.contributions, frame) for frame in asked]
            answers = [pool.submit(shared.link, frame, nothing) for frame in asked for _ in range(20)]
            for k, answer in enumerate(answers):
                np.testing.assert_array_equal(answer.result(), links[k // 20])
            for told, known in zip(reasons, explained, strict=True):
                np.testing.assert_array_equal(told.result().to_numpy(), known)

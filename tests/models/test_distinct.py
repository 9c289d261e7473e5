"""Authority: pandas' groupby."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from churnlab.models.distinct import Remembered, distinct

CELLS = st.sampled_from([0.0, 1.0, -1.0, 1e300, float("nan"), float("inf")])


@given(st.lists(st.tuples(CELLS, CELLS, st.booleans()), min_size=1, max_size=40))
def test_kinds_are_groups_in_order_of_appearance(rows):
    frame = pd.DataFrame(rows, columns=["a", "b", "c"])
    kind, first = distinct(*(frame[name].to_numpy() for name in frame))
    groups = frame.groupby(["a", "b", "c"], sort=False, dropna=False).ngroup()
    assert (kind == groups.to_numpy()).all()
    assert (first == np.flatnonzero(~groups.duplicated().to_numpy())).all()


def test_no_rows_no_kinds():
    kind, first = distinct(np.zeros(0), np.zeros(0))
    assert len(kind) == len(first) == 0


@given(st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=12), max_size=6))
def test_what_is_remembered_is_what_was_answered_and_is_asked_once(batches):
    asked = []

    def answer(a, b):
        asked.extend(zip(a.tolist(), b.tolist(), strict=True))
        return np.column_stack([a + 10 * b, a * b])

    remembered = Remembered(answer, most=5)
    for rows in batches:
        a, b = (np.array([row[k] for row in rows], dtype=float) for k in (0, 1))
        assert (remembered(a, b) == np.column_stack([a + 10 * b, a * b])).all()
    kept = list(dict.fromkeys(asked))[:5]
    assert all(asked.count(row) == 1 for row in kept)

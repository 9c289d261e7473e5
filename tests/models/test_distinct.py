"""Authority: pandas' groupby."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from churnlab.models.distinct import distinct

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

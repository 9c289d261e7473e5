"""Which rows are alike, so that what is dear is asked once of each kind."""

from __future__ import annotations

import numpy as np
import pandas as pd


def distinct(*columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The kind of each row, and a row of each kind; rows of one kind are equal in every column, NaN to NaN.

    Kinds are numbered in the order in which they appear, and stand for themselves by their first row.
    """
    kind = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        value, values = pd.factorize(column, use_na_sentinel=False)
        kind, _ = pd.factorize(kind * len(values) + value)
    first = np.empty(kind.max(initial=-1) + 1, dtype=np.int64)
    first[kind[::-1]] = np.arange(len(kind))[::-1]
    return kind, first

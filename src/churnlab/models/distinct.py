"""Which rows are alike, so that what is dear is asked once of each kind."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

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


class Remembered:
    """A function of rows that keeps what it has answered: the same rows come with every bucket of customers.

    Threads may share it.

    Parameters
    ----------
    answer
        From columns of equal length to an array with a row for each; what it says of a row depends on that
        row alone.
    most
        Rows that are kept, at most.
    """

    def __init__(self, answer: Callable[..., np.ndarray], most: int) -> None:
        self._answer, self._most = answer, most
        self._places: dict[tuple[float, ...], int] = {}
        self._kept: list[np.ndarray] = []
        self._learning = Lock()

    def __call__(self, *columns: np.ndarray) -> np.ndarray:
        """The answer, asked once per distinct row that is not known yet."""
        kind, first = distinct(*columns)
        rows = [column[first] for column in columns]
        keys = list(zip(*(row.tolist() for row in rows), strict=True))
        new = np.array([key not in self._places for key in keys], dtype=bool)
        found = self._answer(*(row[new] for row in rows))
        out = np.empty((len(keys), *found.shape[1:]), dtype=found.dtype)
        out[new] = found
        known = np.flatnonzero(~new)
        for place in known.tolist():
            out[place] = self._kept[self._places[keys[place]]]
        self._learn([keys[place] for place in np.flatnonzero(new).tolist()], found)
        return out[kind]

    def _learn(self, keys: list[tuple[float, ...]], found: np.ndarray) -> None:
        with self._learning:
            for key, row in zip(keys, found, strict=True):
                if len(self._kept) >= self._most:
                    return
                if key not in self._places:
                    self._kept.append(row.copy())
                    self._places[key] = len(self._kept) - 1  # last: from now on others read it

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
        self._kept: tuple[list[np.ndarray], np.ndarray] | None = None  # rows by column, and what was answered
        self._learning = Lock()

    def __call__(self, *columns: np.ndarray) -> np.ndarray:
        """The answer, asked once per distinct row that is not known yet."""
        known, answers = self._kept or self._nothing(columns)
        joined = [np.concatenate(pair) for pair in zip(known, columns, strict=True)]
        kind, place = distinct(*joined)
        new = place >= len(answers)
        rows = [column[place[new]] for column in joined]
        found = self._answer(*rows)
        self._learn(rows, found)
        place[new] = len(answers) + np.arange(len(found))
        return np.concatenate([answers, found])[place[kind[len(answers) :]]]

    def _nothing(self, columns: tuple[np.ndarray, ...]) -> tuple[list[np.ndarray], np.ndarray]:
        none = [column[:0] for column in columns]
        return none, self._answer(*none)

    def _learn(self, rows: list[np.ndarray], found: np.ndarray) -> None:
        with self._learning:  # another thread may have learned the same: kept twice, it does no harm
            known, answers = self._kept or self._nothing(tuple(rows))
            left = self._most - len(answers)
            if left > 0 and len(found):
                joined = [np.concatenate([old, row[:left]]) for old, row in zip(known, rows, strict=True)]
                self._kept = joined, np.concatenate([answers, found[:left]])

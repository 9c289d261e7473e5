"""Features as learners read them."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd


class Seen:
    """Some customers' features, about which several learners are asked: their logarithms are taken once.

    Parameters
    ----------
    frame
        One row per customer, float64, in one piece of memory; NaN where undefined.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame, self.index, self.names = frame, frame.index, tuple(frame.columns)

    def __len__(self) -> int:
        return len(self.frame)

    @cached_property
    def logs(self) -> np.ndarray:
        """:func:`signed_log` of all features, (rows, features)."""
        return signed_log(self.frame.to_numpy(float))


def values(frame: pd.DataFrame | Seen, features: tuple[str, ...]) -> np.ndarray:
    """The features as (rows, features), without a copy where they are all that the frame has."""
    whole = frame.frame if isinstance(frame, Seen) else frame
    own = whole if tuple(whole.columns) == features else whole[list(features)]
    return own.to_numpy(float)


def signed_log(values: np.ndarray) -> np.ndarray:
    """sign(x)·log(1 + |x|); NaN stays."""
    logged = np.abs(values)
    np.log1p(logged, out=logged)
    logged *= np.sign(values)
    return logged

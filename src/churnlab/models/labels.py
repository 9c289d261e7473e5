"""Labels and percentiles by cut points that were fixed at training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

GRID = np.linspace(0, 1, 201)
SMALLEST = 1e-200


@dataclass(frozen=True)
class Scale:
    """One quantity's cut points and percentile grid, as seen on the base at training.

    Attributes
    ----------
    names
        Labels from lowest to highest; one more than `cuts`.
    cuts
        Ascending; a value at or above cuts[k] has at least label names[k + 1].
    grid
        The 0, 0.5, …, 100 % quantiles of the base.
    """

    names: tuple[str, ...]
    cuts: tuple[float, ...]
    grid: tuple[float, ...]

    @classmethod
    def fit(cls, values: np.ndarray, shares: dict[str, float], lowest: str) -> Scale:
        """Cut so that each label gets its share of `values`, best label first in `shares`."""
        above = np.cumsum(list(shares.values()))
        cuts = np.quantile(values, np.clip(1 - above, 0, 1))[::-1]
        return cls(
            (lowest, *reversed(shares)), tuple(cuts.tolist()), tuple(np.quantile(values, GRID).tolist())
        )

    def label(self, values: np.ndarray) -> pd.Series:
        """The label of each value."""
        return pd.Series(
            np.array(self.names, dtype=object)[np.searchsorted(self.cuts, values, side="right")], dtype="str"
        )

    def percentile(self, values: np.ndarray) -> np.ndarray:
        """0 to 100: the share of the training base at or below each value."""
        grid, values = _flushed(np.array(self.grid)), _flushed(values)
        low = np.searchsorted(grid, values, side="left")
        high = np.searchsorted(grid, values, side="right")
        inside = np.interp(values, grid, GRID)
        tied = high - low > 1
        share = np.where(tied, GRID[np.clip(high - 1, 0, len(GRID) - 1)], inside)
        return np.round(100 * np.where(values < grid[0], 0.0, share), 2)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {"names": list(self.names), "cuts": list(self.cuts), "grid": list(self.grid)}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Scale:
        """The inverse of :meth:`to_dict`."""
        return cls(tuple(saved["names"]), tuple(saved["cuts"]), tuple(saved["grid"]))


def _flushed(values: np.ndarray) -> np.ndarray:
    """Without numbers so small that a slope between two of them overflows."""
    return np.where(np.abs(values) < SMALLEST, 0.0, values)

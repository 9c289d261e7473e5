"""Counts in classes, and values by quantile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Bar:
    """How many lie from `low` to `high`, both included; without `high`, from `low` on."""

    low: int
    high: int | None
    n: int


def classes(values: np.ndarray, begins: Sequence[int]) -> tuple[Bar, ...]:
    """How many values lie in each class, the empty ones at the end left out."""
    ends = [begin - 1 for begin in begins[1:]]
    found = [
        Bar(low, high, int(((values >= low) & (values <= high)).sum()))
        for low, high in zip(begins, ends, strict=False)
    ]
    found.append(Bar(begins[-1], None, int((values >= begins[-1]).sum())))
    while len(found) > 1 and not found[-1].n:
        found.pop()
    return tuple(found)


def named(shares: Sequence[float], values: Sequence[Any]) -> dict[str, Any]:
    """Share as text to value; nothing where there are no values."""
    return {str(share): value for share, value in zip(shares, values, strict=False)}

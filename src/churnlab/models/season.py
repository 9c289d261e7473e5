"""How the same season a year before differed from the months that the blend was calibrated on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from churnlab.features.gates import FEWEST_OF_A_SEASON
from churnlab.models.targets import Target

FARTHEST = 3.0  # on the link scale: beyond it something other than a season is at work
STEP = 1e-4  # of the numerical derivative
UNKNOWN_WANDER = 0.1  # of the level from year to year, where no two years can be compared


@dataclass(frozen=True)
class Level:
    """How far outcomes lay above forecasts, on the link scale, and the standard error of that."""

    shift: float
    error: float


def season_shift(same_season: Level, pairs: Sequence[tuple[Level, Level]]) -> float:
    """What to add to the link so that the forecast has the level of its season.

    The level of the same window a year before, moved by how levels changed over that year, and shrunk (James
    & Stein 1961) by its standard error and by how unsteady that change was.

    Parameters
    ----------
    same_season
        Level of the window that is forecast, a year before.
    pairs
        Level of each calibration window a year before, and its level now; empty if the log does not reach
        back so far: then no change over the year is assumed.
    """
    changes = [now.shift - before.shift for before, now in pairs]
    drift = float(np.mean(changes)) if changes else 0.0
    wander = float(np.std(changes, ddof=1)) if len(changes) > 1 else UNKNOWN_WANDER
    errors = sum(before.error**2 + now.error**2 for before, now in pairs) / max(len(pairs), 1) ** 2
    shift = same_season.shift + drift
    noise = same_season.error**2 + errors + wander**2
    return shift * (1.0 - noise / shift**2) if shift**2 > noise else 0.0


def level_of(target: Target, link: np.ndarray, y: np.ndarray) -> Level | None:
    """The shift of the link at which the sums of outcomes and forecasts agree; None if too few rows tell.

    Sums and not likelihoods: a season moves those most who buy most.

    Parameters
    ----------
    target
        Decides the link.
    link
        Forecasts on the link scale of rows that the learners had not seen.
    y
        Outcomes on the target's own scale.
    """
    if len(y) < FEWEST_OF_A_SEASON:
        return None

    def excess(shift: float) -> np.ndarray:
        return target.mean(link + shift) - y

    if not excess(-FARTHEST).mean() < 0 < excess(FARTHEST).mean():
        return None
    shift = float(brentq(lambda x: excess(x).mean(), -FARTHEST, FARTHEST, xtol=1e-9))
    gradient = (excess(shift + STEP) - excess(shift - STEP)).mean() / (2 * STEP)
    return Level(shift, float(excess(shift).std() / np.sqrt(len(y)) / gradient))

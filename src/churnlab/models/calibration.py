"""Platt's line on the link scale: intercept and slope learned on a snapshot that no learner has seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # its parts are imported when they are first asked for

from churnlab.models.targets import Target

# Pseudo-rows that pull the slope toward 1: small samples correct the level, not the spread.
SLOPE_PRIOR_ROWS = 100.0


@dataclass(frozen=True)
class LinkCalibration:
    """link -> intercept + slope · link (Platt 1999 on the logit; the same line for log links)."""

    slope: float
    intercept: float

    def apply(self, link: np.ndarray) -> np.ndarray:
        """The calibrated link."""
        return self.intercept + self.slope * link

    def to_dict(self) -> dict[str, float]:
        """As JSON-ready values."""
        return {"slope": self.slope, "intercept": self.intercept}

    @classmethod
    def from_dict(cls, saved: dict[str, float]) -> LinkCalibration:
        """The inverse of :meth:`to_dict`."""
        return cls(saved["slope"], saved["intercept"])


def fit_calibration(target: Target, link: np.ndarray, y: np.ndarray) -> LinkCalibration:
    """Fit the line by the target's own loss.

    Parameters
    ----------
    target
        Decides the loss.
    link
        Held-out answers on the link scale.
    y
        Outcomes on the target's own scale.
    """
    centre = float(np.mean(link))

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        slope, level = theta
        moved = centre + level + slope * (link - centre)
        slopes = target.slope(moved, y)
        loss = target.loss(moved, y).sum() + SLOPE_PRIOR_ROWS * (slope - 1) ** 2
        gradient = [slopes @ (link - centre) + 2 * SLOPE_PRIOR_ROWS * (slope - 1), slopes.sum()]
        return float(loss), np.array(gradient)

    bounds = [(0.2, 5.0), (-3.0, 3.0)]
    slope, level = scipy.optimize.minimize(
        objective, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds
    ).x
    return LinkCalibration(round(float(slope), 8), round(float(centre + level - slope * centre), 8))

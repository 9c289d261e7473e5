"""Mixes the learners' answers on the link scale, and trusts the mix no further than it has earned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy  # its parts are imported when they are first asked for

from churnlab.models.calibration import LinkCalibration, fit_calibration
from churnlab.models.targets import Target

# Pseudo-rows that pull the weights toward equal ones; felt below a few thousand rows, not above.
WEIGHT_PRIOR_ROWS = 20.0
FULL_TRUST_Z = 2.0
UNFAVOURED = ("recency",)  # of use on few logs: pulled toward no weight, not toward an equal one


@dataclass(frozen=True)
class Blend:
    """link = trust · calibration(Σ weight · member) + (1 - trust) · BTYD's mean answer.

    Attributes
    ----------
    weights
        Member name to weight; non-negative, they sum to 1.
    calibration
        Platt's line on the link scale.
    trust
        0 to 1: how far the gain over BTYD was beyond chance on the calibration snapshot.
    """

    weights: dict[str, float]
    calibration: LinkCalibration
    trust: float

    def link(self, members: dict[str, np.ndarray], base: np.ndarray) -> np.ndarray:
        """The final answer on the link scale from the members' answers and BTYD's mean one."""
        mixed = np.zeros(len(base))
        for name, weight in self.weights.items():
            mixed = mixed + weight * members[name]
        return self.trust * self.calibration.apply(mixed) + (1 - self.trust) * base

    def share(self, name: str) -> float:
        """What one unit of a member's link adds to the final link."""
        return self.trust * self.calibration.slope * self.weights.get(name, 0.0)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {"weights": self.weights, "calibration": self.calibration.to_dict(), "trust": self.trust}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Blend:
        """The inverse of :meth:`to_dict`."""
        return cls(saved["weights"], LinkCalibration.from_dict(saved["calibration"]), saved["trust"])


BTYD_ALONE = Blend({}, LinkCalibration(1.0, 0.0), 0.0)


def fit_blend(
    target: Target,
    members: dict[str, np.ndarray],
    base: np.ndarray,
    y: np.ndarray,
    customer: np.ndarray,
    calibrate: bool,
) -> Blend:
    """Learn weights, calibration and trust from answers that were given without having seen `y`.

    Parameters
    ----------
    target
        Decides the loss.
    members
        Name to held-out answers on the link scale.
    base
        BTYD's mean answer on the link scale.
    y
        Outcomes on the target's own scale.
    customer
        Whose row it is: rows of one customer are no independent evidence.
    calibrate
        Whether to fit Platt's line; the identity otherwise.
    """
    links = np.column_stack(list(members.values()))
    weights = _weights(target, links, y, _prior(members))
    mixed = links @ weights
    line = fit_calibration(target, mixed, y) if calibrate else LinkCalibration(1.0, 0.0)
    gain = target.loss(base, y) - target.loss(line.apply(mixed), y)
    named = dict(zip(members, np.round(weights, 6).tolist(), strict=True))
    return Blend(named, line, round(_trust(gain, customer), 6))


def _prior(members: dict[str, np.ndarray]) -> np.ndarray:
    """Equal weights of the favoured; of all where there are none."""
    favoured = np.array([name not in UNFAVOURED for name in members], dtype=float)
    return favoured / favoured.sum() if favoured.any() else np.full(len(members), 1 / len(members))


def _weights(target: Target, links: np.ndarray, y: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Non-negative, pulled toward `prior`, summing to 1; the intercept is left to calibration."""
    k = links.shape[1]

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        link = links @ theta[:k] + theta[k]
        slope = target.slope(link, y)
        away = theta[:k] - prior
        loss = target.loss(link, y).sum() + WEIGHT_PRIOR_ROWS * (away**2).sum()
        return float(loss), np.append(links.T @ slope + 2 * WEIGHT_PRIOR_ROWS * away, slope.sum())

    bounds = [(0.0, None)] * k + [(None, None)]
    found = scipy.optimize.minimize(
        objective, np.append(prior, 0.0), jac=True, method="L-BFGS-B", bounds=bounds
    ).x[:k]
    return found / found.sum() if np.isfinite(found).all() and found.sum() > 0 else prior


def _trust(gain: np.ndarray, customer: np.ndarray) -> float:
    """0 without a mean gain, 1 from two standard errors (clustered by customer) on."""
    if not len(gain) or not np.isfinite(gain).all():
        return 0.0
    _, cluster = np.unique(customer, return_inverse=True)
    away = np.bincount(cluster, weights=gain - gain.mean())
    error = np.sqrt((away**2).sum()) / len(gain)
    if error == 0:
        return float(gain.mean() > 0)
    return float(np.clip(gain.mean() / error / FULL_TRUST_Z, 0.0, 1.0))

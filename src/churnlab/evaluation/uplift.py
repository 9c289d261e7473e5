"""How well an order tells who responds to treatment: Qini and uplift curves, and areas under them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Curve = tuple[np.ndarray, np.ndarray]
"""Customers reached, from 0 to all, and what treating them brings; highest score first."""


@dataclass(frozen=True)
class Ranking:
    """Rows by score, highest first; rows of equal score are reached together.

    Attributes
    ----------
    place
        Row of each rank.
    ends
        Last rank of each distinct score.
    """

    place: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, score: np.ndarray) -> Ranking:
        """The ranking by a score; all its numbers are finite."""
        place = np.argsort(-score, kind="stable")
        changes = np.flatnonzero(np.diff(score[place]))
        return cls(place, np.append(changes, len(score) - 1))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Of all rows reached so far, at every end."""
        return np.cumsum(values[self.place])[self.ends]


def qini_curve(
    ranking: Ranking, treated: np.ndarray, outcome: np.ndarray, weight: np.ndarray | None = None
) -> Curve:
    """Y_t - Y_c · N_t / N_c of those reached (Radcliffe 2007, "Using control groups to target on predicted
    lift", Direct Marketing Analytics Journal 1).

    Parameters
    ----------
    treated
        True for treated rows, False for held-out ones.
    outcome
        What is summed: 0 or 1, or any number.
    weight
        How often each row counts; None: once. At least one row counts.
    """
    counts, sums = _arms(ranking, treated, outcome, weight)
    ratio = np.divide(counts[0], counts[1], out=np.zeros_like(counts[0]), where=counts[1] > 0)
    return _from_nothing(counts.sum(axis=0), sums[0] - sums[1] * ratio)


def uplift_curve(ranking: Ranking, treated: np.ndarray, outcome: np.ndarray) -> Curve:
    """(Y_t / N_t - Y_c / N_c) · (N_t + N_c) of those reached.

    Gutierrez & Gérardy (2016), "Causal inference and uplift modelling: a review of the literature", PMLR 67.
    Parameters are those of :func:`qini_curve`.
    """
    counts, sums = _arms(ranking, treated, outcome, None)
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    return _from_nothing(counts.sum(axis=0), (means[0] - means[1]) * counts.sum(axis=0))


def area_over_chance(curve: Curve) -> float:
    """Between the curve and the straight line to its end, which customers in random order would follow."""
    reached, brought = curve
    return float(np.trapezoid(brought, reached) - reached[-1] * brought[-1] / 2)


def best_area(treated: np.ndarray, outcome: np.ndarray) -> float:
    """:func:`area_over_chance` of the order that nobody knows beforehand.

    Treated customers with the outcome come first, held-out ones with it last.

    Parameters
    ----------
    outcome
        0 or 1.
    """
    return area_over_chance(qini_curve(Ranking.of(outcome * np.where(treated, 1, -1)), treated, outcome))


def auuc(curve: Curve) -> float:
    """Area under the uplift curve, both axes per customer; random order gives half of the mean effect."""
    reached, brought = curve
    return float(np.trapezoid(brought, reached)) / float(reached[-1]) ** 2


def _arms(
    ranking: Ranking, treated: np.ndarray, outcome: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Counts and sums of the outcome among treated and held-out rows reached, (2, ends)."""
    counted = np.ones(len(treated)) if weight is None else weight
    sides = [np.where(side, counted, 0.0) for side in (treated, ~treated)]
    counts = np.array([ranking.sums(side) for side in sides])
    return counts, np.array([ranking.sums(side * outcome) for side in sides])


def _from_nothing(reached: np.ndarray, brought: np.ndarray) -> Curve:
    return np.append(0.0, reached), np.append(0.0, brought)

"""Penalised regressions on log features and BTYD answers: quick to fit, steady on small data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from churnlab.models.seen import Seen, signed_log, values
from churnlab.models.targets import Target

CLIP_SD = 4.0
CHUNK_ROWS = 4096  # fit the processor's cache; BLAS rounds a row alike in wholes of so many and in one piece


@dataclass(frozen=True)
class Linear:
    """A fitted regression: z = intercept + coef · standardised(signed log(feature)).

    Attributes
    ----------
    features
        Names of the columns read.
    centre, spread
        Mean and standard deviation of the signed-log features in training.
    flags
        Which features also have a column that marks them missing.
    base_centre
        Mean of BTYD's answers in training, one per family.
    coef, intercept
        On the link scale of the target; coef has one entry per feature, then one per flag, then the base.
    """

    features: tuple[str, ...]
    centre: tuple[float, ...]
    spread: tuple[float, ...]
    flags: tuple[str, ...]
    base_centre: tuple[float, ...]
    coef: tuple[float, ...]
    intercept: float

    def link(self, frame: pd.DataFrame | Seen, base: np.ndarray) -> np.ndarray:
        """Prediction on the link scale. `base` is BTYD's answer on that scale, (n, families)."""
        coef = np.array(self.coef)
        parts = [matrix @ coef for _, matrix in self._matrices(frame, base)]
        return np.concatenate([*parts, np.zeros(0)]) + self.intercept

    def contributions(self, frame: pd.DataFrame | Seen) -> pd.DataFrame:
        """Each feature's part of the link, against the average customer of training."""
        return self.link_and_contributions(frame, np.zeros((len(frame), len(self.base_centre))))[1]

    def link_and_contributions(
        self, frame: pd.DataFrame | Seen, base: np.ndarray
    ) -> tuple[np.ndarray, pd.DataFrame]:
        """:meth:`link` and :meth:`contributions`, from the same standardised features."""
        n, coef = len(self.features), np.array(self.coef)
        link, out = np.empty(len(frame)), np.empty((n, len(frame)))
        for rows, matrix in self._matrices(frame, base):
            link[rows] = matrix @ coef
            parts = (matrix * coef).T
            out[:, rows] = parts[:n]
            for k, feature in enumerate(self._flag_positions()):
                out[feature, rows] += parts[n + k]
        told = pd.DataFrame(out.T, index=frame.index, columns=list(self.features), copy=False)
        return link + self.intercept, told

    @property
    def base_coef(self) -> np.ndarray:
        """What one unit of each family's answer adds to the link; empty if it does not read them."""
        return np.array(self.coef[len(self.features) + len(self.flags) :])

    def _matrices(self, frame: pd.DataFrame | Seen, base: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Some rows after the other, and what `coef` is multiplied by."""
        logged = self._logged(frame)
        for rows in _chunks(len(frame)):
            yield rows, self._matrix(logged(rows), base[rows])

    def _logged(self, frame: pd.DataFrame | Seen) -> Callable[[slice], np.ndarray]:
        """From rows to their signed logs; not to be written into."""
        if isinstance(frame, Seen) and frame.names == self.features:
            return frame.logs.__getitem__
        whole = values(frame, self.features)
        return lambda rows: signed_log(whole[rows])

    def _matrix(self, logged: np.ndarray, base: np.ndarray) -> np.ndarray:
        families = len(self.base_centre)  # none for a regression that was not given BTYD's answers
        moved = base[:, :families] - np.array(self.base_centre)
        return _assemble(logged, np.array(self.centre), np.array(self.spread), self._flag_positions(), moved)

    def _flag_positions(self) -> np.ndarray:
        return np.array([self.features.index(name) for name in self.flags], dtype=int)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Linear:
        """The inverse of :meth:`to_dict`."""
        values: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in saved.items()}
        return cls(**values)


def fit_linear(
    target: Target,
    frame: pd.DataFrame,
    base: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray,
    penalty: float,
) -> Linear:
    """Fit one regression by Newton's method.

    Parameters
    ----------
    target
        Decides the likelihood: binomial, Poisson or gamma.
    frame
        Features, one column each; NaN where undefined.
    base
        BTYD's answer on the link scale, one column per family, or no column.
    y, weight
        Outcome on the target's own scale and weight per row.
    penalty
        L2: the inverse of sklearn's C for the binomial, alpha for Poisson and gamma.
    """
    logged = signed_log(frame.to_numpy(float))
    with np.errstate(invalid="ignore"):
        centre = np.nan_to_num(_nanmean(logged))
        spread = np.nan_to_num(np.sqrt(_nanmean((logged - centre) ** 2))) + 1e-6
    flags = np.flatnonzero(np.isnan(logged).any(axis=0))
    base_centre = base.mean(axis=0)
    matrix = _assemble(logged, centre, spread, flags, base - base_centre)
    del logged
    scale = 1.0 if target is Target.CHURN else max(float(np.average(y, weights=weight)), np.finfo(float).tiny)
    model = _estimator(target, penalty).fit(matrix, y / scale, sample_weight=weight)
    return Linear(
        features=tuple(frame.columns),
        centre=tuple(centre.tolist()),
        spread=tuple(spread.tolist()),
        flags=tuple(list(frame.columns)[k] for k in flags),
        base_centre=tuple(base_centre.tolist()),
        coef=tuple(np.ravel(model.coef_).tolist()),
        intercept=float(np.ravel(model.intercept_)[0]) + float(np.log(scale)),
    )


def _chunks(rows: int) -> list[slice]:
    return [slice(start, min(start + CHUNK_ROWS, rows)) for start in range(0, rows, CHUNK_ROWS)]


def _estimator(target: Target, penalty: float) -> Any:
    from sklearn.linear_model import GammaRegressor, LogisticRegression, PoissonRegressor  # noqa: PLC0415

    common = {"solver": "newton-cholesky", "max_iter": 100, "tol": 1e-5}
    if target is Target.CHURN:
        return LogisticRegression(C=1 / penalty, **common)
    return (PoissonRegressor if target is Target.REPEATS else GammaRegressor)(alpha=penalty, **common)


def _nanmean(values: np.ndarray) -> np.ndarray:
    known = ~np.isnan(values)
    return np.where(known, values, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)


def _assemble(
    logged: np.ndarray, centre: np.ndarray, spread: np.ndarray, flags: np.ndarray, base: np.ndarray
) -> np.ndarray:
    missing = np.isnan(logged)
    standard = np.where(missing, centre, logged)
    standard -= centre  # in place: each copy is as large as the training data
    standard /= spread
    np.clip(standard, -CLIP_SD, CLIP_SD, out=standard)
    return np.column_stack([standard, missing[:, flags].astype(float), base])

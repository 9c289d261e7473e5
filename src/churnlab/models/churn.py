"""LightGBM learners for the three targets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd

from churnlab.config import Churn
from churnlab.errors import ModelError
from churnlab.models.targets import Target

OBJECTIVE = {Target.CHURN: "binary", Target.REPEATS: "poisson", Target.SPEND: "gamma"}
FEWEST_ROUNDS = 5


@dataclass(frozen=True)
class Boosted:
    """A fitted booster; `text` is LightGBM's own model text and all there is to save.

    Attributes
    ----------
    features
        Names of the columns read, in order; BTYD's answers follow them.
    text
        LightGBM's model text.
    log_scale
        Log of what the outcome was divided by before the fit (0 for CHURN).
    """

    features: tuple[str, ...]
    text: str
    log_scale: float
    _booster: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "_booster", lgb.Booster(model_str=self.text))
        except lgb.basic.LightGBMError as error:
            raise ModelError("the LightGBM model text is damaged: train again or roll back") from error

    def link(self, frame: pd.DataFrame, base: np.ndarray) -> np.ndarray:
        """Prediction on the link scale; `base` is BTYD's answer, (n, families)."""
        return self._booster.predict(_matrix(frame, self.features, base), raw_score=True) + self.log_scale

    def contributions(self, frame: pd.DataFrame, base: np.ndarray) -> pd.DataFrame:
        """SHAP values on the link scale (Lundberg et al. 2020), columns `features` plus btyd."""
        values = self._booster.predict(_matrix(frame, self.features, base), pred_contrib=True)
        n = len(self.features)
        out = pd.DataFrame(values[:, :n], index=frame.index, columns=list(self.features))
        out["btyd"] = values[:, n:-1].sum(axis=1)
        return out


def fit_boosted(
    target: Target,
    frame: pd.DataFrame,
    base: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray,
    rounds: int,
    settings: Churn,
) -> Boosted:
    """Fit `rounds` trees.

    Parameters
    ----------
    target
        Decides the objective: binary, poisson or gamma.
    frame, base
        Features and BTYD's answer on the link scale.
    y, weight
        Outcome on the target's own scale and weight per row.
    rounds
        Trees, as found by :func:`best_rounds`.
    """
    scale = _scale(target, y, weight)
    data = lgb.Dataset(_matrix(frame, tuple(frame.columns), base), y / scale, weight=weight)
    booster = lgb.train(_params(target, settings, len(y)), data, rounds)
    return Boosted(tuple(frame.columns), booster.model_to_string(), float(np.log(scale)))


def best_rounds(
    target: Target,
    train: tuple[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray],
    valid: tuple[pd.DataFrame, np.ndarray, np.ndarray],
    settings: Churn,
) -> int:
    """Number of trees by early stopping.

    Parameters
    ----------
    train
        (features, base, y, weight) of earlier snapshots.
    valid
        (features, base, y) of a later snapshot and other customers.
    """
    frame, base, y, weight = train
    later, later_base, later_y = valid
    scale = _scale(target, y, weight)
    names = tuple(frame.columns)
    data = lgb.Dataset(_matrix(frame, names, base), y / scale, weight=weight)
    check = lgb.Dataset(_matrix(later, names, later_base), later_y / scale, reference=data)
    booster = lgb.train(
        _params(target, settings, len(y)),
        data,
        settings.max_rounds,
        valid_sets=[check],
        callbacks=[lgb.early_stopping(settings.early_stopping_rounds, verbose=False)],
    )
    return max(booster.best_iteration, FEWEST_ROUNDS)


def _params(target: Target, settings: Churn, rows: int) -> dict[str, Any]:
    return {
        "objective": OBJECTIVE[target],
        "num_leaves": settings.num_leaves,
        "learning_rate": settings.learning_rate,
        # small data gets small leaves: the setting is a ceiling
        "min_data_in_leaf": int(np.clip(rows // 200, 20, settings.min_data_in_leaf)),
        "feature_fraction": settings.feature_fraction,
        "bagging_fraction": settings.bagging_fraction,
        "bagging_freq": 1,
        "lambda_l2": settings.lambda_l2,
        "max_bin": 63,
        "seed": settings.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": settings.threads,
        "verbose": -1,
    }


def _scale(target: Target, y: np.ndarray, weight: np.ndarray) -> float:
    if target is Target.CHURN:
        return 1.0
    return max(float(np.average(y, weights=weight)), np.finfo(float).tiny)


def _matrix(frame: pd.DataFrame, features: tuple[str, ...], base: np.ndarray) -> np.ndarray:
    return np.column_stack([frame[list(features)].to_numpy(float), base])

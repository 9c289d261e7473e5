"""LightGBM learners for the three targets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd

from churnlab.config import Churn
from churnlab.errors import ModelError
from churnlab.models.patterns import Patterns
from churnlab.models.seen import Seen, values
from churnlab.models.targets import Target

OBJECTIVE = {Target.CHURN: "binary", Target.REPEATS: "poisson", Target.SPEND: "gamma"}
FEWEST_ROUNDS = 5
FEWEST_ROWS = 5_000  # for which to look for rows alike; either way gives the same links


class Shared:
    """A booster that several threads may ask: it hears one question at a time.

    LightGBM keeps which trees a question is about in the booster itself (its issue 6142), so that without
    this a question about one tree, as :class:`Patterns` asks, would cut another thread's answer to one tree.
    """

    def __init__(self, booster: Any) -> None:
        self._booster, self._asking = booster, Lock()

    def predict(self, rows: np.ndarray, **how: Any) -> np.ndarray:
        """As LightGBM's own."""
        with self._asking:
            return np.asarray(self._booster.predict(rows, **how))

    def dump_model(self) -> dict[str, Any]:
        """As LightGBM's own."""
        with self._asking:
            return dict(self._booster.dump_model())


@dataclass(frozen=True)
class Boosted:
    """A fitted booster; `text` is LightGBM's own model text and all there is to save.

    The text is read when the booster is first asked, or by :meth:`prepare`.

    Attributes
    ----------
    features
        Names of the columns read, in order.
    text
        LightGBM's model text.
    log_scale
        Log of what the outcome was divided by before the fit (0 for CHURN).
    """

    features: tuple[str, ...]
    text: str
    log_scale: float

    def prepare(self) -> None:
        """Do what is otherwise done when the booster is first asked.

        Raises
        ------
        ModelError
            The text is damaged.
        """
        _ = self._patterns

    def link(self, frame: pd.DataFrame | Seen, base: np.ndarray) -> np.ndarray:
        """Prediction on the link scale. `base`, BTYD's answer, is not looked at: see :func:`fit_boosted`."""
        matrix = values(frame, self.features)
        if self._patterns is None or len(frame) < FEWEST_ROWS:
            return self._booster.predict(matrix, raw_score=True) + self.log_scale
        return self._patterns.link(matrix.T) + self.log_scale

    @property
    def base_coef(self) -> np.ndarray:
        """Empty: the trees do not read BTYD's answers."""
        return np.zeros(0)

    def contributions(self, frame: pd.DataFrame | Seen) -> pd.DataFrame:
        """SHAP values on the link scale (Lundberg et al. 2020), columns `features`."""
        matrix = values(frame, self.features)
        if self._patterns is None:
            told = self._booster.predict(matrix, pred_contrib=True)[:, :-1]
        else:
            told = self._patterns.contributions(matrix.T).T
        return self._by_feature(told, frame)

    def link_and_contributions(
        self, frame: pd.DataFrame | Seen, base: np.ndarray
    ) -> tuple[np.ndarray, pd.DataFrame]:
        """:meth:`link` and :meth:`contributions`, for which rows alike are looked for once."""
        if self._patterns is None:
            return self.link(frame, base), self.contributions(frame)
        link, told = self._patterns.link_and_contributions(values(frame, self.features).T)
        return link + self.log_scale, self._by_feature(told.T, frame)

    def _by_feature(self, told: np.ndarray, frame: pd.DataFrame | Seen) -> pd.DataFrame:
        return pd.DataFrame(told, index=frame.index, columns=list(self.features), copy=False)

    @cached_property
    def _booster(self) -> Shared:
        lgb = _lightgbm()
        try:
            return Shared(lgb.Booster(model_str=self.text))
        except lgb.basic.LightGBMError as error:
            raise ModelError("the LightGBM model text is damaged: train again or roll back") from error

    @cached_property
    def _patterns(self) -> Patterns | None:
        return Patterns.of(self._booster)


def _lightgbm() -> Any:
    """With scikit-learn, which it brings along, it takes as long to import as all else together."""
    import lightgbm  # noqa: PLC0415

    return lightgbm


def fit_boosted(
    target: Target,
    frame: pd.DataFrame,
    y: np.ndarray,
    weight: np.ndarray,
    rounds: int,
    settings: Churn,
) -> Boosted:
    """Fit `rounds` trees.

    The trees do not see BTYD's answers: the parameters of each snapshot's fit would let them recognise the
    snapshot, and with it the level of its season.

    Parameters
    ----------
    target
        Decides the objective: binary, poisson or gamma.
    frame
        Features.
    y, weight
        Outcome on the target's own scale and weight per row.
    rounds
        Trees, as found by :func:`best_rounds`.
    """
    scale = _scale(target, y, weight)
    names, lgb = tuple(frame.columns), _lightgbm()
    data = lgb.Dataset(values(frame, names), y / scale, weight=weight)
    booster = lgb.train(_params(target, settings, len(y)), data, rounds)
    return Boosted(names, booster.model_to_string(), float(np.log(scale)))


def best_rounds(
    target: Target,
    train: tuple[pd.DataFrame, np.ndarray, np.ndarray],
    valid: tuple[pd.DataFrame, np.ndarray],
    settings: Churn,
) -> int:
    """Number of trees by early stopping.

    Parameters
    ----------
    train
        (features, y, weight) of earlier snapshots.
    valid
        (features, y) of a later snapshot and other customers.
    """
    frame, y, weight = train
    later, later_y = valid
    scale = _scale(target, y, weight)
    names, lgb = tuple(frame.columns), _lightgbm()
    data = lgb.Dataset(values(frame, names), y / scale, weight=weight)
    booster = lgb.train(
        _params(target, settings, len(y)),
        data,
        settings.max_rounds,
        valid_sets=[lgb.Dataset(values(later, names), later_y / scale, reference=data)],
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
        "num_threads": 1,  # fits run side by side: see churnlab.models.learning
        "verbose": -1,
    }


def _scale(target: Target, y: np.ndarray, weight: np.ndarray) -> float:
    if target is Target.CHURN:
        return 1.0
    return max(float(np.average(y, weights=weight)), np.finfo(float).tiny)

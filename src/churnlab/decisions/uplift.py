"""Whether a model of who responds may take the place of an action's average save rate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd

from churnlab.decisions.experiment import LEVEL, adjust
from churnlab.decisions.save_rates import SaveRate
from churnlab.evaluation.uplift import Ranking, area_over_chance, auuc, best_area, qini_curve, uplift_curve
from churnlab.models.learning import customer_folds
from churnlab.models.uplift import Response, fit_response, level_for, rates_at

FEWEST = 100  # customers in each group: of fewer, no model is tried
FOLDS = 5
RESAMPLES = 400
SEED = 20_240_101  # of the resamples


@dataclass(frozen=True)
class Trial:
    """A model of who responds beside the average, on customers that it was not learned from.

    Attributes
    ----------
    n_treated, n_control
        Rows.
    features
        Columns that the model reads.
    qini, qini_average
        Qini coefficients of the order by p·γ(x), and of that by p·γ with the average save rate γ: 0 for
        customers in random order, 1 for the order that nobody knows.
    ahead, ahead_low, ahead_high
        Of the model on the average, and its 90 % interval over customers.
    qini_low, qini_high
        90 % interval of `qini`, the model's lead over chance.
    auuc, auuc_average
        Areas under the uplift curves, with axes per customer.
    response
        Learned from all rows; None where it is not adopted.
    """

    n_treated: int
    n_control: int
    features: tuple[str, ...]
    qini: float
    qini_low: float
    qini_high: float
    qini_average: float
    ahead: float
    ahead_low: float
    ahead_high: float
    auuc: float
    auuc_average: float
    response: Response | None = None

    def figures(self) -> dict[str, Any]:
        """As JSON tells them; without the model."""
        told = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "response"}
        return {**told, "features": list(self.features), "is_adopted": self.response is not None}

    @property
    def is_better(self) -> bool:
        """Than the average, and than chance: both intervals lie above 0."""
        return self.ahead_low > 0 and self.qini_low > 0


def trials(rows: pd.DataFrame, features: tuple[str, ...], rates: Mapping[str, SaveRate]) -> dict[str, Trial]:
    """:func:`tried` for every action with a save rate; one of which nothing can be learned is missing.

    Parameters
    ----------
    rows
        As :func:`tried` takes them, with action.
    rates
        By action.
    """
    judged = {
        action: tried(rows[rows["action"] == action], features, rate.save_rate)
        for action, rate in sorted(rates.items())
    }
    return {action: trial for action, trial in judged.items() if trial is not None}


def tried(rows: pd.DataFrame, features: tuple[str, ...], average: float) -> Trial | None:
    """Learn who responds to one action, and judge it on customers held back.

    Every fifth of the customers, by a digest of their id, is ranked by a model of the others. Outcomes are
    those of :func:`churnlab.decisions.experiment.adjust`, less the mean of their date.

    Parameters
    ----------
    rows
        One per customer and date of a single action: as_of, customer_id, group, retained (0 or 1), `features`
        and the covariates of :func:`churnlab.decisions.experiment.adjust`.
    features
        Columns to learn from.
    average
        The save rate of all, 0 to 1.

    Returns
    -------
    Trial
        None where a group has fewer than `FEWEST` customers, or all came back, or nobody did.
    """
    adjusted = adjust(rows, ["retained"])
    rows = adjusted.rows
    treated = (rows["group"] == "treated").to_numpy()
    fewest = min(rows.loc[side, "customer_id"].nunique() for side in (treated, ~treated))
    if fewest < FEWEST or rows["retained"].nunique() < 2:
        return None
    best = best_area(treated, adjusted.plain["retained"])
    sample = _Sample(rows, features, treated, adjusted.within_dates("retained"), average)
    fold = customer_folds(rows["customer_id"], FOLDS)
    deviations = _held_back(sample, fold)
    rated = _rated(sample, fold, deviations)
    trial = _judged(sample, rated, best)
    return replace(trial, response=_adopted(sample, deviations)) if trial.is_better else trial


@dataclass(frozen=True)
class _Sample:
    """The rows of an action in an order of their own; arrays have an entry per row."""

    rows: pd.DataFrame
    features: tuple[str, ...]
    treated: np.ndarray
    residual: np.ndarray
    average: float

    @property
    def p(self) -> np.ndarray:
        return self.rows["churn_probability"].to_numpy(float)

    def fit(self, kept: np.ndarray) -> Response:
        return fit_response(
            self.rows[kept], self.features, self.treated[kept], self.residual[kept], self.average
        )

    def level(self, deviations: np.ndarray) -> float:
        """At which the treated are kept as often, all together, as by the average."""
        weight = np.where(self.treated, self.p, 0.0)
        return level_for(self.average, deviations, weight if weight.any() else self.treated * 1.0)


def _held_back(sample: _Sample, fold: np.ndarray) -> np.ndarray:
    """What models of the other customers say of each fold."""
    deviations = np.zeros(len(fold))
    for number in range(FOLDS):
        own = fold == number
        deviations[own] = sample.fit(~own).deviations(sample.rows[own])
    return deviations


def _trust(sample: _Sample, deviations: np.ndarray, kept: np.ndarray) -> float:
    """How much of the deviations shows in outcomes, 0 to 1.

    The slope of the best linear predictor of the effect (Chernozhukov, Demirer, Duflo & Fernández-Val 2018,
    "Generic machine learning inference on heterogeneous treatment effects", NBER working paper 24678).
    """
    contrast = (sample.treated - sample.treated.mean()) * sample.p
    told = np.column_stack([contrast, contrast * deviations])[kept]
    slope = np.linalg.lstsq(told, sample.residual[kept], rcond=1e-9)[0][1]
    return float(np.clip(slope, 0.0, 1.0))


def _rated(sample: _Sample, fold: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    """Save rates of customers held back; the trust in each fold is learned on the others too."""
    shrunk = deviations.copy()
    for number in range(FOLDS):
        own = fold == number
        shrunk[own] *= _trust(sample, deviations, ~own)
    return rates_at(sample.level(shrunk), shrunk)


def _judged(sample: _Sample, rated: np.ndarray, best: float) -> Trial:
    rankings = [Ranking.of(sample.p * rate) for rate in (rated, np.full(len(rated), sample.average))]
    found = _qinis(sample, rankings, None) / best
    drawn = np.array([_qinis(sample, rankings, weight) for weight in _resamples(sample.rows)]) / best
    (qini_low, qini_high), (ahead_low, ahead_high) = (
        np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        for values in (drawn[:, 0], drawn[:, 0] - drawn[:, 1])
    )
    areas = [auuc(uplift_curve(ranking, sample.treated, sample.residual)) for ranking in rankings]
    return Trial(
        n_treated=int(sample.treated.sum()),
        n_control=int((~sample.treated).sum()),
        features=sample.features,
        qini=float(found[0]),
        qini_low=float(qini_low),
        qini_high=float(qini_high),
        qini_average=float(found[1]),
        ahead=float(found[0] - found[1]),
        ahead_low=float(ahead_low),
        ahead_high=float(ahead_high),
        auuc=areas[0],
        auuc_average=areas[1],
    )


def _qinis(sample: _Sample, rankings: list[Ranking], weight: np.ndarray | None) -> np.ndarray:
    return np.array(
        [area_over_chance(qini_curve(one, sample.treated, sample.residual, weight)) for one in rankings]
    )


def _resamples(rows: pd.DataFrame) -> Iterator[np.ndarray]:
    """How often each row counts: customers are drawn, with all their dates."""
    customer, distinct = pd.factorize(rows["customer_id"])
    rng, n = np.random.default_rng(SEED), len(distinct)
    for _ in range(RESAMPLES):
        yield np.bincount(rng.integers(0, n, n), minlength=n)[customer].astype(float)


def _adopted(sample: _Sample, deviations: np.ndarray) -> Response:
    """Learned from everybody, trusted as far as models of others could be."""
    everybody = np.ones(len(sample.rows), dtype=bool)
    response = sample.fit(everybody)
    trust = _trust(sample, deviations, everybody)
    level = sample.level(trust * response.deviations(sample.rows))
    return replace(response, trust=trust, level=level)

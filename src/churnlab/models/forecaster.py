"""Learns the three targets from rolling snapshots: members, their blend, and the level."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from churnlab.config import Churn
from churnlab.models.blend import BTYD_ALONE, Blend, fit_blend
from churnlab.models.churn import Boosted, best_rounds, fit_boosted
from churnlab.models.linear import Linear, fit_linear
from churnlab.models.targets import Target
from churnlab.models.value import SpendSpread, fit_spread

FOLDS = 3
FEWEST_ROWS = 200
FEWEST_OF_A_KIND = 20
CALIBRATION_SNAPSHOTS = 3  # one alone takes a passing month for the level
SNAPSHOT_HALF_LIFE = 6.0  # snapshots after which a row counts half
SPEND_CAP_QUANTILE = 0.998
# Totals that keep growing with a customer's age: of no use to a learner that has never seen such ages.
GROWING = ("T", "recency", "frequency", "paid_repeats", "total_spend")
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Forecaster:
    """Members and blends of the three targets.

    Attributes
    ----------
    members
        Target to member name to fitted learner; empty where BTYD stands alone.
    blends
        Target to blend.
    level
        What expected spend is multiplied by, so that its sum was right on the calibration snapshot.
    spread
        How actual spend of active customers scattered around the expected one.
    base_mean
        Mean BTYD churn logit of the newest snapshot: contributions are told against it.
    notes
        Reservations in plain words, for the output.
    """

    members: dict[Target, dict[str, Linear | Boosted]]
    blends: dict[Target, Blend]
    level: float
    spread: SpendSpread
    base_mean: float
    notes: tuple[str, ...]

    def mean(self, target: Target, features: pd.DataFrame, btyd: pd.DataFrame) -> np.ndarray:
        """The target's expectation per row, from features and the BTYD columns of the same horizon."""
        return target.mean(self.link(target, features, btyd))

    def link(self, target: Target, features: pd.DataFrame, btyd: pd.DataFrame) -> np.ndarray:
        """The same on the link scale."""
        base = target.base(btyd)
        links = _links(self.members[target], features, base)
        return self.blends[target].link(links, base.mean(axis=1))

    def contributions(self, features: pd.DataFrame, btyd: pd.DataFrame) -> pd.DataFrame:
        """Each feature's part of the final churn logit, summed over the members as they are blended."""
        base = Target.CHURN.base(btyd)
        blend = self.blends[Target.CHURN]
        members = self.members[Target.CHURN]
        own = blend.share("btyd") + 1 - blend.trust
        total = pd.DataFrame({"btyd": own * (base.mean(axis=1) - self.base_mean)}, index=features.index)
        for name, model in members.items():
            if blend.share(name) > 0:
                part = model.contributions(features, base) * blend.share(name)
                total = total.add(part, fill_value=0.0)
        return total


def fit_forecaster(training: pd.DataFrame, features: list[str], settings: Churn) -> Forecaster:
    """Learn from snapshots whose outcomes are known.

    Trees are counted on a later snapshot and other customers than they were grown on. Weights, calibration,
    trust and level are learned on the still later newest snapshots, from answers to customers whom the
    learners had never seen. Then the learners are fitted again on everything.

    Parameters
    ----------
    training
        One row per customer and cutoff: customer_id, cutoff, `features`, BTYD columns, churned, n_purchases,
        spend.
    features
        Columns that learners may read.
    settings
        The `churn` section.
    """
    notes = _shortfalls(training)
    if notes:
        return _without_learners(tuple(notes))
    rows = _Rows.of(training, features)
    members, blends, held_out = {}, {}, {}
    for target in Target:
        recipe = _Recipe(target, rows, settings)
        held_out[target], blends[target] = recipe.blend()
        members[target] = recipe.fit(np.ones(len(rows.weight), dtype=bool))
    level = _level(rows, held_out)
    base_mean = float(Target.CHURN.base(rows.btyd)[rows.newest].mean())
    return Forecaster(members, blends, level, _spread(rows, held_out, level), round(base_mean, 8), ())


def btyd_alone(forecaster: Forecaster) -> Forecaster:
    """The same without learners: BTYD's answers, level and spread kept."""
    return replace(forecaster, members={t: {} for t in Target}, blends=dict.fromkeys(Target, BTYD_ALONE))


def _without_learners(notes: tuple[str, ...]) -> Forecaster:
    members: dict[Target, dict[str, Linear | Boosted]] = {t: {} for t in Target}
    return Forecaster(members, dict.fromkeys(Target, BTYD_ALONE), 1.0, _no_spread(), 0.0, notes)


def usable_features(training: pd.DataFrame, current: pd.DataFrame, names: list[str]) -> list[str]:
    """Names without the totals that lie outside what training has seen for most of today's customers."""
    low, high = training["T"].min(), training["T"].max()
    overlap = current["T"].between(low, high).mean()
    return names if overlap > 0.5 else [name for name in names if name not in GROWING]


def customer_folds(customer_id: pd.Series, folds: int, salt: str = "") -> np.ndarray:
    """A stable fold 0 … folds-1 per customer, the same on every engine and in any order."""
    ids = customer_id.astype(str)
    unique = ids.unique()
    digest = {c: int.from_bytes(hashlib.md5((salt + c).encode()).digest()[:8], "big") % folds for c in unique}
    return ids.map(digest).to_numpy(int)


@dataclass(frozen=True)
class _Rows:
    """The training frame, taken apart once."""

    features: pd.DataFrame
    btyd: pd.DataFrame
    outcomes: pd.DataFrame
    age: np.ndarray  # 0 for the newest snapshot, 1 for the one before, ...
    fold: np.ndarray
    weight: np.ndarray

    @property
    def newest(self) -> np.ndarray:
        """Rows of the snapshots on which the blend is learned and calibrated."""
        return self.age < CALIBRATION_SNAPSHOTS

    @classmethod
    def of(cls, training: pd.DataFrame, features: list[str]) -> _Rows:
        training = training.reset_index(drop=True)
        newest_first = {day: k for k, day in enumerate(sorted(training["cutoff"].unique(), reverse=True))}
        age = training["cutoff"].map(newest_first).to_numpy(int)
        btyd = [
            n for n in training.columns if n.startswith("btyd_") or n in ("expected_order_value", "p_alive")
        ]
        return cls(
            training[features],
            training[btyd],
            training[["churned", "n_purchases", "spend"]],
            age,
            customer_folds(training["customer_id"], FOLDS),
            0.5 ** (age / SNAPSHOT_HALF_LIFE),
        )


@dataclass(frozen=True)
class _Recipe:
    """How one target's learners are fitted and blended."""

    target: Target
    rows: _Rows
    settings: Churn

    def blend(self) -> tuple[np.ndarray, Blend]:
        """Answers to held-out customers on the newest snapshots, and the blend learned from them."""
        rows, target = self.rows, self.target
        newest = rows.newest
        base = target.base(rows.btyd)
        names = [*self.settings.members, "btyd"]
        links = {name: np.zeros(len(rows.age)) for name in names}
        for fold in range(FOLDS):
            seen = rows.fold != fold
            held = newest & (rows.fold == fold)
            answers = _links(self.fit(seen), rows.features[held], base[held])
            for name in names:
                links[name][held] = answers[name]
        learn = newest & target.learnable(rows.outcomes)
        y = target.observed(rows.outcomes)
        mean_base = base.mean(axis=1)
        calibrate = self.settings.probability_calibration != "none"
        blend = fit_blend(
            target, {n: z[learn] for n, z in links.items()}, mean_base[learn], y[learn], calibrate
        )
        return blend.link({n: z[newest] for n, z in links.items()}, mean_base[newest]), blend

    def fit(self, seen: np.ndarray) -> dict[str, Linear | Boosted]:
        """The learners, from the rows `seen`."""
        rows, target = self.rows, self.target
        learn = seen & target.learnable(rows.outcomes)
        y = target.observed(rows.outcomes)[learn]
        if target is Target.SPEND:
            y = np.minimum(y, np.quantile(y, SPEND_CAP_QUANTILE))
        given = (rows.features[learn], target.base(rows.btyd[learn]), y, rows.weight[learn])
        fitted: dict[str, Linear | Boosted] = {}
        if "linear" in self.settings.members:
            penalty = getattr(self.settings.linear_penalty, target.value)
            fitted["linear"] = fit_linear(target, *given, penalty)
        if "lightgbm" in self.settings.members:
            fitted["lightgbm"] = fit_boosted(target, *given, self._rounds, self.settings)
        return fitted

    @cached_property
    def _rounds(self) -> int:
        """Trees by early stopping: grown on the oldest snapshots, checked on a later one, other customers."""
        rows, target = self.rows, self.target
        checked = min(CALIBRATION_SNAPSHOTS, int(rows.age.max()))
        older = rows.age > checked if (rows.age > checked).any() else rows.age >= checked
        learnable = target.learnable(rows.outcomes)
        train = older & (rows.fold != 0) & learnable
        valid = (rows.age == checked) & (rows.fold == 0) & learnable
        base, y = target.base(rows.btyd), target.observed(rows.outcomes)
        return best_rounds(
            target,
            (rows.features[train], base[train], y[train], rows.weight[train]),
            (rows.features[valid], base[valid], y[valid]),
            self.settings,
        )


def _links(
    members: dict[str, Linear | Boosted], features: pd.DataFrame, base: np.ndarray
) -> dict[str, np.ndarray]:
    links = {name: model.link(features, base) for name, model in members.items()}
    return {**links, "btyd": base.mean(axis=1)}


def _level(rows: _Rows, held_out: dict[Target, np.ndarray]) -> float:
    """Actual over expected spend on the calibration snapshot: gamma and logit fits keep ratios, not sums."""
    p_churn, active = Target.CHURN.mean(held_out[Target.CHURN]), Target.SPEND.mean(held_out[Target.SPEND])
    actual = rows.outcomes["spend"].to_numpy(float)[rows.newest].sum()
    expected = ((1 - p_churn) * active).sum()
    return round(float(actual / expected), 8) if actual > 0 and expected > 0 else 1.0


def _spread(rows: _Rows, held_out: dict[Target, np.ndarray], level: float) -> SpendSpread:
    """Scatter of actual around expected spend, on the active customers of the calibration snapshot."""
    newest = rows.outcomes[rows.newest]
    expected = Target.SPEND.mean(held_out[Target.SPEND]) * level
    purchases = (1 - Target.CHURN.mean(held_out[Target.CHURN])) * (
        1 + Target.REPEATS.mean(held_out[Target.REPEATS])
    )
    return fit_spread(
        newest["spend"].to_numpy(float), expected, purchases, (newest["churned"] == 0).to_numpy()
    )


def _no_spread() -> SpendSpread:
    nothing = np.zeros(0)
    return fit_spread(nothing, nothing, nothing, np.zeros(0, dtype=bool))


def _shortfalls(training: pd.DataFrame) -> list[str]:
    """Why nothing can be learned beyond BTYD, if so."""
    if training.empty:
        return ["history is too short for a single labelled snapshot: BTYD models alone"]
    newest = training[training["cutoff"] == training["cutoff"].max()]
    stayed = int((newest["churned"] == 0).sum())
    fewest = min(stayed, len(newest) - stayed)
    if len(newest) < FEWEST_ROWS or fewest < FEWEST_OF_A_KIND:
        return [
            f"the newest snapshot has {len(newest)} customers, {stayed} of them active after it "
            f"(needed: {FEWEST_ROWS} customers, {FEWEST_OF_A_KIND} of each kind): BTYD models alone"
        ]
    return []

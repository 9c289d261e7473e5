"""Learns the forecaster from snapshots whose outcomes are known."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from churnlab.config import Churn
from churnlab.features.gates import FEWEST_OF_A_KIND, FEWEST_ROWS
from churnlab.features.plan import LONGEST_SEASON_DAYS, YEAR_DAYS, LearningPlan
from churnlab.models.blend import Blend, fit_blend
from churnlab.models.churn import best_rounds, fit_boosted
from churnlab.models.forecaster import Forecaster, Members, links, without_learners
from churnlab.models.linear import fit_linear
from churnlab.models.season import Level, level_of, season_shift
from churnlab.models.targets import Target
from churnlab.models.value import SpendSpread, fit_spread

FOLDS = 3
SNAPSHOT_HALF_LIFE = 6.0  # snapshots after which a row counts half
SPEND_CAP_QUANTILE = 0.998
RECENCY_PENALTY = 1.0
LEAST_SHIFT = 0.01  # a season of less is none
UNSTEADY = 0.2
# Totals that keep growing with a customer's age: of no use to a learner that has never seen such ages.
GROWING = ("T", "recency", "frequency", "paid_repeats", "total_spend", "days_since_signup", "referrals")


def fit_forecaster(
    training: pd.DataFrame, features: list[str], plan: LearningPlan, settings: Churn
) -> Forecaster:
    """Learn members, blends, level and season.

    Trees are counted on a later snapshot and other customers than they were grown on. Weights, calibration,
    trust and level are learned on the still later calibration snapshots, from answers to customers whom the
    learners had never seen. Then the learners are fitted again on everything.

    Parameters
    ----------
    training
        One row per customer and cutoff: customer_id, cutoff, `features`, BTYD columns, churned, n_purchases,
        spend.
    features
        Columns that learners may read.
    plan
        Which snapshots calibrate, and which lie a year before.
    settings
        The `churn` section.
    """
    notes = _shortfalls(training)
    if notes:
        return without_learners(tuple(notes))
    rows = _Rows.of(training, features, plan)
    del training  # as large as memory bears: the fits need the room
    recipes = {target: _Recipe(target, rows, settings) for target in Target}
    fitted = _fit_all(recipes, settings.threads)
    members, blends, season, answers = {}, {}, {}, {}
    for target, recipe in recipes.items():
        members[target] = fitted[target, None]
        answers[target], blends[target] = recipe.blend([fitted[target, fold] for fold in range(FOLDS)])
        season[target] = round(recipe.season(answers[target]), 8)
    held_out = {target: link[rows.calibration] for target, link in answers.items()}
    level = _level(rows, held_out)
    return Forecaster(
        members=members,
        blends=blends,
        level=level,
        season=season,
        spread=_spread(rows, held_out, level),
        notes=(*_reservations(plan, season), *_unsteady(rows, held_out)),
    )


def _fit_all(recipes: dict[Target, _Recipe], threads: int) -> dict[tuple[Target, int | None], Members]:
    """The learners of every target, without each fold in turn and from all rows (fold None).

    The fits know nothing of each other, so that the answers do not depend on `threads`.
    """
    jobs = [(target, fold) for target in recipes for fold in (*range(FOLDS), None)]
    # one thread per fit: sums then come out alike on every machine
    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        rounds = dict(zip(recipes, pool.map(lambda target: recipes[target].rounds(), recipes), strict=True))
        fits = pool.map(lambda job: recipes[job[0]].fit(job[1], rounds[job[0]]), jobs)
        return dict(zip(jobs, fits, strict=True))


def usable_features(training: pd.DataFrame, current: pd.DataFrame, names: list[str]) -> list[str]:
    """Names without the totals that lie outside what training has seen for most of today's customers."""
    low, high = training["T"].min(), training["T"].max()
    overlap = current["T"].between(low, high).mean()
    return names if overlap > 0.5 else [name for name in names if name not in GROWING]


def customer_folds(customer_id: pd.Series, folds: int) -> np.ndarray:
    """A stable fold 0 … folds-1 per customer, the same on every engine and in any order."""
    ids = customer_id.astype(str)
    unique = ids.unique()
    digest = {c: int.from_bytes(hashlib.md5(c.encode()).digest()[:8], "big") % folds for c in unique}
    return ids.map(digest).to_numpy(int)


@dataclass(frozen=True)
class _Rows:
    """The training frame, taken apart once. Masks and arrays have one entry per row."""

    features: pd.DataFrame
    btyd: pd.DataFrame
    outcomes: pd.DataFrame
    customer: np.ndarray
    fold: np.ndarray
    weight: np.ndarray
    day: np.ndarray  # cutoff of the row's snapshot
    calibration: np.ndarray
    tuning: np.ndarray  # the snapshot on which trees are counted
    older: np.ndarray  # those on which they are grown meanwhile
    year_before: np.ndarray
    same_season: np.ndarray  # of those the one before the window that is forecast

    @classmethod
    def of(cls, training: pd.DataFrame, features: list[str], plan: LearningPlan) -> _Rows:
        training = training.reset_index(drop=True)
        day = training["cutoff"].dt.date.to_numpy()
        newest_first = {cutoff: k for k, cutoff in enumerate(sorted(set(day), reverse=True))}
        age = np.array([newest_first[cutoff] for cutoff in day])
        calibration = _on(day, plan.calibration)
        # the newest one before those that calibrate; where there is none, the oldest of them
        tuning = int(min(age[~calibration], default=age.max()))
        older = age > tuning if (age > tuning).any() else age >= tuning
        btyd = [
            n for n in training.columns if n.startswith("btyd_") or n in ("expected_order_value", "p_alive")
        ]
        return cls(
            features=training[features],
            btyd=training[btyd],
            outcomes=training[["churned", "n_purchases", "spend"]],
            customer=training["customer_id"].to_numpy(),
            fold=customer_folds(training["customer_id"], FOLDS),
            weight=0.5 ** (age / SNAPSHOT_HALF_LIFE),
            day=day,
            calibration=calibration,
            tuning=age == tuning,
            older=older,
            year_before=_on(day, plan.year_before),
            same_season=_on(day, plan.year_before[:1]),
        )


@dataclass(frozen=True)
class _Recipe:
    """How one target's learners are fitted and blended."""

    target: Target
    rows: _Rows
    settings: Churn

    def blend(self, without_fold: list[Members]) -> tuple[np.ndarray, Blend]:
        """The blend, and its answers to held-out customers (NaN on snapshots where nobody asks).

        `without_fold` are the learners that have not seen fold 0, 1, ...
        """
        rows, target = self.rows, self.target
        asked = rows.calibration | rows.year_before
        base = target.base(rows.btyd)
        mean_base = base.mean(axis=1)
        held_out: dict[str, np.ndarray] = {}
        for fold, learners in enumerate(without_fold):
            held = asked & (rows.fold == fold)
            for name, answer in links(learners, rows.features[held], base[held]).items():
                held_out.setdefault(name, np.full(len(held), np.nan))[held] = answer
        learn = rows.calibration & target.learnable(rows.outcomes)
        blend = fit_blend(
            target,
            {name: held_out[name][learn] for name in self._blended},
            mean_base[learn],
            target.observed(rows.outcomes)[learn],
            rows.customer[learn],
            self.settings.probability_calibration != "none",
        )
        return blend.link(held_out, mean_base), blend

    def fit(self, without: int | None, rounds: int) -> Members:
        """The learners, from every fold but one, or from all."""
        rows, target = self.rows, self.target
        learn = target.learnable(rows.outcomes) & (rows.fold != (-1 if without is None else without))
        y = target.observed(rows.outcomes)[learn]
        if target is Target.SPEND:
            y = np.minimum(y, np.quantile(y, SPEND_CAP_QUANTILE))
        if target is Target.REPEATS:
            y = _never_nought(y)
        frame, base, weight = rows.features[learn], target.base(rows.btyd[learn]), rows.weight[learn]
        fitted: Members = {}
        for name in self._learners:
            if name == "linear":
                penalty = getattr(self.settings.linear_penalty, target.value)
                fitted[name] = fit_linear(target, frame, base, y, weight, penalty)
            elif name == "recency":
                silence = frame[["days_since_last_order"]]
                fitted[name] = fit_linear(target, silence, base[:, :0], y, weight, RECENCY_PENALTY)
            else:
                fitted[name] = fit_boosted(target, frame, y, weight, rounds, self.settings)
        return fitted

    def season(self, link: np.ndarray) -> float:
        """What the season of the forecast window adds to the link."""
        rows, target = self.rows, self.target
        y, learn = target.observed(rows.outcomes), target.learnable(rows.outcomes)

        def level_on(mask: np.ndarray) -> Level | None:
            return level_of(target, link[mask & learn], y[mask & learn])

        same_season = level_on(rows.same_season)
        if same_season is None:
            return 0.0
        days = sorted(set(rows.day[rows.calibration]))
        levels = [
            (level_on(rows.day == day - timedelta(days=YEAR_DAYS)), level_on(rows.day == day)) for day in days
        ]
        return season_shift(same_season, [(before, now) for before, now in levels if before and now])

    @property
    def _learners(self) -> list[str]:
        """Silence alone says little about how much an active customer buys."""
        return [name for name in self.settings.members if name != "recency" or self.target is Target.CHURN]

    @property
    def _blended(self) -> list[str]:
        """BTYD × Gamma-Gamma ranks spend so much worse that it serves the guard alone."""
        learners = self._learners
        return learners if self.target is Target.SPEND and learners else [*learners, "btyd"]

    def rounds(self) -> int:
        """Trees by early stopping: grown on the oldest snapshots, checked on a later one, other customers."""
        if "lightgbm" not in self._learners:
            return 0
        rows, target = self.rows, self.target
        learnable = target.learnable(rows.outcomes)
        train = rows.older & (rows.fold != 0) & learnable
        valid = rows.tuning & (rows.fold == 0) & learnable
        y = target.observed(rows.outcomes)
        grown = _never_nought(y[train]) if target is Target.REPEATS else y[train]
        return best_rounds(
            target,
            (rows.features[train], grown, rows.weight[train]),
            (rows.features[valid], y[valid]),
            self.settings,
        )


def _never_nought(y: np.ndarray) -> np.ndarray:
    """Where nobody bought twice in a window, half a purchase among them all: nought has no logarithm."""
    return y if y.any() else np.full(len(y), 0.5 / max(len(y), 1))


def _on(day: np.ndarray, wanted: tuple[date, ...]) -> np.ndarray:
    """Rows whose snapshot is one of `wanted`."""
    return np.array([cutoff in wanted for cutoff in day], dtype=bool)


def _level(rows: _Rows, held_out: dict[Target, np.ndarray]) -> float:
    """Actual over expected spend on the calibration snapshots: gamma and logit fits keep ratios, not sums."""
    p_churn, active = Target.CHURN.mean(held_out[Target.CHURN]), Target.SPEND.mean(held_out[Target.SPEND])
    actual = rows.outcomes["spend"].to_numpy(float)[rows.calibration].sum()
    expected = ((1 - p_churn) * active).sum()
    return round(float(actual / expected), 8) if actual > 0 and expected > 0 else 1.0


def _unsteady(rows: _Rows, held_out: dict[Target, np.ndarray]) -> list[str]:
    """A warning where actual over expected spend moved much from one calibration snapshot to another."""
    expected = (1 - Target.CHURN.mean(held_out[Target.CHURN])) * Target.SPEND.mean(held_out[Target.SPEND])
    sums = (
        rows.outcomes[rows.calibration]
        .assign(expected=expected)
        .groupby(rows.day[rows.calibration])[["spend", "expected"]]
        .sum()
    )
    ratios = (sums["spend"] / sums["expected"]).to_numpy()
    if ratios.min() <= 0 or ratios.max() / ratios.min() < 1 + UNSTEADY:
        return []
    return [
        f"level: over the last {len(ratios)} windows learned from, spend against forecast moved by "
        f"{ratios.max() / ratios.min() - 1:.0%} (season, trend or chance): totals may be off by as much"
    ]


def _spread(rows: _Rows, held_out: dict[Target, np.ndarray], level: float) -> SpendSpread:
    """Scatter of actual around expected spend, on the active customers of the calibration snapshots."""
    seen = rows.outcomes[rows.calibration]
    expected = Target.SPEND.mean(held_out[Target.SPEND]) * level
    purchases = (1 - Target.CHURN.mean(held_out[Target.CHURN])) * (
        1 + Target.REPEATS.mean(held_out[Target.REPEATS])
    )
    return fit_spread(seen["spend"].to_numpy(float), expected, purchases, (seen["churned"] == 0).to_numpy())


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


def _reservations(plan: LearningPlan, season: dict[Target, float]) -> tuple[str, ...]:
    """What a reader of the forecasts should know of how they were learned."""
    notes = []
    if plan.label_days < plan.horizon_days:
        notes.append(
            f"the history is too short to learn {plan.horizon_days} days ahead: learned on windows of "
            f"{plan.label_days} days and carried over by the BTYD models"
        )
    if plan.year_before and any(abs(shift) >= LEAST_SHIFT for shift in season.values()):
        odds, spend = np.exp(-season[Target.CHURN]), np.exp(season[Target.SPEND])
        notes.append(
            "season: as a year before, the odds of a purchase are taken to be "
            f"{odds:.2f} times and the spend of an active customer {spend:.2f} times those of recent months"
        )
    elif plan.year_before:
        notes.append(
            "season: the same days a year before stand out no more than chance would have it, "
            "so the level of recent months is carried on"
        )
    elif plan.horizon_days <= LONGEST_SEASON_DAYS:
        notes.append(
            f"season: the log does not show these {plan.horizon_days} days a year before, "
            "so the level of recent months is carried on; before a high season expect more than is forecast"
        )
    return tuple(notes)

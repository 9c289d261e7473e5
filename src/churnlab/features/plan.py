"""What is learned from one history: cutoffs, label window, columns, unit of money."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

from churnlab.config import Evaluation, Features
from churnlab.errors import DataError
from churnlab.features.outcomes import outcomes
from churnlab.features.sample import Sample, sample_within
from churnlab.features.signals import NOTHING, Signals
from churnlab.features.snapshots import feature_spec, money_scale_at, snapshot, snapshot_cutoffs
from churnlab.features.spec import FeatureSpec

if TYPE_CHECKING:
    import ibis.expr.types as ir

# Share of a short history that the label window takes when the horizon itself does not fit.
SHORT_LABEL_SHARE = 0.45
FEWEST_HISTORY_DAYS = 28
CALIBRATION_SNAPSHOTS = 3  # one alone takes a passing month for the level
YEAR_DAYS = 364  # whole weeks: Mondays meet Mondays
LONGEST_SEASON_DAYS = 182  # a longer horizon holds most of the year, whatever its season


@dataclass(frozen=True)
class OutcomeWindows:
    """Which days are learned from; the attributes are those of :class:`LearningPlan`."""

    label_days: int
    snapshots: tuple[date, ...]
    calibration: tuple[date, ...]
    year_before: tuple[date, ...]


@dataclass(frozen=True)
class LearningPlan:
    """How to learn at one cutoff.

    Attributes
    ----------
    cutoff
        Last day that is known.
    horizon_days
        Length of the forecast.
    label_days
        Length of the outcome windows learned from: the horizon, or less where history is short.
    snapshots
        Cutoffs of the past, newest first; each window (snapshot, snapshot + label_days] ends by `cutoff`.
    calibration
        Those of them, the newest, on which the blend is learned.
    year_before
        Those of them that lie a year before the cutoff or before a calibration snapshot: from them the level
        of the season is learned. Empty if the log does not reach back a year before the cutoff.
    spec
        Columns of every snapshot.
    money_scale
        Unit in which models see money: the median purchase-day value of the customers learned from.
    sample
        The customers learned from; None: all.
    """

    cutoff: date
    horizon_days: int
    label_days: int
    snapshots: tuple[date, ...]
    calibration: tuple[date, ...]
    year_before: tuple[date, ...]
    spec: FeatureSpec
    money_scale: float
    sample: Sample | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of who was learned from."""
        return () if self.sample is None else (self.sample.note,)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            "cutoff": self.cutoff.isoformat(),
            "horizon_days": self.horizon_days,
            "label_days": self.label_days,
            "snapshots": [day.isoformat() for day in self.snapshots],
            "calibration": [day.isoformat() for day in self.calibration],
            "year_before": [day.isoformat() for day in self.year_before],
            "spec": self.spec.to_dict(),
            "money_scale": self.money_scale,
            **({} if self.sample is None else {"sample": self.sample.to_dict()}),
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> LearningPlan:
        """The inverse of :meth:`to_dict`."""
        return cls(
            cutoff=date.fromisoformat(saved["cutoff"]),
            horizon_days=saved["horizon_days"],
            label_days=saved["label_days"],
            snapshots=tuple(date.fromisoformat(day) for day in saved["snapshots"]),
            calibration=tuple(date.fromisoformat(day) for day in saved["calibration"]),
            year_before=tuple(date.fromisoformat(day) for day in saved["year_before"]),
            spec=FeatureSpec.from_dict(saved["spec"]),
            money_scale=saved["money_scale"],
            sample=Sample(**saved["sample"]) if "sample" in saved else None,
        )


def learning_plan(
    orders: ir.Table, cutoff: date, horizon_days: int, settings: Features, signals: Signals = NOTHING
) -> LearningPlan:
    """Lay out the snapshots that the history up to `cutoff` and the budget of rows allow.

    Raises
    ------
    DataError
        There is no purchase up to the cutoff.
    """
    known = orders.filter(orders.day <= cutoff)
    first = known.filter(known.is_purchase).day.min().to_pyarrow().as_py()
    if first is None:
        raise DataError(f"orders: no purchase up to {cutoff}: choose a later cutoff")
    windows = outcome_windows(first, cutoff, horizon_days, settings)
    earliest = (min([*windows.snapshots, cutoff]) - first).days + 1
    sample = sample_within(known, [*windows.snapshots, cutoff], settings.max_training_rows)
    return LearningPlan(
        cutoff=cutoff,
        horizon_days=horizon_days,
        label_days=windows.label_days,
        snapshots=windows.snapshots,
        calibration=windows.calibration,
        year_before=windows.year_before,
        spec=feature_spec(known, settings, earliest, horizon_days, signals),
        money_scale=money_scale_at(known if sample is None else sample.of(known), cutoff),
        sample=sample,
    )


def learned_from(orders: ir.Table, plan: LearningPlan) -> ir.Table:
    """The orders of the customers learned from; those of a sample are set down as a table once."""
    return orders if plan.sample is None else plan.sample.of(orders).cache()


def outcome_windows(first: date, cutoff: date, horizon_days: int, settings: Features) -> OutcomeWindows:
    """The windows that fit between the first purchase and the cutoff."""
    history = (cutoff - first).days + 1
    label_days = horizon_days
    snapshots = snapshot_cutoffs(first, cutoff, label_days, settings)
    if not snapshots:
        label_days = max(int(SHORT_LABEL_SHARE * history), 1)
        oldest = min(settings.min_history_days, max(FEWEST_HISTORY_DAYS, history // 3))
        shorter = settings.model_copy(update={"min_history_days": oldest})
        snapshots = snapshot_cutoffs(first, cutoff, label_days, shorter)
    calibration = tuple(snapshots[:CALIBRATION_SNAPSHOTS])
    year_before: tuple[date, ...] = ()
    if label_days == horizon_days <= LONGEST_SEASON_DAYS:
        year_before = _year_before(first, cutoff, calibration, settings)
    days = tuple(sorted({*snapshots, *year_before}, reverse=True))
    return OutcomeWindows(label_days, days, calibration, year_before)


def backtest_cutoffs(
    first: date, as_of: date, horizon_days: int, features: Features, evaluation: Evaluation
) -> list[date]:
    """Days to forecast from in the backtest, newest first; none if the history is too short for one.

    The newest is one horizon before `as_of`, the others origin_step_days apart; each has min_history_days
    before it.
    """
    newest = as_of - timedelta(days=horizon_days)
    wanted = [newest - timedelta(days=k * evaluation.origin_step_days) for k in range(evaluation.origins)]
    return [day for day in wanted if (day - first).days + 1 >= features.min_history_days]


def _year_before(
    first: date, cutoff: date, calibration: tuple[date, ...], settings: Features
) -> tuple[date, ...]:
    """The days a year before the cutoff and the calibration snapshots that have history enough."""
    oldest = first + timedelta(days=settings.min_history_days)
    days = [day - timedelta(days=YEAR_DAYS) for day in (cutoff, *calibration)]
    return tuple(day for day in days if day >= oldest) if days[0] >= oldest else ()


def labelled_snapshots(
    orders: ir.Table, plan: LearningPlan, signals: Signals = NOTHING
) -> Iterator[pd.DataFrame]:
    """One block per snapshot, newest first: customer_id, cutoff, features, churned, n_purchases, spend.

    Parameters
    ----------
    orders
        Of whom to describe: for training those of :func:`learned_from`.
    signals
        Whole: what others tell of a customer counts too.
    """
    for day in plan.snapshots:
        if day + timedelta(days=plan.label_days) > plan.cutoff:
            raise AssertionError(f"the outcomes of {day} are not known at {plan.cutoff}")
        features = snapshot(orders, day, plan.spec, plan.money_scale, signals)
        block = features.merge(
            outcomes(orders, day, plan.label_days), on="customer_id", validate="one_to_one"
        )
        block.insert(1, "cutoff", pd.Timestamp(day).as_unit("us"))
        yield block


def stacked(blocks: Iterable[pd.DataFrame], current: pd.DataFrame) -> pd.DataFrame:
    """The blocks of :func:`labelled_snapshots` below each other; without any, no row of `current`."""
    gathered = list(blocks)
    return pd.concat(gathered, ignore_index=True) if gathered else current.iloc[:0]


def current_snapshot(
    orders: ir.Table, plan: LearningPlan, as_of: date | None = None, signals: Signals = NOTHING
) -> pd.DataFrame:
    """Every customer as known at `as_of` (the plan's cutoff unless given), in the plan's columns."""
    return snapshot(orders, as_of or plan.cutoff, plan.spec, plan.money_scale, signals)


def money_columns(names: list[str]) -> list[str]:
    """The columns that are amounts of money, not ratios or counts."""
    return [
        name for name in names if name in MONEY or (name.startswith(MONEY_PREFIXES) and "_of_" not in name)
    ]


MONEY_PREFIXES = ("spend_", "decayed_spend_")
MONEY = frozenset(
    {
        "monetary_value",
        "first_order_value",
        "total_spend",
        "price_per_item",
        "spend_rate",
        "order_value_mean",
        "order_value_sd",
        "order_value_max",
        "order_value_last",
        "order_value_first",
        "order_value_geo",
        "order_value_recent",
    }
)

"""From labelled snapshots to one packaged scorer: the steps that the pipeline and the backtest share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from churnlab.config import Churn, Clv, Labels
from churnlab.features.plan import LearningPlan, money_columns
from churnlab.models.btyd import BtydModels, fit_btyd
from churnlab.models.forecaster import Forecaster
from churnlab.models.labels import Scale
from churnlab.models.learning import fit_forecaster, usable_features
from churnlab.models.reasons import PLAYERS
from churnlab.models.scorer import Scorer

KEYS = ("customer_id", "cutoff")
# What purchase and spend models read of a snapshot.
BOOK_COLUMNS = (
    "cutoff",
    "frequency",
    "recency",
    "T",
    "monetary_value",
    "paid_repeats",
    "first_order_value",
)
NO_GAP_DAYS = 36525.0  # a typical gap where nobody has bought twice: no silence is longer


@dataclass(frozen=True)
class BtydBook:
    """BTYD models of every snapshot, each fitted on that snapshot's past only.

    Attributes
    ----------
    past
        Cutoff (ISO date) to its models.
    current
        The models at the plan's cutoff.
    """

    past: dict[str, BtydModels]
    current: BtydModels

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {"past": {k: m.to_dict() for k, m in self.past.items()}, "current": self.current.to_dict()}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> BtydBook:
        """The inverse of :meth:`to_dict`."""
        past = {day: BtydModels.from_dict(models) for day, models in saved["past"].items()}
        return cls(past, BtydModels.from_dict(saved["current"]))


def in_units(frame: pd.DataFrame, plan: LearningPlan) -> pd.DataFrame:
    """The frame with money counted in the plan's unit, so that no model depends on the currency."""
    money = [*money_columns(list(frame.columns)), *(["spend"] if "spend" in frame else [])]
    return frame.assign(**{name: frame[name] / plan.money_scale for name in money})


def fit_book(
    snapshots: pd.DataFrame,
    current: pd.DataFrame,
    plan: LearningPlan,
    settings: Clv,
    progress: Callable[[str], None] = lambda _: None,
) -> BtydBook:
    """Fit the BTYD models of every snapshot and of the plan's cutoff.

    Parameters
    ----------
    snapshots
        Labelled snapshots: `BOOK_COLUMNS` at least (money in the shop's currency).
    current
        The snapshot at the plan's cutoff.
    progress
        Told the cutoff that is being fitted.

    """
    past: dict[str, BtydModels] = {}
    last_good = None
    for cutoff, block in _oldest_first(snapshots):
        progress(cutoff)
        # the last rung of the ladder is an older snapshot's model, never a newer one's
        last_good = fit_btyd(in_units(block, plan), settings.families, settings.penalizers, last_good)
        past[cutoff] = last_good
    progress(plan.cutoff.isoformat())
    now = fit_btyd(in_units(current, plan), settings.families, settings.penalizers, last_good)
    return BtydBook(past, now)


def with_btyd(snapshots: pd.DataFrame, book: BtydBook, plan: LearningPlan) -> pd.DataFrame:
    """The labelled snapshots in the plan's unit, with the BTYD columns of each snapshot's own models."""
    blocks = []
    for cutoff, block in _oldest_first(snapshots):
        units = in_units(block, plan)
        blocks.append(units.join(book.past[cutoff].columns(units, plan.label_days), validate="one_to_one"))
    return pd.concat(blocks, ignore_index=True) if blocks else snapshots.iloc[:0]


def fit_learners(
    snapshots: pd.DataFrame,
    current: pd.DataFrame,
    plan: LearningPlan,
    book: BtydBook,
    settings: Churn,
) -> Forecaster:
    """Fit members, blend and calibration on the labelled snapshots."""
    names = [name for name in current.columns if name not in KEYS]
    usable = usable_features(snapshots, current, names) if len(snapshots) else names
    return fit_forecaster(with_btyd(snapshots, book, plan), usable, plan, settings)


def assemble(
    current: pd.DataFrame,
    plan: LearningPlan,
    book: BtydBook,
    forecaster: Forecaster,
    clv: Clv,
    labels: Labels,
    data_version: str,
) -> Scorer:
    """The packaged scorer: models, plan, and the label cut points of today's base."""
    typical = {name: float(current[name].median()) for name in PLAYERS}
    gap = float(current["gap_mean_days"].median())
    typical["gap_mean_days"] = NO_GAP_DAYS if math.isnan(gap) else gap
    scorer = Scorer(plan, book.current, forecaster, 0.0, typical, clv, None, None, data_version)
    scorer = replace(scorer, carry=scorer.mean_log_growth(current))
    base = scorer.forecast(current)
    risk = Scale.fit(base["churn_probability"].to_numpy(), labels.risk_shares.model_dump(), "low")
    value = Scale.fit(base["clv"].to_numpy(), labels.value_shares.model_dump(), "low")
    return replace(scorer, risk=risk, value=value)


def _oldest_first(snapshots: pd.DataFrame) -> Iterable[tuple[str, pd.DataFrame]]:
    if snapshots.empty:
        return
    for cutoff, block in snapshots.groupby("cutoff", sort=True):
        yield f"{cutoff:%Y-%m-%d}", block.reset_index(drop=True)

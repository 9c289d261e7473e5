"""After how many days of silence a customer counts as gone: a proposal from the waits between purchases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from churnlab.config import Features
from churnlab.features.plan import outcome_windows
from churnlab.features.waits import silent_after, survival, waits_from

if TYPE_CHECKING:
    import ibis.expr.types as ir

LATE_SHARE = 0.1  # of the returns, that may come after the horizon
FEWEST_RETURNS = 30
FEWEST_AT_RISK = 30  # waits seen so long; of fewer, the curve says little
LEVELLED_SHARE = 0.5  # a window of more of what the log can show may miss returns that the log cannot show
RARE_DAYS = 365
FEW_RETURNING = 0.25  # of purchases followed by another
CANDIDATES = (28, 60, 90, 180, 365)
WEEK_DAYS = 7


@dataclass(frozen=True)
class Alternative:
    """One horizon and what it would mean; None where the log cannot show it.

    Attributes
    ----------
    horizon_days
        Length of the window.
    later_share
        Share of the returns that come more than so many days after the purchase before.
    wrongly_gone_share
        Share of the customers who come back after a past day, each counted once, that does so more than so
        many days after it: they would wrongly be called gone.
    base_churn_rate
        Share of the customers known one window before the end who did not buy in it.
    came_back_share
        Of those who were silent for the whole window before that, the share who bought in it.
    learnable_windows
        Days of the past whose window of this length is known: what learners learn from.
    """

    horizon_days: int
    later_share: float | None
    wrongly_gone_share: float | None
    base_churn_rate: float | None
    came_back_share: float | None
    learnable_windows: int


@dataclass(frozen=True)
class Suggestion:
    """A proposed horizon.

    Attributes
    ----------
    horizon_days
        Whole weeks; None where the data cannot tell.
    certain
        The log is long enough to show the returns that this rests on, and to hold three such windows.
    reasoning
        Plain sentences with the numbers.
    alternatives
        Other horizons, shortest first.
    """

    horizon_days: int | None
    certain: bool
    reasoning: tuple[str, ...]
    alternatives: tuple[Alternative, ...]


@dataclass(frozen=True)
class _History:
    """The waits as two curves of :func:`churnlab.features.waits.survival`, as far as enough of them are seen.

    `waits`: every wait between purchases; `people`: from the day `middle` on, each customer once.
    """

    first_day: date
    middle: date
    as_of: date
    waits: pd.DataFrame
    people: pd.DataFrame

    @property
    def days(self) -> int:
        return (self.as_of - self.first_day).days + 1


def suggest(
    days: ir.Table, counted: pd.DataFrame, as_of: date, first_day: date, settings: Features
) -> Suggestion:
    """Propose a horizon: the fewest whole weeks in which 90 % of the returns have come.

    It holds for the returns after a purchase, and for the customers who return after a day in the middle of
    the log, each counted once: frequent buyers, who have most of the waits, do not speak for the others. It
    is at most a third of the history: one window to know customers from, one to learn from, one to test on.

    Parameters
    ----------
    days
        customer_id, day; see :func:`churnlab.features.waits.purchase_days`.
    counted
        What :func:`churnlab.features.waits.waits` says of them.
    as_of, first_day
        Last day that is known, and that of the first purchase.
    settings
        The section `features`; its horizon_days is among the alternatives.
    """
    found = _history(days, counted, as_of, first_day)
    returns = int(found.waits["returned"].sum())
    if returns < FEWEST_RETURNS:
        told = (
            f"Only {returns:,} returns were seen ({FEWEST_RETURNS} are needed): the data cannot tell how "
            "long customers stay away. Take what is known of the trade, or a longer history.",
        )
        return Suggestion(None, False, told, alternatives(days, found, settings))
    curves = [curve for curve in (found.waits, found.people) if curve["returned"].sum() >= FEWEST_RETURNS]
    weeks, room = _whole_weeks(max(map(_needed, curves))), found.days // 3 // WEEK_DAYS * WEEK_DAYS
    chosen = min(weeks, room) if room else weeks
    levelled = all(_needed(curve) <= LEVELLED_SHARE * len(curve) for curve in curves)
    reasoning = (*_seen(found, curves), _bounds(found, weeks, chosen), *_doubts(found, weeks, levelled))
    certain = levelled and chosen == weeks
    return Suggestion(chosen, certain, reasoning, alternatives(days, found, settings, (chosen,)))


def _history(days: ir.Table, counted: pd.DataFrame, as_of: date, first_day: date) -> _History:
    middle = first_day + (as_of - first_day) // 2
    people = survival(waits_from(days, middle, as_of))
    return _History(first_day, middle, as_of, _reliable(survival(counted)), _reliable(people))


def _reliable(curve: pd.DataFrame) -> pd.DataFrame:
    return curve[curve["at_risk"] >= FEWEST_AT_RISK]


def later_share(curve: pd.DataFrame, horizon_days: int) -> float | None:
    """Of the returns that `curve` shows, the share that comes after more than `horizon_days`."""
    silent, never = silent_after(curve, horizon_days), float(curve["silent"].iloc[-1]) if len(curve) else 1.0
    return None if silent is None or never == 1.0 else (silent - never) / (1.0 - never)


def _needed(curve: pd.DataFrame, share: float = 1.0 - LATE_SHARE) -> int:
    """Days within which this share of the returns has come."""
    come = 1.0 - curve["silent"]
    return int(curve.loc[come >= share * come.iloc[-1], "days"].iloc[0])


def _whole_weeks(days: int) -> int:
    return math.ceil(days / WEEK_DAYS) * WEEK_DAYS


def _seen(found: _History, curves: Sequence[pd.DataFrame]) -> list[str]:
    waits, people = found.waits, found.people
    told = [
        f"{int(waits['returned'].sum()):,} returns were seen. Counting the silence at the end of the log as "
        f"unfinished (Kaplan-Meier), {_returning(waits):.0%} of purchases are followed by another within "
        f"{len(waits):,} days.",
        f"Half of these returns come within {_needed(waits, 0.5):,} days and {1 - LATE_SHARE:.0%} within "
        f"{_needed(waits):,} days.",
    ]
    if len(curves) > 1:
        told.append(
            f"Frequent buyers have most of these waits. Of the customers known on {found.middle}, each "
            f"counted once, {_returning(people):.0%} came back within {len(people):,} days, and "
            f"{1 - LATE_SHARE:.0%} of those within {_needed(people):,} days."
        )
    return told


def _returning(curve: pd.DataFrame) -> float:
    return 1.0 - float(curve["silent"].iloc[-1])


def _bounds(found: _History, weeks: int, chosen: int) -> str:
    wanted = f"That makes a window of {weeks:,} days in whole weeks"
    if chosen == weeks:
        return f"{wanted}; the history of {found.days:,} days is {found.days / weeks:.1f} times as long."
    late = later_share(found.people, chosen)
    share = later_share(found.waits, chosen) if late is None else late
    return (
        f"{wanted}, but the history of {found.days:,} days has room for three windows of {chosen:,} days at "
        f"most (one to know customers from, one to learn from, one to test on), so that is proposed: "
        f"{share:.0%} of those who come back come later, and would wrongly be called gone."
    )


def _doubts(found: _History, weeks: int, levelled: bool) -> list[str]:
    told = []
    if not levelled:
        told.append(
            f"The data cannot tell for certain: the log shows waits of {len(found.waits):,} days at most, "
            f"and of {len(found.people):,} days after its middle. The window takes more than half of that, "
            "so later returns may lie beyond the log, and the window may have to be longer."
        )
    if weeks > RARE_DAYS:
        told.append(
            "Purchases are rare, as of durable goods: no fixed number of days tells who is gone. Judge each "
            "customer's silence against p_alive and the life of what was bought."
        )
    if _returning(found.waits) < FEW_RETURNING:
        told.append(
            "Most purchases are followed by no other, whatever the horizon: what brings new customers back a "
            "second time matters more here than who is about to leave."
        )
    return told


def alternatives(
    days: ir.Table, found: _History, settings: Features, more: Sequence[int] = ()
) -> tuple[Alternative, ...]:
    """What the usual horizons, the one set and `more` would mean, shortest first."""
    horizons = sorted({*CANDIDATES, settings.horizon_days, *more})
    rates = _rates(days, found.as_of, horizons)
    told = []
    for horizon in horizons:
        windows = outcome_windows(found.first_day, found.as_of, horizon, settings)
        churn, came_back = rates[horizon]
        told.append(
            Alternative(
                horizon_days=horizon,
                later_share=later_share(found.waits, horizon),
                wrongly_gone_share=later_share(found.people, horizon),
                base_churn_rate=churn if horizon < found.days else None,
                came_back_share=came_back if 2 * horizon < found.days else None,
                learnable_windows=len(windows.snapshots) if windows.label_days == horizon else 0,
            )
        )
    return tuple(told)


def _rates(
    days: ir.Table, as_of: date, horizons: Sequence[int]
) -> dict[int, tuple[float | None, float | None]]:
    """Horizon to base churn rate and share that came back, measured on the last windows."""
    marks, sums = {}, {}
    for horizon in horizons:
        start, before = as_of - timedelta(days=horizon), as_of - timedelta(days=2 * horizon)
        between = ((days.day > before) & (days.day <= start)).any()
        marks[f"known_{horizon}"] = (days.day <= start).any()
        marks[f"bought_{horizon}"] = (days.day > start).any()
        marks[f"silent_{horizon}"] = (days.day <= before).any() & ~between
    each = days.group_by("customer_id").aggregate(**marks)
    for horizon in horizons:
        known, bought, silent = (each[f"{name}_{horizon}"] for name in ("known", "bought", "silent"))
        sums[f"known_{horizon}"], sums[f"gone_{horizon}"] = known.sum(), (known & ~bought).sum()
        sums[f"silent_{horizon}"], sums[f"back_{horizon}"] = silent.sum(), (silent & bought).sum()
    row = each.aggregate(**sums).to_pyarrow().to_pylist()[0]
    return {
        horizon: (
            _share(row[f"gone_{horizon}"], row[f"known_{horizon}"]),
            _share(row[f"back_{horizon}"], row[f"silent_{horizon}"]),
        )
        for horizon in horizons
    }


def _share(part: int | None, whole: int | None) -> float | None:
    return (part or 0) / whole if whole else None

"""Whether the data hold enough for each model, told before anything is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from churnlab.config import Gates, Params
from churnlab.errors import DataError
from churnlab.features.outcomes import outcomes
from churnlab.features.plan import (
    LONGEST_SEASON_DAYS,
    YEAR_DAYS,
    OutcomeWindows,
    backtest_cutoffs,
    outcome_windows,
)
from churnlab.features.rfm import rfm

if TYPE_CHECKING:
    import ibis.expr.types as ir

PURCHASES = "purchase models (BG/NBD family)"
SPEND = "spend model (Gamma-Gamma)"
LEARNERS = "churn and value learners (LightGBM, regressions)"
SEASON = "season"
BACKTEST = "backtest"

FEWEST_ROWS = 200  # customers on the newest snapshot, for learners
FEWEST_OF_A_KIND = 20  # of them who bought again, and who did not
FEWEST_OF_A_SEASON = 100  # customers on the snapshot of a year before
FEWEST_VALUES = 2  # customers with a paid repeat purchase, for Gamma-Gamma


@dataclass(frozen=True)
class Gate:
    """What one model needs and what the data hold.

    Attributes
    ----------
    model
        One of PURCHASES, SPEND, LEARNERS, SEASON, BACKTEST.
    passes
        The data hold all that is asked.
    fitted
        The model is fitted; where it is not, the stand-in that `sentence` names answers. A model may be
        fitted on less than is asked: then `passes` is False and `sentence` says what its answers rest on.
    needs, has
        What is asked and what was found, in words and numbers.
    sentence
        What is missing and what still can be done; empty where nothing is.
    fatal
        No model can say anything: training is refused.
    """

    model: str
    passes: bool
    fitted: bool
    needs: str
    has: str
    sentence: str
    fatal: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True)
class Holdings:
    """What orders hold up to a cutoff: the numbers behind the gates.

    `repeat`: customers with a second purchase day; `paid`: of them those with money on a repeat day;
    `varied`: whether these are worth different sums; `first_day`: of purchases; `silence_days`: since the
    last purchase.
    """

    customers: int
    repeat: int
    paid: int
    varied: bool
    first_day: date
    history_days: int
    silence_days: int


def gates(orders: ir.Table, cutoff: date, horizon_days: int, params: Params) -> list[Gate]:
    """One gate per model, for training at `cutoff` with this horizon.

    Parameters
    ----------
    orders
        See :func:`churnlab.features.occasions.occasions`; rows of later days are not looked at.
    cutoff
        Last day that is known.
    horizon_days
        Length of the forecast.
    params
        The sections `gates`, `features` and `evaluation` count.

    Notes
    -----
    The thresholds that decide whether a model is fitted are those of the models themselves. Those of the
    section `gates` decide how much is asked. A commercial system asks for more: at least 500 customers who
    have placed an order, at least 180 days of order history, orders within the last 30 days, and at least
    some customers with 3 or more orders (Klaviyo Academy, "Custom CLV", account pre-requisites).
    """
    held = holdings(orders, cutoff)
    if held is None:
        return [_purchases(None, cutoff, params.gates)]
    known = orders.filter(orders.day <= cutoff)
    windows = outcome_windows(held.first_day, cutoff, horizon_days, params.features)
    learners = _learners(known, held, windows, horizon_days, params)
    return [
        _purchases(held, cutoff, params.gates),
        _spend(held, params.gates),
        learners,
        _season(known, windows, horizon_days, learners.fitted),
        _backtest(known, cutoff, horizon_days, params),
    ]


def require_learnable(orders: ir.Table, cutoff: date, settings: Gates) -> None:
    """Refuse orders from which no model can learn anything.

    Raises
    ------
    DataError
        There is no purchase up to the cutoff, or fewer customers or repeat customers than the `fewest_` ones
        of the section `gates`.
    """
    refuse([_purchases(holdings(orders, cutoff), cutoff, settings)])


def refuse(found: Sequence[Gate]) -> None:
    """Raise the first fatal gate.

    Raises
    ------
    DataError
        A gate is fatal.
    """
    for gate in found:
        if gate.fatal:
            raise DataError(f"orders: {gate.sentence}")


def sentences(found: Sequence[Gate]) -> list[str]:
    """What is missing, one sentence per gate that does not pass."""
    return [f"{gate.model}: {gate.sentence}" for gate in found if not gate.passes]


def holdings(orders: ir.Table, cutoff: date) -> Holdings | None:
    """The numbers behind the gates, or None where there is no purchase up to the cutoff."""
    table = rfm(orders, cutoff)
    paid = (table.paid_repeats > 0) & (table.monetary_value > 0)
    row = table.aggregate(
        customers=table.count(),
        repeat=(table.frequency > 0).sum(),
        paid=paid.sum(),
        least=table.monetary_value.min(where=paid),
        most=table.monetary_value.max(where=paid),
        age=table["T"].max(),
        silence=table.days_since_last_order.min(),
    )
    found = row.to_pyarrow().to_pylist()[0]
    if not found["customers"]:
        return None
    age = int(found["age"])
    return Holdings(
        customers=found["customers"],
        repeat=found["repeat"],
        paid=found["paid"],
        varied=found["least"] != found["most"],
        first_day=cutoff - timedelta(days=age),
        history_days=age + 1,
        silence_days=int(found["silence"]),
    )


def _purchases(held: Holdings | None, cutoff: date, settings: Gates) -> Gate:
    needs = (
        f"{settings.min_customers:,} customers, {settings.min_repeat_customers:,} of them with a second "
        f"purchase day, and a purchase in the last {settings.max_silence_days} days"
    )
    fatal = _hopeless(held, cutoff, settings)
    if held is None:
        return Gate(PURCHASES, False, False, needs, "no purchase", fatal, fatal=True)
    has = (
        f"{held.customers:,} customers, {held.repeat:,} of them with a second purchase day, "
        f"the last purchase {held.silence_days} days before {cutoff}"
    )
    sentence = fatal or "; ".join(filter(None, [_thin(held, settings), _stale(held, cutoff, settings)]))
    return Gate(PURCHASES, not sentence, held.repeat > 0 and not fatal, needs, has, sentence, bool(fatal))


def _hopeless(held: Holdings | None, cutoff: date, settings: Gates) -> str:
    """Why nothing at all can be learned, if so."""
    if held is None:
        return f"no purchase up to {cutoff}: choose a later cutoff, or see data/quarantine.parquet"
    if held.customers < settings.fewest_customers:
        return (
            f"{held.customers} customers are too few for any model (gates.fewest_customers: "
            f"{settings.fewest_customers}): give a longer history"
        )
    if held.repeat < settings.fewest_repeat_customers:
        return (
            f"{held.repeat:,} of {held.customers:,} customers bought on a second day, so no model can tell "
            f"who comes back (gates.fewest_repeat_customers: {settings.fewest_repeat_customers}): see that "
            "data.columns.customer_id names people and not orders, or give a longer history"
        )
    return ""


def _thin(held: Holdings, settings: Gates) -> str:
    if held.repeat == 0:
        return "nobody bought on a second day: one rate for all customers stands in, dropout is not known"
    if held.customers >= settings.min_customers and held.repeat >= settings.min_repeat_customers:
        return ""
    return (
        f"fitted on {held.customers:,} customers of whom {held.repeat:,} came back "
        f"({settings.min_customers:,} and {settings.min_repeat_customers:,} are asked for): "
        "use p_alive and clv to rank customers, not to add up money"
    )


def _stale(held: Holdings, cutoff: date, settings: Gates) -> str:
    if held.silence_days <= settings.max_silence_days:
        return ""
    last = cutoff - timedelta(days=held.silence_days)
    return (
        f"no purchase in the {held.silence_days} days up to {cutoff}, so everybody looks gone: "
        f'if the data end there, set data.as_of to "{last}"'
    )


def _spend(held: Holdings, settings: Gates) -> Gate:
    needs = f"{settings.min_repeat_customers:,} customers with a paid repeat purchase, not all worth the same"
    same = "" if held.varied or held.paid < FEWEST_VALUES else ", all worth the same"
    has = f"{held.paid:,} customers with a paid repeat purchase{same}"
    fitted = held.paid >= FEWEST_VALUES and held.varied
    if not fitted:
        sentence = f"{has}: everybody gets the mean value of a purchase day, and clv tells frequency alone"
    elif held.paid < settings.min_repeat_customers:
        sentence = (
            f"fitted on {held.paid:,} customers with a paid repeat purchase "
            f"({settings.min_repeat_customers:,} are asked for): values of single customers are rough"
        )
    else:
        sentence = ""
    return Gate(SPEND, not sentence, fitted, needs, has, sentence)


def _learners(
    known: ir.Table, held: Holdings, windows: OutcomeWindows, horizon_days: int, params: Params
) -> Gate:
    asked = params.gates.min_history_horizons
    needs = (
        f"{FEWEST_ROWS} customers on the newest day learned from, {FEWEST_OF_A_KIND} of them who bought in "
        f"the window after it and {FEWEST_OF_A_KIND} who did not, and {asked * horizon_days:,} days of "
        f"history ({asked} horizons)"
    )
    if not windows.snapshots:
        enough = horizon_days + params.features.min_history_days + 1
        return _without_window(held, horizon_days, enough, needs)
    later = outcomes(known, windows.snapshots[0], windows.label_days)
    stayed = int((later["churned"] == 0).sum())
    has = (
        f"{len(later):,} customers on {windows.snapshots[0]}, {stayed:,} of whom bought in the "
        f"{windows.label_days} days after it, and {held.history_days:,} days of history"
    )
    fitted = len(later) >= FEWEST_ROWS and min(stayed, len(later) - stayed) >= FEWEST_OF_A_KIND
    sentence = (
        _short(held, windows, horizon_days, asked)
        if fitted
        else f"{has}: too few to learn from, so the purchase models alone forecast"
    )
    return Gate(LEARNERS, not sentence, fitted, needs, has, sentence)


def _without_window(held: Holdings, horizon_days: int, enough: int, needs: str) -> Gate:
    has = f"{held.history_days:,} days of history"
    sentence = (
        f"{has} hold no window to learn from: the purchase models alone forecast; "
        f"from {enough:,} days on windows of {horizon_days} days are learned from"
    )
    return Gate(LEARNERS, False, False, needs, has, sentence)


def _short(held: Holdings, windows: OutcomeWindows, horizon_days: int, asked: int) -> str:
    found = []
    if windows.label_days < horizon_days:
        found.append(
            f"learned on windows of {windows.label_days} days, for the history is too short for "
            f"{horizon_days}, and carried over by the purchase models"
        )
    if held.history_days < asked * horizon_days:
        found.append(
            f"{held.history_days:,} days of history are shorter than {asked} horizons of {horizon_days} "
            "days, so seasons and trends cannot be told apart: trust ranks more than totals, or ask for "
            f"{max(held.history_days // asked, 1)} days"
        )
    return "; ".join(found)


def _season(known: ir.Table, windows: OutcomeWindows, horizon_days: int, learned: bool) -> Gate:
    if horizon_days > LONGEST_SEASON_DAYS:
        needs = f"nothing: a horizon of over {LONGEST_SEASON_DAYS} days holds most of the year"
        return Gate(SEASON, True, False, needs, f"a horizon of {horizon_days} days", "")
    needs = (
        f"learners, and {FEWEST_OF_A_SEASON} customers {YEAR_DAYS} days before the cutoff, with the history "
        "before it that a snapshot needs"
    )
    day = windows.year_before[0] if windows.year_before else None
    there = _customers_by(known, day) if day else 0
    has = f"{there:,} customers on {day}" if day else "the log does not reach back so far"
    fitted = learned and there >= FEWEST_OF_A_SEASON
    why = has if learned else "no learners"
    sentence = (
        ""
        if fitted
        else f"{why}: the level of recent months is carried on, so expect more before a high season"
    )
    return Gate(SEASON, fitted, fitted, needs, has, sentence)


def _customers_by(known: ir.Table, day: date) -> int:
    seen = known.filter((known.day <= day) & known.is_purchase)
    return int(seen.customer_id.nunique().to_pyarrow().as_py())


def _backtest(known: ir.Table, cutoff: date, horizon_days: int, params: Params) -> Gate:
    asked, history = params.evaluation.origins, params.features.min_history_days
    first = known.day.min().to_pyarrow().as_py()
    days = backtest_cutoffs(first, cutoff, horizon_days, params.features, params.evaluation)
    needs = (
        f"{asked} past cutoffs {params.evaluation.origin_step_days} days apart, each with {history} days "
        f"before it and {horizon_days} after it"
    )
    has = f"{len(days)} of {asked} cutoffs"
    if not days:
        sentence = (
            f"{(cutoff - first).days + 1:,} days of history hold not one cutoff, so stage evaluate will "
            "stop: lower features.horizon_days or features.min_history_days, or give a longer history"
        )
    elif len(days) < asked:
        sentence = f"{has} fit into the history: figures of quality rest on few windows"
    else:
        sentence = ""
    return Gate(BACKTEST, not sentence, bool(days), needs, has, sentence)

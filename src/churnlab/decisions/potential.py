"""People who signed up and have not bought yet: what is left of the limits goes to the newest of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from churnlab.config import Decisions
from churnlab.decisions.bars import SENTENCES, Bar
from churnlab.decisions.contact_rules import not_for_them
from churnlab.decisions.holdout import draws, shares_of
from churnlab.decisions.priority import money_digits

POTENTIAL_TYPES = pa.schema(
    {
        "customer_id": pa.string(),
        "known_since": pa.date32(),
        "lifecycle_type": pa.string(),
        "is_business": pa.bool_(),
        "decision": pa.string(),
        "action": pa.string(),
        "channel": pa.string(),
        "cost": pa.float64(),
        "reason": pa.string(),
        "why": pa.string(),
    }
)
# Without an order there is neither risk nor value, and no style.
WORDS = {"lifecycle_type": "potential", "buying_style": "unassigned", "risk_label": "", "value_label": ""}
SLACK = 1e-9  # of a limit: what sums of money are off by rounding
NO_ACTION = ("not_for_them", "The playbook has no action for people who have not bought yet")
HELD_OUT = ("held_out", "Left alone on purpose, to measure what contacts bring")
FULL = "What {} allows goes to customers on the list and to people who signed up later"


def as_scored(people: pd.DataFrame, expected_order_value: float) -> pd.DataFrame:
    """What :func:`churnlab.decisions.contact_rules.barred` asks of scores, for people who have none.

    Parameters
    ----------
    people
        customer_id.
    expected_order_value
        Money of a customer's usual order: an offer must leave a profit of that.
    """
    return people[["customer_id"]].assign(**WORDS, expected_order_value=expected_order_value)


def potential_plan(
    people: pd.DataFrame, barred: np.ndarray, settings: Decisions, treated: pd.DataFrame
) -> pd.DataFrame:
    """An action for those whom the limits still have room for, the newest first.

    No benefit is reckoned: nothing tells what somebody who never ordered is worth. Each gets the first action
    of the playbook that is for them, open, and within what the list has left. A contact is taken to cost its
    incentive too, so the budget holds even if everybody takes what is offered.

    Parameters
    ----------
    people
        customer_id; known_since (date, may be null); is_business (may be null). One row each.
    barred
        :class:`churnlab.decisions.bars.Bar`: people in the order of `people`, actions as in `settings`.
    settings
        Actions, limits, shares held out. Held-out people use up nothing. Of the quotas, the `most` of those
        that fit `WORDS` count; `least` is of customers with a score alone.
    treated
        Customers contacted by the list: channel, cost (money), lifecycle_type, buying_style.

    Returns
    -------
    DataFrame
        `POTENTIAL_TYPES`: one row per person, newest known_since first, then by customer_id; decision:
        treated, control or left_out; action, channel and cost: those chosen, or else what came nearest, null
        if the playbook has nothing for them; reason: chosen, held_out, the name of a bar or of a limit; why:
        the same as a sentence.
    """
    order = _newest_first(people)
    people, closed = people.iloc[order].reset_index(drop=True), barred[order]
    options, room = _options(settings), _Room(settings, treated)
    drawn = draws(people["customer_id"], settings.salt)
    rows = [
        _decided(options, room, bars, draw, since)
        for bars, draw, since in zip(closed, drawn, people["known_since"], strict=True)
    ]
    made = pd.DataFrame(rows, columns=_Row._fields)
    told = people.assign(lifecycle_type=WORDS["lifecycle_type"]).join(made, validate="one_to_one")
    return told[POTENTIAL_TYPES.names]


def counts(plan: pd.DataFrame) -> dict[str, object]:
    """What the plan comes to, for `reports/plan.json`; empty where nobody has only signed up."""
    if plan.empty:
        return {}
    treated = plan[plan["decision"] == "treated"]
    left_out = plan.loc[plan["decision"] == "left_out", "reason"].value_counts()
    return {
        "people": len(plan),
        "contacts": len(treated),
        "held_out": int((plan["decision"] == "control").sum()),
        "cost": round(float(treated["cost"].sum()), 2),
        "by_action": {str(name): int(n) for name, n in sorted(treated["action"].value_counts().items())},
        "left_out": {str(name): int(n) for name, n in sorted(left_out.items())},
    }


class _Row(NamedTuple):
    """What is decided about a person."""

    decision: str
    action: str | None
    channel: str | None
    cost: float
    reason: str
    why: str


class _Option(NamedTuple):
    """An action that is for them: its number in `settings.actions`, and what it takes."""

    number: int
    name: str
    channel: str
    cost: float
    share: float  # that is held out

    def row(self, decision: str, reason: str, why: str) -> _Row:
        return _Row(decision, self.name, self.channel, self.cost, reason, why)


def _options(settings: Decisions) -> list[_Option]:
    """In the order of the playbook."""
    one = pd.DataFrame({name: [word] for name, word in WORDS.items()})
    are_theirs, digits = not_for_them(one, settings)[0] == Bar.OPEN, money_digits(settings)
    found = zip(settings.actions.items(), shares_of(settings), are_theirs, strict=True)
    return [
        _Option(number, name, c.channel, round(c.contact_cost + c.incentive_cost, digits), float(share))
        for number, ((name, c), share, is_theirs) in enumerate(found)
        if is_theirs
    ]


class _Room:
    """What is left of each limit: of `budget` money, of the others contacts."""

    def __init__(self, settings: Decisions, treated: pd.DataFrame) -> None:
        self.left = {
            "budget": settings.budget * (1 + SLACK) - float(treated["cost"].sum()),
            "max_contacts": float(settings.max_contacts - len(treated)),
        }
        for channel, most in settings.channel_capacity.items():
            self.left[f"channel_capacity.{channel}"] = most - int((treated["channel"] == channel).sum())
        for quota in settings.segment_quotas:
            if quota.most is not None and WORDS[quota.column] == quota.value:
                used = int((treated[quota.column] == quota.value).sum())
                self.left[f"segment_quotas.{quota.column}={quota.value}"] = quota.most - used

    def full(self, option: _Option) -> str | None:
        """The first limit that has no room for it."""
        return next((name for name, need in self._needed(option) if self.left[name] < need), None)

    def take(self, option: _Option) -> None:
        for name, need in self._needed(option):
            self.left[name] -= need

    def _needed(self, option: _Option) -> Iterator[tuple[str, float]]:
        for name in self.left:
            kind, _, which = name.partition(".")
            if kind == "budget":
                yield name, option.cost
            elif kind != "channel_capacity" or which == option.channel:
                yield name, 1.0


def _decided(options: list[_Option], room: _Room, bars: np.ndarray, draw: float, since: date | None) -> _Row:
    """About the next person; takes what a contact uses up. What lacks room is nearer than what is closed."""
    crowded: _Row | None = None
    closed: _Row | None = None
    for option in options:
        bar = Bar(int(bars[option.number]))
        if bar != Bar.OPEN:
            closed = closed or option.row("left_out", bar.name.lower(), SENTENCES[bar])
        elif limit := room.full(option):
            crowded = crowded or option.row("left_out", limit, FULL.format(limit.replace("=", " ")))
        elif draw < option.share:
            return option.row("control", *HELD_OUT)
        else:
            room.take(option)
            return option.row("treated", "chosen", _since(since))
    return crowded or closed or _Row("left_out", None, None, np.nan, *NO_ACTION)


def _since(day: date | None) -> str:
    known = "Signed up" if day is None or pd.isna(day) else f"Known since {day:%Y-%m-%d}"
    return f"{known} and has not bought yet"


def _newest_first(people: pd.DataFrame) -> np.ndarray:
    """Positions by known_since descending, unknown last, then by customer_id."""
    since = pd.to_datetime(people["known_since"])
    table = pd.DataFrame({"since": since.to_numpy(), "who": people["customer_id"].to_numpy(dtype=object)})
    ranked = table.sort_values(["since", "who"], ascending=[False, True], na_position="last", kind="stable")
    return ranked.index.to_numpy()

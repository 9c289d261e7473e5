"""People who signed up and have not bought yet: what is left of the limits goes to the newest of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

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
    options = _Options.of(settings)
    room = _Room.of(settings, treated)
    drawn = draws(people["customer_id"], settings.salt)
    rows = [
        _decided(options, room, bars, draw, since)
        for bars, draw, since in zip(closed, drawn, people["known_since"], strict=True)
    ]
    made = pd.DataFrame(rows, columns=["decision", "action", "channel", "cost", "reason", "why"])
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


@dataclass(frozen=True)
class _Options:
    """The actions of the playbook that are for them: number in `settings.actions`, and what each takes."""

    number: list[int]
    name: list[str]
    channel: list[str]
    cost: list[float]
    share: list[float]

    @classmethod
    def of(cls, settings: Decisions) -> _Options:
        one = pd.DataFrame({name: [word] for name, word in WORDS.items()})
        theirs = np.flatnonzero(not_for_them(one, settings)[0] == Bar.OPEN)
        names, contacts = list(settings.actions), list(settings.actions.values())
        digits, shares = money_digits(settings), shares_of(settings)
        return cls(
            [int(k) for k in theirs],
            [names[k] for k in theirs],
            [contacts[k].channel for k in theirs],
            [round(contacts[k].contact_cost + contacts[k].incentive_cost, digits) for k in theirs],
            [float(shares[k]) for k in theirs],
        )


@dataclass
class _Room:
    """What is left of each limit; `budget` is in money, the others in contacts."""

    left: dict[str, float]
    slack: float = 0.0
    channels: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Decisions, treated: pd.DataFrame) -> _Room:
        left = {
            "budget": settings.budget - float(treated["cost"].sum()),
            "max_contacts": float(settings.max_contacts - len(treated)),
        }
        for quota in settings.segment_quotas:
            if quota.most is not None and WORDS[quota.column] == quota.value:
                name = f"segment_quotas.{quota.column}={quota.value}"
                left[name] = float(quota.most - int((treated[quota.column] == quota.value).sum()))
        channels = {}
        for channel, most in settings.channel_capacity.items():
            channels[channel] = f"channel_capacity.{channel}"
            left[channels[channel]] = float(most - int((treated["channel"] == channel).sum()))
        return cls(left, SLACK * settings.budget, channels)

    def full(self, channel: str, cost: float) -> str | None:
        """The first limit that has no room for such a contact."""
        for name in self._used(channel):
            if name == "budget":
                if self.left[name] + self.slack < cost:
                    return name
            elif self.left[name] < 1:
                return name
        return None

    def take(self, channel: str, cost: float) -> None:
        for name in self._used(channel):
            self.left[name] -= cost if name == "budget" else 1.0

    def _used(self, channel: str) -> list[str]:
        return [
            n for n in self.left if not n.startswith("channel_capacity") or n == self.channels.get(channel)
        ]


def _decided(options: _Options, room: _Room, bars: np.ndarray, draw: float, since: date | None) -> tuple:
    """decision, action, channel, cost, reason and why of the next person; takes what a contact uses up."""
    if not options.number:
        return ("left_out", None, None, np.nan, *NO_ACTION)
    findings = [
        ("left_out", *_of_bar(Bar(int(bars[number]))))
        if bars[number] != Bar.OPEN
        else _of_room(room.full(options.channel[k], options.cost[k]))
        for k, number in enumerate(options.number)
    ]
    place = next((k for k, found in enumerate(findings) if found is None), None)
    if place is None:
        # an open action that has no room came nearer than a closed one
        place = next((k for k, n in enumerate(options.number) if bars[n] == Bar.OPEN), 0)
        verdict = findings[place]
    elif draw < options.share[place]:
        verdict = ("control", *HELD_OUT)
    else:
        verdict = ("treated", "chosen", _since(since))
        room.take(options.channel[place], options.cost[place])
    assert verdict is not None
    decision, reason, why = verdict
    return decision, options.name[place], options.channel[place], options.cost[place], reason, why


def _of_bar(bar: Bar) -> tuple[str, str]:
    return bar.name.lower(), SENTENCES[bar]


def _of_room(limit: str | None) -> tuple[str, str, str] | None:
    return None if limit is None else ("left_out", limit, FULL.format(limit.replace("=", " ")))


def _since(day: date | None) -> str:
    known = "Signed up" if day is None or pd.isna(day) else f"Known since {day:%Y-%m-%d}"
    return f"{known} and has not bought yet"


def _newest_first(people: pd.DataFrame) -> np.ndarray:
    """Positions by known_since descending, unknown last, then by customer_id."""
    since = pd.to_datetime(people["known_since"])
    table = pd.DataFrame({"since": since.to_numpy(), "who": people["customer_id"].to_numpy(dtype=object)})
    ranked = table.sort_values(["since", "who"], ascending=[False, True], na_position="last", kind="stable")
    return ranked.index.to_numpy()

"""Whom to contact first: the best action per customer, and the list that budget and capacity allow."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from churnlab.config import Contact, Decisions, Quota
from churnlab.decisions.holdout import assigned, shares_of
from churnlab.decisions.optimiser import NOBODY, Choice, Floor, Limit, choose, priced
from churnlab.decisions.save_rates import save_rate_of
from churnlab.decisions.verdicts import Considered, verdicts

LIST_COLUMNS = [
    "priority_rank",
    "customer_id",
    "action",
    "channel",
    "expected_net_benefit",
    "value_at_stake",
    "cost",
    "group",
    "why",
    "risk_label",
    "value_label",
    "churn_probability",
    "clv",
]
# What the choice of customers rests on, and what is told of those on the list; their reasons come besides.
SCORE_COLUMNS = [
    "customer_id",
    "churn_probability",
    "p_alive",
    "clv",
    "risk_label",
    "value_label",
    "lifecycle_type",
    "buying_style",
    "horizon_days",
]
Reasons = Callable[[pd.Series], pd.DataFrame]
MONEY_DIGITS = (
    6  # decimals where the dearest contact costs 1 to 10; fewer or more where it costs more or less
)
WHOLE_FROM = 1000  # money is told without decimals
MARGIN_DIGITS = 6  # of worth after prices, in parts of the greatest benefit


def net_benefit(
    churn_probability: np.ndarray,
    value_at_stake: np.ndarray,
    contact: Contact,
    save_rate: np.ndarray | None = None,
) -> np.ndarray:
    """Expected worth of one contact, in money: p·γ(V - d) - (1 - p)·d - f.

    Neslin, Gupta, Kamakura, Lu & Mason (2006), "Defection detection", Journal of Marketing Research 43(2),
    the profit of a campaign per customer contacted, its fixed cost left out: customers who would have stayed
    take the incentive too.

    Parameters
    ----------
    churn_probability
        p, 0 to 1.
    value_at_stake
        V, the discounted profit kept if the customer stays, in money.
    contact
        d = incentive_cost, f = contact_cost (money), γ = save_rate (0 to 1).
    save_rate
        γ of each customer; None: the contact's for all.
    """
    p, d = churn_probability, contact.incentive_cost
    rate = contact.save_rate if save_rate is None else save_rate
    return p * rate * (value_at_stake - d) - (1 - p) * d - contact.contact_cost


def value_at_stake(scores: pd.DataFrame) -> np.ndarray:
    """V, in money: clv / p_alive · max(p + p_alive - 1, 0) / p.

    Who has left for good orders nothing and cannot be kept; clv / p_alive is the value of one who is there
    for sure. Of the chance p of no order, p + p_alive - 1 belongs to those who are still there: all the dead
    are silent, so P(silent and there) = P(silent) - P(dead). Where a silent customer must be a dead one,
    nothing is at stake. V = clv would take silence and life for independent and count the dead
    twice.

    Parameters
    ----------
    scores
        churn_probability, p_alive (0 to 1), clv (money).
    """
    p, alive, worth = (scores[name].to_numpy(float) for name in ("churn_probability", "p_alive", "clv"))
    there = np.maximum(p + alive - 1.0, 0.0)
    return worth * np.divide(there, alive * p, out=np.zeros_like(there), where=alive * p > 0)


def expected_cost(
    churn_probability: np.ndarray, contact: Contact, save_rate: np.ndarray | None = None
) -> np.ndarray:
    """f + d·(p·γ + 1 - p), in money: the contact, and the incentive for all who are expected to take it.

    Parameters are those of :func:`net_benefit`.
    """
    p = churn_probability
    rate = contact.save_rate if save_rate is None else save_rate
    return contact.contact_cost + contact.incentive_cost * (p * rate + 1 - p)


def money_digits(settings: Decisions) -> int:
    """Decimals that money is rounded to, by the unit that costs are told in: rials need fewer than dollars.

    Rounded, amounts are the same on all processors; and no rank depends on the unit.
    """
    costs = [cost for c in settings.actions.values() for cost in (c.contact_cost, c.incentive_cost)]
    dearest = max(costs) or settings.budget
    return MONEY_DIGITS - math.floor(math.log10(dearest)) if dearest else MONEY_DIGITS


def best_actions(scores: pd.DataFrame, settings: Decisions, barred: np.ndarray | None = None) -> pd.DataFrame:
    """The most beneficial action per customer, as if money were no object.

    Parameters
    ----------
    scores
        churn_probability, p_alive, clv (money); own save rates, where
        :func:`churnlab.decisions.save_rates.with_own_rates` has told them.
    settings
        Actions with costs, incentives and save rates; the first named wins a tie.
    barred
        As in :func:`priority_plan`.

    Returns
    -------
    DataFrame
        Index of `scores`: action, channel, expected_net_benefit, value_at_stake, cost (money). Of a customer
        to whom all actions are closed, the first action with a benefit of 0: nothing is done.
    """
    options = _Options.of(scores, settings)
    if barred is None:
        return options.taken(options.benefits.argmax(axis=1)).set_index(scores.index)
    best = options.taken(np.where(barred == 0, options.benefits, -np.inf).argmax(axis=1))
    best.loc[(barred != 0).all(axis=1), "expected_net_benefit"] = 0.0
    return best.set_index(scores.index)


@dataclass(frozen=True)
class Plan:
    """Whom to contact with what, and how good that is.

    Attributes
    ----------
    contacts
        `LIST_COLUMNS`, sorted by priority_rank 1 … n: expected_net_benefit descending, ties by customer_id.
    choice
        Of the customers who are not held out: prices of the limits, and the gap to the best there can be.
    verdicts
        Columns of :data:`churnlab.decisions.verdicts.VERDICTS`: one row per scored customer, on the list or
        not, sorted by customer_id.
    """

    contacts: pd.DataFrame
    choice: Choice
    verdicts: pd.DataFrame


def priority_plan(
    scores: pd.DataFrame,
    settings: Decisions,
    reasons: Reasons | None = None,
    barred: np.ndarray | None = None,
) -> Plan:
    """The contacts that together are worth most within the limits, best first.

    Under a tight budget a dear action may give way to a cheaper one than :func:`best_actions` names. No
    contact with a net benefit of 0 or less is on the list.

    Parameters
    ----------
    scores
        One row per customer: `SCORE_COLUMNS` (clv in money), and reasons (list of sentences, may be empty)
        unless `reasons` tells them. lifecycle_type and buying_style are needed only where a quota names them.
        Own save rates as in :func:`best_actions`.
    settings
        Actions, the limits (budget in money, max_contacts, channel_capacity, segment_quotas), and the shares
        held out untreated; held-out customers stay on the list, marked `control`, and use up nothing.
    reasons
        Gives customer_id and reasons of the customer_id asked for: few are on the list, and reasons are long.
    barred
        Integers of :class:`churnlab.decisions.bars.Bar`: customers as in `scores`, actions as in `settings`;
        None: everything is open to everybody.
    """
    order = np.argsort(scores["customer_id"].to_numpy(dtype=object), kind="stable")
    people = scores.iloc[order].reset_index(drop=True)
    options = _Options.of(people, settings)
    closed = np.zeros(options.benefits.shape, dtype=np.int8) if barred is None else barred[order]
    worth = np.where(closed == 0, options.benefits, -np.inf)
    limits, floors = _limits(people, options, settings), _floors(people, settings)
    shares = shares_of(settings)
    worthy = np.flatnonzero((worth > 0).any(axis=1))

    def would_be() -> np.ndarray:
        """The action of every worthy customer if nobody were held out."""
        freely = choose(worth, limits, floors)
        return priced(worth, limits, freely.prices, floors)[worthy].argmax(axis=1)

    control = np.full(len(people), NOBODY)
    control[worthy] = assigned(people["customer_id"].iloc[worthy], settings.salt, shares, would_be)
    choice = choose(np.where((control == NOBODY)[:, None], worth, 0.0), limits, floors)
    net = priced(worth, limits, choice.prices, floors)
    net[worth <= 0] = -np.inf
    action, group = choice.action.copy(), np.where(choice.action != NOBODY, "treated", "")
    rows, theirs = _held_beside(
        net[worthy] / (float(worth.max(initial=0.0)) or 1.0), choice.action[worthy], control[worthy]
    )
    action[worthy[rows]], group[worthy[rows]] = theirs, "control"
    considered = Considered(people["customer_id"], options.names, options.benefits, closed, action, group)
    rows = np.flatnonzero(action != NOBODY)
    wanted = [name for name in SCORE_COLUMNS if name in people]
    plan = people.loc[rows, wanted if reasons else [*wanted, "reasons"]]
    plan = plan.join(options.at(rows).taken(action[rows]).set_index(plan.index), validate="one_to_one")
    plan = plan.assign(group=group[rows])
    if reasons is not None:
        plan = plan.merge(reasons(plan["customer_id"]), on="customer_id", validate="one_to_one")
    plan = plan.sort_values("expected_net_benefit", ascending=False, kind="stable")
    plan = plan.assign(priority_rank=np.arange(1, len(plan) + 1, dtype=np.int64), why=_why(plan))
    contacts = plan[LIST_COLUMNS].reset_index(drop=True).astype({"group": "str", "why": "str"})
    return Plan(contacts, choice, verdicts(considered, limits, choice.prices))


def untold(customer_id: pd.Series) -> pd.DataFrame:
    """No reasons, for a list that nobody reads."""
    return pd.DataFrame({"customer_id": customer_id, "reasons": [[] for _ in customer_id]})


@dataclass(frozen=True)
class _Options:
    """What every action would bring and cost: one row per customer, one column per action."""

    names: np.ndarray
    channels: np.ndarray
    benefits: np.ndarray
    costs: np.ndarray
    stake: np.ndarray
    digits: int

    @classmethod
    def of(cls, scores: pd.DataFrame, settings: Decisions) -> _Options:
        p, stake = scores["churn_probability"].to_numpy(float), value_at_stake(scores)
        contacts, digits = settings.actions.values(), money_digits(settings)
        with_rates = [(c, save_rate_of(scores, name, c)) for name, c in settings.actions.items()]
        return cls(
            names=np.array(list(settings.actions), dtype=object),
            channels=np.array([contact.channel for contact in contacts], dtype=object),
            benefits=np.round(
                np.column_stack([net_benefit(p, stake, *known) for known in with_rates]), digits
            ),
            costs=np.round(np.column_stack([expected_cost(p, *known) for known in with_rates]), digits),
            stake=stake,
            digits=digits,
        )

    def at(self, rows: np.ndarray) -> _Options:
        """Those of some customers."""
        return replace(self, benefits=self.benefits[rows], costs=self.costs[rows], stake=self.stake[rows])

    def taken(self, action: np.ndarray) -> pd.DataFrame:
        """One row per customer for the action of each, a number of a column."""
        return pd.DataFrame(
            {
                "action": self.names[action],
                "channel": self.channels[action],
                "expected_net_benefit": _picked(self.benefits, action),
                "value_at_stake": np.round(self.stake, self.digits),
                "cost": _picked(self.costs, action),
            }
        ).astype({"action": "str", "channel": "str"})


def _limits(people: pd.DataFrame, options: _Options, settings: Decisions) -> list[Limit]:
    """What the treated customers' contacts together must keep to."""
    limits = [
        Limit("budget", options.costs, settings.budget),
        Limit("max_contacts", np.ones((1, 1)), settings.max_contacts),
    ]
    for channel, most in settings.channel_capacity.items():
        limits.append(
            Limit(f"channel_capacity.{channel}", (options.channels == channel)[None, :] * 1.0, most)
        )
    for quota in settings.segment_quotas:
        if quota.most is not None:
            limits.append(Limit(_name(quota), _among(people, quota).astype(float)[:, None], quota.most))
    return limits


def _floors(people: pd.DataFrame, settings: Decisions) -> list[Floor]:
    """What they together should reach."""
    return [
        Floor(f"least.{_name(quota)}", _among(people, quota), quota.least)
        for quota in settings.segment_quotas
        if quota.least
    ]


def _name(quota: Quota) -> str:
    return f"segment_quotas.{quota.column}={quota.value}"


def _among(people: pd.DataFrame, quota: Quota) -> np.ndarray:
    return (people[quota.column] == quota.value).to_numpy(bool)


def _held_beside(net: np.ndarray, action: np.ndarray, control: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The held-out customers who would be on the list, and their actions.

    Who is worth something after prices, or nearly, is put in the order of that worth, in parts of the
    greatest benefit: at the margin it is rounded, for noise must not order it. Held out beside the list are
    those who come before the first customer left untreated after the last one treated. `control` is the
    action that a customer is held out of, where it is known before prices are.
    """
    is_held = control != NOBODY
    best = np.where(control >= 0, control, net.argmax(axis=1))
    gain = np.round(_picked(net, best), MARGIN_DIGITS)
    worthy = np.flatnonzero(gain >= 0)
    order = worthy[np.argsort(-gain[worthy], kind="stable")]
    treated = np.flatnonzero(~is_held[order] & (action[order] != NOBODY))
    passed = np.flatnonzero(~is_held[order] & (action[order] == NOBODY))
    passed = passed[passed > treated[-1]] if len(treated) else passed
    rows = order[: passed[0]] if len(passed) else order
    rows = rows[is_held[rows]]
    return rows, best[rows]


def _picked(values: np.ndarray, action: np.ndarray) -> np.ndarray:
    return values[np.arange(len(action)), action]


def _why(plan: pd.DataFrame) -> list[str]:
    figures = zip(
        plan["churn_probability"], plan["horizon_days"], plan["value_at_stake"], plan["reasons"], strict=True
    )
    return [
        f"{_percent(p)} chance of no order in {days} days, {_amount(stake)} profit at stake. "
        f"{_reason(reasons)}."
        for p, days, stake, reasons in figures
    ]


def _amount(money: float) -> str:
    """With decimals only where they tell something: below 1000."""
    return f"{money:,.2f}" if abs(money) < WHOLE_FROM else f"{money:,.0f}"


def _percent(share: float) -> str:
    """A share in whole percent; what is not certain is not called 0 % or 100 %."""
    if share > 0.99:
        return "Over 99%"
    return "Under 1%" if share < 0.01 else f"{share:.0%}"


def _reason(reasons: Sequence[str] | None) -> str:
    """The strongest reason that raises the risk; where none does, the strongest that lowers it, as such."""
    told = [] if reasons is None else list(reasons)
    for text in told:
        if "raises the risk" in text:
            return text
    if not told:
        return "No single reason stands out"
    lowering = told[0].removesuffix(", which lowers the risk")
    return f"Less at risk than most, but much to lose: {lowering[0].lower()}{lowering[1:]}"

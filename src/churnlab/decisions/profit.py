"""What the plan would have brought on past cutoffs, beside simpler rules for whom to contact."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from churnlab.config import Clv, Contact, Decisions
from churnlab.decisions.bars import Bar
from churnlab.decisions.optimiser import NOBODY
from churnlab.decisions.priority import expected_cost, net_benefit, priority_plan, untold, value_at_stake

Z90 = 1.6448536269514722  # normal quantile of a 90 % interval
PLAN, UNLIMITED, EVERYONE, ALL_CUTOFFS = "plan", "plan_without_limits", "everyone", "all"
PEER = {EVERYONE: UNLIMITED}  # which plan each strategy is set beside, where it is not the one within limits
PROFIT_TYPES = {
    "cutoff": "str",  # a day, or all
    "strategy": "str",
    "action": "str",
    "contacts": "float64",
    "cost": "float64",
    "expected_profit": "float64",
    "realised_profit": "float64",
    "low": "float64",
    "high": "float64",
    "plan_ahead": "float64",
    "ahead_low": "float64",
    "ahead_high": "float64",
}
# Customers in the order in which a rule contacts them: highest first.
RULES: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    "longest_silent": lambda rows: rows["days_since_last_order"],
    "just_lapsed": lambda rows: -(rows["days_since_last_order"] / rows["usual_gap_days"] - 1.0).abs(),
    "risk": lambda rows: rows["churn_probability"],
    "value": lambda rows: rows["clv"],
    "risk_times_value": lambda rows: rows["churn_probability"] * rows["clv"],
}


@dataclass(frozen=True)
class _Outcome:
    """What one strategy did and brought at one cutoff, customer by customer.

    Attributes
    ----------
    weight
        Contacts of each customer: 0 or 1, or the chance of one.
    cost, expected, realised
        Money, per customer.
    action
        Its name; of several, none.
    """

    strategy: str
    action: str
    weight: np.ndarray
    cost: np.ndarray
    expected: np.ndarray
    realised: np.ndarray


def value_kept(yearly_spend: np.ndarray, clv: Clv) -> np.ndarray:
    """V of who is kept, in money: the margin of what they spend in a year, going on for `clv_months`.

    No model has a part in it, so that it favours none; and who spends nothing has nothing that could go on.

    Parameters
    ----------
    yearly_spend
        Net money, at the rate of a year.
    clv
        Months, discount rate per month, margin.
    """
    months = np.arange(1, clv.clv_months + 1)
    years = float((1.0 + clv.monthly_discount_rate) ** -months.astype(float) @ np.full(len(months), 1 / 12))
    return np.maximum(yearly_spend, 0.0) * clv.margin * years


def realised_profit(churned: np.ndarray, value: np.ndarray, contact: Contact) -> np.ndarray:
    """What contacting each customer brings, given who left: the outcome in the place of its probability.

    Who left would have been kept with the chance γ, which then brings V - d; who stayed takes d all the same;
    everybody costs f. Neslin et al. (2006), as :func:`churnlab.decisions.priority.net_benefit`. Whether a
    contact keeps somebody is not in the log of a shop that made none: γ is the assumed save rate.

    Parameters
    ----------
    churned
        1 without an order in the horizon, else 0.
    value
        V, in money; of 0, there is nobody to keep.
    contact
        d = incentive_cost, f = contact_cost (money), γ = save_rate.
    """
    kept = np.where(value > 0, contact.save_rate * (value - contact.incentive_cost), 0.0)
    return churned * kept - (1 - churned) * contact.incentive_cost - contact.contact_cost


def profit_table(
    rows: pd.DataFrame, settings: Decisions, clv: Clv, closed: np.ndarray | None = None
) -> pd.DataFrame:
    """Every strategy at every cutoff, and over all of them.

    Strategies: `plan`, the priority list as users get it, with nobody held out; `plan_without_limits`, the
    same with money and hands for all; `everyone`, set beside that; `nobody`; `random`, whom chance would
    pick, on average; and the orders of `RULES`. Rules contact from the top until the budget, the contacts or
    the channel are used up, all with one action, the one that brings them most over all cutoffs, in
    hindsight. The plan has no such hindsight.

    Parameters
    ----------
    rows
        One row per customer and cutoff: cutoff, customer_id, churned (0 or 1), churn_probability, p_alive,
        clv (money), yearly_spend (money), days_since_last_order, usual_gap_days.
    settings
        Actions and limits; quotas of segments are left out, for the labels of then are not known.
    clv
        For :func:`value_kept`.
    closed
        :class:`churnlab.decisions.bars.Bar`, (rows, actions): no strategy contacts anybody by an action that
        is closed to them. None: all are open.

    Returns
    -------
    DataFrame
        Columns of `PROFIT_TYPES`: contacts and money; low and high are a 90 % interval of realised_profit,
        plan_ahead that of the plan less that of the strategy (`PEER`), with its interval. Customers are
        drawn, with all their cutoffs; means of many are normal.
    """
    alone = settings.model_copy(
        update={
            "segment_quotas": [],
            "control_share": 0.0,
            "actions": {
                name: contact.model_copy(update={"control_share": None})
                for name, contact in settings.actions.items()
            },
        }
    )
    people = pd.Index(rows["customer_id"].unique())
    tried: dict[str, dict[int, list[tuple[np.ndarray, _Outcome]]]] = {}
    cutoffs = []
    bars = np.zeros((len(rows), len(settings.actions)), dtype=np.int8) if closed is None else closed
    numbered = rows.assign(row=np.arange(len(rows)))
    for cutoff, unsorted in numbered.groupby("cutoff", sort=True):
        part = unsorted.sort_values("customer_id", ignore_index=True)
        place = people.get_indexer(pd.Index(part["customer_id"]))
        cutoffs.append(str(cutoff))
        for variant, one in _outcomes(part, alone, clv, bars[part["row"]]):
            tried.setdefault(one.strategy, {}).setdefault(variant, []).append((place, one))
    kept = [max(variants.values(), key=_realised) for variants in tried.values()]
    found: list[dict[str, object]] = []
    for number, cutoff in enumerate(cutoffs):
        found += _told(cutoff, [(parts[number][1], parts[number][1].realised) for parts in kept])
    if len(cutoffs) > 1:
        found += _told(ALL_CUTOFFS, [_summed(parts, len(people)) for parts in kept])
    return pd.DataFrame(found, columns=list(PROFIT_TYPES)).astype(PROFIT_TYPES)


def _realised(parts: list[tuple[np.ndarray, _Outcome]]) -> float:
    return sum(float(one.realised.sum()) for _, one in parts)


def over_all(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of :func:`profit_table` over all cutoffs; of a single one, its own."""
    whole = table[table["cutoff"] == ALL_CUTOFFS]
    return (table if whole.empty else whole).reset_index(drop=True)


def _outcomes(
    rows: pd.DataFrame, settings: Decisions, clv: Clv, closed: np.ndarray
) -> Iterator[tuple[int, _Outcome]]:
    """Every strategy, those with one action once for each: number of the action (0 for plans), outcome."""
    names, contacts = list(settings.actions), list(settings.actions.values())
    p, stake = rows["churn_probability"].to_numpy(float), value_at_stake(rows)
    churned = rows["churned"].to_numpy(float)
    value = value_kept(rows["yearly_spend"].to_numpy(float), clv)
    costs = np.column_stack([expected_cost(p, contact) for contact in contacts])
    expected = np.column_stack([net_benefit(p, stake, contact) for contact in contacts])
    realised = np.column_stack([realised_profit(churned, value, contact) for contact in contacts])

    def outcome(strategy: str, action: np.ndarray, name: str = "", weight: float = 1.0) -> _Outcome:
        done = np.where(action == NOBODY, 0.0, weight)
        at = np.arange(len(action)), action
        return _Outcome(
            strategy, name, done, *(done * figures[at] for figures in (costs, expected, realised))
        )

    nobody = np.full(len(rows), NOBODY)
    yield 0, outcome(PLAN, _planned(rows, settings, names, closed))
    yield 0, outcome(UNLIMITED, _planned(rows, _without_limits(settings, costs), names, closed))
    yield 0, outcome("nobody", nobody)
    orders = {name: np.argsort(-key(rows).to_numpy(float), kind="stable") for name, key in RULES.items()}
    for number, (name, contact) in enumerate(settings.actions.items()):
        is_open = closed[:, number] == Bar.OPEN
        all_of_them = np.where(is_open, number, NOBODY)
        yield number, outcome(EVERYONE, all_of_them, name)
        typical = np.full(is_open.sum(), costs[is_open, number].mean() if is_open.any() else 0.0)
        share = _most(typical, contact, settings) / max(len(typical), 1)
        yield number, outcome("random", all_of_them, name, share)
        for rule, order in orders.items():
            action, reached = nobody.copy(), order[is_open[order]]
            action[reached[: _most(costs[reached, number], contact, settings)]] = number
            yield number, outcome(rule, action, name)


def _without_limits(settings: Decisions, costs: np.ndarray) -> Decisions:
    ample = {"budget": float(costs.max(axis=1).sum()), "max_contacts": len(costs), "channel_capacity": {}}
    return settings.model_copy(update=ample)


def _most(costs: np.ndarray, contact: Contact, settings: Decisions) -> int:
    """How many contacts of one kind there can be, in that order."""
    most = min(settings.max_contacts, settings.channel_capacity.get(contact.channel, len(costs)))
    return min(most, int(np.count_nonzero(np.cumsum(costs) <= settings.budget * (1 + 1e-9))))


def _planned(rows: pd.DataFrame, settings: Decisions, names: list[str], closed: np.ndarray) -> np.ndarray:
    """The action of each customer on the list."""
    scores = rows[["customer_id", "churn_probability", "p_alive", "clv"]].assign(
        horizon_days=0, risk_label="", value_label=""
    )
    contacts = priority_plan(scores, settings, untold, closed).contacts
    action = np.full(len(rows), NOBODY)
    place = pd.Index(rows["customer_id"]).get_indexer(pd.Index(contacts["customer_id"]))
    action[place] = [names.index(name) for name in contacts["action"]]
    return action


def _summed(parts: list[tuple[np.ndarray, _Outcome]], customers: int) -> tuple[_Outcome, np.ndarray]:
    """The same strategy over several cutoffs, and what it realised on each customer."""
    realised = np.zeros(customers)
    for place, one in parts:
        np.add.at(realised, place, one.realised)
    outcomes = [one for _, one in parts]
    figures = (
        np.concatenate([getattr(one, name) for one in outcomes])
        for name in ("weight", "cost", "expected", "realised")
    )
    return _Outcome(outcomes[0].strategy, outcomes[0].action, *figures), realised


def _told(cutoff: str, outcomes: list[tuple[_Outcome, np.ndarray]]) -> Iterator[dict[str, object]]:
    by_strategy = {one.strategy: realised for one, realised in outcomes}
    for one, realised in outcomes:
        total, low, high = _interval(realised)
        plan = by_strategy[PEER.get(one.strategy, PLAN)]
        ahead, ahead_low, ahead_high = _interval(plan - realised)
        yield {
            "cutoff": cutoff,
            "strategy": one.strategy,
            "action": one.action,
            "contacts": one.weight.sum(),
            "cost": one.cost.sum(),
            "expected_profit": one.expected.sum(),
            "realised_profit": total,
            "low": low,
            "high": high,
            "plan_ahead": ahead,
            "ahead_low": ahead_low,
            "ahead_high": ahead_high,
        }


def _interval(per_customer: np.ndarray) -> tuple[float, float, float]:
    """Sum over customers, and its 90 % interval where as many others of their kind might have been there."""
    total, n = float(per_customer.sum()), len(per_customer)
    spread = Z90 * float(per_customer.std(ddof=1)) * np.sqrt(n) if n > 1 else 0.0
    return total, total - spread, total + spread

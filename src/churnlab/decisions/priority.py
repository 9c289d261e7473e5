"""Whom to contact first: the best action per customer, and the list that budget and capacity allow."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

from churnlab.config import Contact, Decisions

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


def net_benefit(churn_probability: np.ndarray, value_at_stake: np.ndarray, contact: Contact) -> np.ndarray:
    """Expected worth of one contact, in money: p·γ(V - d) - (1 - p)·d - f (Neslin et al. 2006).

    Parameters
    ----------
    churn_probability
        p.
    value_at_stake
        V, the discounted profit kept if the customer stays.
    contact
        d = incentive_cost, f = contact_cost, γ = save_rate.
    """
    p, d = churn_probability, contact.incentive_cost
    return p * contact.save_rate * (value_at_stake - d) - (1 - p) * d - contact.contact_cost


def expected_cost(churn_probability: np.ndarray, contact: Contact) -> np.ndarray:
    """f + d·(p·γ + 1 - p): the contact, and the incentive for all who accept it."""
    p = churn_probability
    return contact.contact_cost + contact.incentive_cost * (p * contact.save_rate + 1 - p)


def best_actions(scores: pd.DataFrame, settings: Decisions) -> pd.DataFrame:
    """The most beneficial action per customer.

    Parameters
    ----------
    scores
        customer_id, churn_probability, clv (clv counts the chance of leaving; what is at stake is clv / (1 - p)).
    settings
        actions with costs, incentives and save rates.

    Returns
    -------
    DataFrame
        Index of `scores`: action, channel, expected_net_benefit, value_at_stake, cost (money), priority_rank
        (1 is the highest benefit; ties by customer_id).
    """
    p = scores["churn_probability"].to_numpy(float)
    stake = scores["clv"].to_numpy(float) / (1 - p)
    names = list(settings.actions)
    benefits = np.column_stack([net_benefit(p, stake, settings.actions[name]) for name in names])
    costs = np.column_stack([expected_cost(p, settings.actions[name]) for name in names])
    best = benefits.argmax(axis=1)
    rows = np.arange(len(scores))
    out = pd.DataFrame(
        {
            "action": np.array(names, dtype=object)[best],
            "channel": np.array([settings.actions[name].channel for name in names], dtype=object)[best],
            "expected_net_benefit": np.round(benefits[rows, best], 6),
            "value_at_stake": np.round(stake, 6),
            "cost": np.round(costs[rows, best], 6),
        },
        index=scores.index,
    ).astype({"action": "str", "channel": "str"})
    order = np.lexsort((scores["customer_id"].to_numpy(), -out["expected_net_benefit"].to_numpy()))
    rank = np.empty(len(out), dtype=np.int64)
    rank[order] = np.arange(1, len(out) + 1)
    return out.assign(priority_rank=rank)


def priority_list(scores: pd.DataFrame, settings: Decisions) -> pd.DataFrame:
    """The contacts worth making, best first, until budget or capacity ends.

    Parameters
    ----------
    scores
        One row per customer: customer_id, churn_probability, clv, risk_label, value_label, horizon_days, reasons.
    settings
        Actions, budget, capacity, and the share held out untreated; held-out customers stay on the list,
        marked `control`, and cost nothing.

    Returns
    -------
    DataFrame
        `LIST_COLUMNS`, by priority_rank 1 … n.
    """
    plan = scores.drop(columns=["priority_rank", "expected_net_benefit"], errors="ignore").join(
        best_actions(scores, settings), validate="one_to_one"
    )
    plan = plan[plan["expected_net_benefit"] > 0].sort_values("priority_rank")
    control = held_out(plan["customer_id"], plan["action"], settings)
    plan = plan.assign(group=np.where(control, "control", "treated"))
    spent = (plan["cost"] * ~control).cumsum()
    contacts = pd.Series(~control, index=plan.index).cumsum()
    plan = plan[(spent <= settings.budget) & (contacts <= settings.max_contacts)]
    plan = plan.assign(priority_rank=np.arange(1, len(plan) + 1), why=_why(plan))
    return plan[LIST_COLUMNS].reset_index(drop=True).astype({"group": "str", "why": "str"})


def held_out(customer_id: pd.Series, action: pd.Series, settings: Decisions) -> np.ndarray:
    """Who is in the control group: by a salted digest, so never by the order of rows or runs."""
    texts = settings.salt + "\x1f" + action.astype(str) + "\x1f" + customer_id.astype(str)
    shares = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64 for text in texts]
    return np.array(shares) < settings.control_share


def _why(plan: pd.DataFrame) -> list[str]:
    texts = []
    for row in plan.itertuples():
        first = row.reasons[0] if len(row.reasons) else "No single reason stands out"
        texts.append(f"{row.churn_probability:.0%} chance of no order in {row.horizon_days} days. {first}.")
    return texts

"""Plan, contact, measure, plan again: ten rounds in shops where the assumed save rates are wrong.

Authority: the shops themselves, whose true save rates nobody is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import pytest

from _settings import small_decisions
from churnlab.config import Decisions
from churnlab.decisions import optimiser
from churnlab.decisions.effects import effects
from churnlab.decisions.priority import net_benefit, priority_plan
from churnlab.decisions.save_rates import with_save_rates

ROUNDS, SHOPS, CUSTOMERS, MARGIN = 10, 4, 1000, 0.3
ASSUMED = {"call": 0.15, "offer": 0.08, "note": 0.03}
TRUE = {"call": 0.05, "offer": 0.22, "note": 0.02}


def decisions(**changes) -> Decisions:
    costs = {"call": ("phone", 4.0, 0.0), "offer": ("email", 0.1, 2.5), "note": ("email", 0.1, 0.0)}
    actions = {
        name: {"channel": channel, "contact_cost": f, "incentive_cost": d, "save_rate": ASSUMED[name]}
        for name, (channel, f, d) in costs.items()
    }
    tight = {
        "budget": 400.0,
        "max_contacts": 270,
        "control_share": 0.15,
        "salt": "loop",
        "effect_prior_sd": 0.1,
    }
    return small_decisions(actions, **(tight | changes))


def base(rng, number: int) -> pd.DataFrame:
    """Customers of one round: how likely they leave, and what they are worth."""
    n = CUSTOMERS
    return pd.DataFrame(
        {
            "customer_id": [f"r{number}-{k:05d}" for k in range(n)],
            "churn_probability": rng.beta(4, 2, n),
            "clv": rng.gamma(0.8, 80.0, n),
            "p_alive": 1.0,
            "risk_label": "high",
            "value_label": "top",
            "horizon_days": 90,
            "reasons": [[] for _ in range(n)],
        }
    )


def campaign(rng, scores: pd.DataFrame, contacts: pd.DataFrame, number: int) -> pd.DataFrame:
    """What became of the customers on the list, as `churnlab measure` would find it."""
    rows = contacts[["customer_id", "action", "group", "risk_label", "value_label", "cost"]].merge(
        scores[["customer_id", "churn_probability", "clv"]], on="customer_id", validate="one_to_one"
    )
    leaves = rng.random(len(rows)) < rows["churn_probability"]
    saved = (rows["group"] == "treated") & (rng.random(len(rows)) < rows["action"].map(TRUE))
    retained = (~leaves | saved).astype(float)
    spend = rows["clv"] / MARGIN / 4
    return rows.assign(
        as_of=f"2024-{number + 1:02d}-01",
        retained=retained,
        net_spend=retained * spend * rng.gamma(4, 0.25, len(rows)),
        pre_spend=spend * rng.gamma(4, 0.25, len(rows)),
        pre_days=rng.poisson(2, len(rows)).astype(float),
        contacted=np.nan,
    )


def true_profit(scores: pd.DataFrame, contacts: pd.DataFrame) -> float:
    """What the treated bring on average, by the save rates that nobody is told."""
    true = with_save_rates(decisions(), TRUE)
    treated = contacts[contacts["group"] == "treated"].merge(
        scores[["customer_id"]], on="customer_id", validate="one_to_one"
    )
    return sum(
        float(net_benefit(part["churn_probability"].to_numpy(), part["clv"].to_numpy(), contact).sum())
        for name, contact in true.actions.items()
        for part in [treated[treated["action"] == name]]
    )


@dataclass(frozen=True)
class Shop:
    """True profit of every round: with what was learned, with what was assumed, with the truth; and rates."""

    learning: list[float]
    assuming: list[float]
    knowing: list[float]
    rates: dict[str, float]


def run(seed: int, **changes) -> Shop:
    rng = np.random.default_rng(seed)
    assumed, learned = decisions(**changes), decisions(**changes)
    known = with_save_rates(assumed, TRUE)
    past: list[pd.DataFrame] = []
    profits: dict[str, list[float]] = {"learning": [], "assuming": [], "knowing": []}
    rates: dict[str, float] = {}
    for number in range(ROUNDS):
        scores = base(rng, number)
        plans = {
            name: priority_plan(scores, settings).contacts
            for name, settings in (("learning", learned), ("assuming", assumed), ("knowing", known))
        }
        for name, contacts in plans.items():
            profits[name].append(true_profit(scores, contacts))
        past.append(campaign(rng, scores, plans["learning"], number))
        found = effects(pd.concat(past, ignore_index=True), assumed, MARGIN).save_rates
        rates = {name: rate.save_rate for name, rate in found.items()}
        learned = with_save_rates(assumed, rates)
    return Shop(**profits, rates=rates)


@pytest.fixture(autouse=True)
def by_prices(monkeypatch) -> None:
    """Plans by prices alone are a little less than the best, and much faster."""
    monkeypatch.setattr(optimiser, "CORE_OPTIONS", 0)


@cache
def shops() -> list[Shop]:
    return [run(seed) for seed in range(SHOPS)]


def test_what_is_learned_raises_the_profit_round_by_round():
    """Means over shops: better than assuming, better late than early, and near to knowing in the end."""
    learning, assuming, knowing = (
        np.mean([getattr(shop, name) for shop in shops()], axis=0)
        for name in ("learning", "assuming", "knowing")
    )
    assert learning[0] == pytest.approx(assuming[0])
    early, late = slice(0, 3), slice(7, 10)
    assert learning[late].mean() > learning[early].mean()
    assert learning[late].mean() > 1.1 * assuming[late].mean()
    assert learning[late].mean() > 0.9 * knowing[late].mean()


def test_no_shop_is_worse_off_in_the_end():
    assert all(sum(shop.learning) > sum(shop.assuming) for shop in shops())


def test_the_rate_of_what_is_done_most_comes_near_the_truth():
    """What is found to be poor is no longer done, so nothing more is learned of it."""
    off = np.mean([abs(shop.rates["offer"] - TRUE["offer"]) for shop in shops()])
    assert off < abs(ASSUMED["offer"] - TRUE["offer"]) / 2

"""The loyalty programme: who holds how many points, who is near the next tier, and whether it pays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from churnlab.config import Loyalty

DAYS_PER_YEAR = 365.25
NO_TIER = "none"
MEMBER_TYPES = {
    "customer_id": "str",
    "points": "float64",
    "tier": "str",
    "next_tier": "str",
    "points_to_next": "float64",
    "is_near_next": "bool",
    "points_cost": "float64",
    "expected_return": "float64",
}


def members(scores: pd.DataFrame, bought: pd.DataFrame, terms: Loyalty) -> pd.DataFrame:
    """Points, tier and the way to the next one, of every scored customer.

    Parameters
    ----------
    scores
        customer_id, T (days as a customer), lifecycle_type, clv (money).
    bought
        customer_id, spend (net money), purchase_days of the programme's window; others bought nothing.
    terms
        What earns points.

    Returns
    -------
    DataFrame
        Columns of `MEMBER_TYPES`, sorted by customer_id. Points are whole. points_to_next is NaN on the
        highest tier; is_near_next: what is missing is at most `near_share` of what the next tier asks for.
        points_cost: what those points are expected to cost the shop; expected_return: the further profit of
        `clv`, if members spend `more_spend` more.
    """
    rows = scores[["customer_id", "T", "lifecycle_type", "clv"]].merge(
        bought[["customer_id", "spend", "purchase_days"]], on="customer_id", how="left", validate="one_to_one"
    )
    rows = rows.fillna({"spend": 0.0, "purchase_days": 0.0}).sort_values("customer_id", ignore_index=True)
    spent = np.maximum(rows["spend"].to_numpy(float), 0.0) / terms.money_per_point
    points = np.floor(
        spent
        + terms.points_per_purchase_day * rows["purchase_days"].to_numpy(float)
        + terms.points_per_year * np.floor(rows["T"].to_numpy(float) / DAYS_PER_YEAR)
        + terms.points_if_regular * (rows["lifecycle_type"] == "loyal").to_numpy(float)
        + 1e-9  # a sum of exact parts that came out a hair below a whole number
    )
    names, asked = np.array([NO_TIER, *terms.tiers]), np.array(list(terms.tiers.values()))
    reached = np.searchsorted(asked, points, side="right")
    following = np.append(asked, np.nan)[reached]
    missing = following - points
    return pd.DataFrame(
        {
            "customer_id": rows["customer_id"],
            "points": points,
            "tier": names[reached],
            "next_tier": np.append(names[1:], "")[reached],
            "points_to_next": missing,
            "is_near_next": missing <= terms.near_share * following,
            "points_cost": points * terms.cost_per_point * terms.redeemed_share,
            "expected_return": rows["clv"] * terms.more_spend,
        }
    ).astype(MEMBER_TYPES)


def programme(table: pd.DataFrame, terms: Loyalty) -> dict[str, Any]:
    """Members, cost and expected return by tier and in all, and from which more spend on it pays.

    Parameters
    ----------
    table
        Frame of :func:`members`.

    Returns
    -------
    dict
        `tiers`: by name customers, points, cost, expected_return, near_next; `cost`, `expected_return`, `net`
        (money); `break_even_more_spend`: the share from which on the programme pays, None where there is no
        profit to raise.
    """
    tiers = {}
    for name in (NO_TIER, *terms.tiers):
        part = table[table["tier"] == name]
        tiers[name] = {
            "customers": len(part),
            "points": float(part["points"].sum()),
            "cost": round(float(part["points_cost"].sum()), 2),
            "expected_return": round(float(part["expected_return"].sum()), 2),
            "near_next": int(part["is_near_next"].sum()),
        }
    cost, returns = float(table["points_cost"].sum()), float(table["expected_return"].sum())
    profit = returns / terms.more_spend if terms.more_spend else 0.0
    return {
        "tiers": tiers,
        "cost": round(cost, 2),
        "expected_return": round(returns, 2),
        "net": round(returns - cost, 2),
        "break_even_more_spend": round(cost / profit, 6) if profit > 0 else None,
    }

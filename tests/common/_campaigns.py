"""Made-up campaigns of which it is known who responds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd

from churnlab.models.uplift import Response

FEATURES = ("churn_probability", "clv", "p_alive", "days_since_last_order")
SaveRates = Callable[[pd.DataFrame], np.ndarray]
"""The true save rate of each customer."""


def customers(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """What the scores tell of them."""
    return pd.DataFrame(
        {
            "customer_id": [f"c{k:05d}" for k in range(n)],
            "churn_probability": rng.beta(3, 2, n),
            "clv": rng.gamma(2.0, 50.0, n),
            "p_alive": 1.0,
            "days_since_last_order": rng.gamma(2.0, 40.0, n),
            "risk_label": "high",
            "value_label": "top",
            "horizon_days": 90,
        }
    )


def campaign(rng: np.random.Generator, n: int, control_share: float, rates: SaveRates) -> pd.DataFrame:
    """A list whose treated customers, if they would leave, are kept with the chance that `rates` says."""
    people = customers(rng, n)
    treated = rng.random(n) >= control_share
    leaves = rng.random(n) < people["churn_probability"]
    saved = treated & (rng.random(n) < rates(people))
    return people.assign(
        as_of="2024-01-01",
        action="call",
        group=np.where(treated, "treated", "control"),
        cost=1.0,
        retained=(~leaves | saved).astype(float),
        pre_spend=rng.gamma(1.0, 10.0, n),
        pre_days=rng.poisson(2.0, n).astype(float),
    )


def lately_silent(people: pd.DataFrame) -> np.ndarray:
    """Half of those silent for less than 60 days are kept, and nobody else."""
    return np.where(people["days_since_last_order"] < 60, 0.5, 0.0)


def all_alike(people: pd.DataFrame) -> np.ndarray:
    """A fifth of everybody is kept."""
    return np.full(len(people), 0.2)


def response_by_hand(column: str = "days_since_last_order", limit: float = 60.0, **changes: Any) -> Response:
    """A model with one split: 0.1 above `level` for who is below a limit of a column, 0.1 under it else.

    Trees are written out as LightGBM writes them; both groups say the same.
    """
    rows = pd.DataFrame({column: [limit / 2, limit * 1.5] * 10})
    data = lgb.Dataset(rows.to_numpy(), np.tile([0.1, -0.1], 10))
    how = {"num_leaves": 2, "learning_rate": 1.0, "min_data_in_leaf": 1, "min_data_in_bin": 1, "verbose": -1}
    text = lgb.train({**how, "boost_from_average": False}, data, 1).model_to_string()
    return replace(Response((column,), text, text, share_treated=0.5, level=0.3), **changes)

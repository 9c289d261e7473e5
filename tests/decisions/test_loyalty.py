"""Points and tiers: by hand for four customers, and what holds for any."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from churnlab.config import Loyalty
from churnlab.decisions.loyalty import MEMBER_TYPES, members, programme

TERMS = Loyalty(
    money_per_point=2.0,
    points_per_purchase_day=5.0,
    points_per_year=10.0,
    points_if_regular=25.0,
    tiers={"silver": 50.0, "gold": 100.0},
    near_share=0.2,
    cost_per_point=0.1,
    redeemed_share=0.5,
    more_spend=0.1,
)
SCORES = pd.DataFrame(
    {
        "customer_id": ["مریم", "b", "a", "d"],
        "T": [400.0, 10.0, 800.0, 100.0],
        "lifecycle_type": ["loyal", "new", "active", "potential"],
        "clv": [300.0, 50.0, 100.0, 0.0],
    }
)
BOUGHT = pd.DataFrame(
    {"customer_id": ["a", "b", "مریم"], "spend": [31.9, 80.0, -4.0], "purchase_days": [1.0, 1.0, 3.0]}
)


def test_points_and_tiers_by_hand():
    """a: 15.95 + 5 + 20 = 40.95; b: 40 + 5; d nothing; مریم: 0 + 15 + 10 + 25 = 50, which is silver."""
    found = members(SCORES, BOUGHT, TERMS).set_index("customer_id")
    assert found["points"].to_dict() == {"a": 40.0, "b": 45.0, "d": 0.0, "مریم": 50.0}
    assert found["tier"].to_dict() == {"a": "none", "b": "none", "d": "none", "مریم": "silver"}
    assert found["points_to_next"].to_dict() == {"a": 10.0, "b": 5.0, "d": 50.0, "مریم": 50.0}
    assert found["is_near_next"].to_dict() == {"a": True, "b": True, "d": False, "مریم": False}
    assert found["points_cost"].to_dict() == pytest.approx({"a": 2.0, "b": 2.25, "d": 0.0, "مریم": 2.5})


def test_the_programme_by_hand():
    """135 points cost 6.75; a tenth of 450 is 45; 6.75 / 450 = 1.5 %."""
    found = programme(members(SCORES, BOUGHT, TERMS), TERMS)
    assert (found["cost"], found["expected_return"], found["net"]) == (6.75, 45.0, 38.25)
    assert found["break_even_more_spend"] == 0.015
    assert found["tiers"]["none"] == {
        "customers": 3,
        "points": 85.0,
        "cost": 4.25,
        "expected_return": 15.0,
        "near_next": 2,
    }
    assert list(found["tiers"]) == ["none", "silver", "gold"]


def test_the_highest_tier_has_no_next():
    found = members(SCORES.head(1), BOUGHT.assign(spend=1000.0), TERMS).iloc[0]
    assert (found["tier"], found["next_tier"], found["is_near_next"]) == ("gold", "", False)
    assert np.isnan(found["points_to_next"])


def test_nothing_to_raise_never_pays():
    table = members(SCORES.assign(clv=0.0), BOUGHT, TERMS)
    assert programme(table, TERMS)["break_even_more_spend"] is None


def test_tiers_go_by_their_points():
    assert list(Loyalty(tiers={"gold": 100.0, "silver": 50.0}).tiers) == ["silver", "gold"]
    with pytest.raises(ValidationError, match="two begin at the same points"):
        Loyalty(tiers={"gold": 100.0, "silver": 100.0})


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.sampled_from([2.0**-10, 1.0, 2.0**20]))
def test_what_holds_for_any_base(seed, n, unit):
    """Nobody is lost or doubled, whatever the order; the unit of money changes no tier."""
    rng = np.random.default_rng(seed)
    scores = pd.DataFrame(
        {
            "customer_id": [f"c{k:03d}" for k in range(n)],
            "T": rng.integers(0, 2000, n).astype(float),
            "lifecycle_type": rng.choice(["loyal", "active", "inactive"], n),
            "clv": rng.gamma(1.0, 50.0, n),
        }
    )
    bought = pd.DataFrame(
        {
            "customer_id": scores["customer_id"].sample(frac=0.6, random_state=seed),
            "spend": 50.0,
            "purchase_days": 2.0,
        }
    )
    found = members(scores.sample(frac=1, random_state=seed), bought, TERMS)
    assert found.dtypes.astype(str).to_dict() == MEMBER_TYPES
    assert found["customer_id"].to_list() == scores["customer_id"].to_list()
    assert ((found["points_to_next"] > 0) | (found["tier"] == "gold")).all()
    dearer = TERMS.model_copy(update={"money_per_point": TERMS.money_per_point * unit})
    other = members(scores, bought.assign(spend=bought["spend"] * unit), dearer)
    pd.testing.assert_frame_equal(other, found)

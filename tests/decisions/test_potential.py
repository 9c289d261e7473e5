"""Contacts of people who never bought. Authority: the list made person by person, and figures by hand."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from _settings import small_decisions
from churnlab.config import Decisions
from churnlab.decisions.bars import SENTENCES, Bar
from churnlab.decisions.contact_rules import barred
from churnlab.decisions.holdout import draws
from churnlab.decisions.potential import POTENTIAL_TYPES, as_scored, counts, potential_plan

COST = {"save_rate": 0.1, "contact_cost": 1.0, "incentive_cost": 0.0}
THEIRS = {"for": {"lifecycle_type": ["potential"]}}
ACTIONS: dict[str, Any] = {
    "valued": {"channel": "phone", **COST, "for": {"lifecycle_type": ["potential"], "value_label": ["top"]}},
    "gift": {"channel": "email", **COST, "incentive_cost": 2.0, "offer": "perk", **THEIRS},
    "news": {"channel": "sms", **COST, **THEIRS},
    "styled": {"channel": "email", **COST, "for": {"buying_style": ["loyal"]}},
}
NOBODY = pd.DataFrame({"channel": [], "cost": [], "lifecycle_type": [], "buying_style": []})
LISTED = pd.DataFrame(
    {
        "channel": ["email", "phone"],
        "cost": [3.0, 1.0],
        "lifecycle_type": ["potential", "loyal"],
        "buying_style": ["unassigned", "loyal"],
    }
)


def people(days: str | list[str | None] = "12345") -> pd.DataFrame:
    """a, b, c, ... known since the days of January, those given as ? unknown."""
    since = [None if day == "?" else date(2024, 1, int(day)) for day in days]
    return pd.DataFrame(
        {"customer_id": list("abcdefgh"[: len(since)]), "known_since": since, "is_business": None}
    )


def plan(
    those: pd.DataFrame, settings: Decisions, closed: np.ndarray | None = None, listed: pd.DataFrame = NOBODY
) -> pd.DataFrame:
    bars = np.zeros((len(those), len(settings.actions)), dtype=np.int8) if closed is None else closed
    return potential_plan(those, bars, settings, listed).set_index("customer_id")


def test_the_newest_come_first_and_unknown_days_last() -> None:
    made = plan(people("1?33?"), small_decisions(ACTIONS))
    assert list(made.index) == ["c", "d", "a", "b", "e"]
    assert set(made["decision"]) == {"treated"}
    assert made.loc["c", "why"] == "Known since 2024-01-03 and has not bought yet"
    assert made.loc["b", "why"] == "Signed up and has not bought yet"
    table = pa.Table.from_pandas(made.reset_index(), POTENTIAL_TYPES, preserve_index=False)
    assert table["known_since"].to_pylist()[2:4] == [date(2024, 1, 1), None]


def test_they_get_what_the_list_leaves() -> None:
    """Of 12 in money the list took 4: two gifts at 3 each, then one piece of news at 1, and 1 is left."""
    settings = small_decisions(ACTIONS, budget=12.0, max_contacts=5)
    made = plan(people(), settings, None, LISTED)
    assert list(made["action"]) == ["gift", "gift", "news", "gift", "gift"]
    assert list(made["decision"]) == ["treated"] * 3 + ["left_out"] * 2
    assert set(made["reason"][3:]) == {"budget"}
    assert made["why"].iloc[-1] == (
        "What budget allows goes to customers on the list and to people who signed up later"
    )
    told = counts(made.reset_index())
    assert told == {
        "people": 5,
        "contacts": 3,
        "held_out": 0,
        "cost": 7.0,
        "by_action": {"gift": 2, "news": 1},
        "left_out": {"budget": 2},
    }


def test_each_limit_is_kept() -> None:
    """The list has one contact by email, one of them `potential`: limits of two leave one."""
    for changes, reason in (
        ({"max_contacts": 3}, "max_contacts"),
        (
            {"segment_quotas": [{"column": "lifecycle_type", "value": "potential", "most": 2}]},
            "segment_quotas",
        ),
    ):
        made = plan(people(), small_decisions(ACTIONS, **changes), None, LISTED)
        assert list(made["decision"]) == ["treated", *["left_out"] * 4]
        assert made["reason"].iloc[-1].startswith(reason)
    made = plan(people(), small_decisions(ACTIONS, channel_capacity={"email": 2, "sms": 2}), None, LISTED)
    assert list(made["action"]) == ["gift", "news", "news", "gift", "gift"]
    assert made["reason"].iloc[-1] == "channel_capacity.email"
    other = [{"column": "risk_label", "value": "high", "most": 0}]
    assert set(plan(people(), small_decisions(ACTIONS, segment_quotas=other))["decision"]) == {"treated"}


def test_closed_actions_give_way_and_the_rule_is_the_reason() -> None:
    closed = np.zeros((2, len(ACTIONS)), dtype=np.int8)
    closed[0] = Bar.OPTED_OUT
    closed[1, 1] = Bar.NO_CONSENT
    made = plan(people("11"), small_decisions(ACTIONS), closed)
    assert made.loc["a", ["decision", "action", "reason", "why"]].tolist() == [
        "left_out",
        "gift",
        "opted_out",
        SENTENCES[Bar.OPTED_OUT],
    ]
    assert made.loc["b", ["decision", "action"]].tolist() == ["treated", "news"]


def test_a_playbook_without_an_action_for_them_contacts_nobody() -> None:
    made = plan(people("11"), small_decisions({"styled": ACTIONS["styled"]}))
    assert set(made["reason"]) == {"not_for_them"}
    assert made[["action", "channel", "cost"]].isna().all(axis=None)
    assert counts(pd.DataFrame(columns=POTENTIAL_TYPES.names)) == {}


def test_discounts_and_dear_gifts_are_closed_to_them() -> None:
    """A usual order of 5 leaves 1.5 at a margin of 0.3, which a gift of 2 exceeds, and one of 10 does not."""
    actions = ACTIONS | {"off": {"channel": "email", **COST, "offer": "discount", "discount_share": 0.05}}
    settings = small_decisions(actions, discount_policy={"min_orders": 0, "min_tenure_days": 0})
    facts = people("1").assign(orders=0.0, tenure_days=np.nan, is_top_of_year=False, opted_out=None)
    unknown = ("days_since_last_contact", "contacts_in_window", "days_since_last_discount")
    facts = facts.assign(has_open_complaint=None, **dict.fromkeys(unknown, np.nan))

    def bars(order_value: float) -> dict[str, str]:
        found = barred(as_scored(facts, order_value), facts, settings, 0.3, date(2024, 6, 28))
        return {name: Bar(code).name for name, code in zip(actions, found[0], strict=True)}

    assert bars(10.0) == {
        "valued": "NOT_FOR_THEM",
        "gift": "OPEN",
        "news": "OPEN",
        "styled": "NOT_FOR_THEM",
        "off": "NOT_SELECTED",
    }
    assert bars(5.0)["gift"] == "BELOW_MARGIN"


@hypothesis_settings(max_examples=20, deadline=None)
@given(
    days=st.lists(st.sampled_from("12?"), min_size=1, max_size=8),
    budget=st.integers(0, 30),
    most=st.integers(0, 9),
    email=st.integers(0, 5),
    seed=st.integers(0, 99),
)
def test_no_order_of_rows_and_no_limit_is_broken(
    days: list[str], budget: int, most: int, email: int, seed: int
) -> None:
    settings = small_decisions(
        ACTIONS,
        budget=budget + 4.0,
        max_contacts=most + 2,
        channel_capacity={"email": email + 1},
        control_share=0.5,
    )
    rng, those = np.random.default_rng(seed), people(days)
    closed = rng.choice([0, 0, Bar.RESTING], (len(those), len(ACTIONS))).astype(np.int8)
    made = plan(those, settings, closed, LISTED)
    mixed = rng.permutation(len(those))
    pd.testing.assert_frame_equal(made, plan(those.iloc[mixed], settings, closed[mixed], LISTED))
    treated = made[made["decision"] == "treated"]
    assert treated["cost"].sum() <= budget + 1e-9
    assert len(treated) <= most
    assert (treated["channel"] == "email").sum() <= email
    held = set(made.index[made["decision"] == "control"])
    low = set(those.loc[draws(those["customer_id"], settings.salt) < 0.5, "customer_id"])
    assert held <= low
    assert not low & set(treated.index)
    ample = settings.model_copy(update={"budget": 1e6, "max_contacts": 99, "channel_capacity": {}})
    assert set(plan(those, ample, listed=LISTED).query("decision == 'control'").index) == low


def test_a_million_times_the_money_is_the_same_plan() -> None:
    times = 1e6
    dear = {
        name: action | {cost: action[cost] * times for cost in ("contact_cost", "incentive_cost")}
        for name, action in ACTIONS.items()
    }
    small = plan(people(), small_decisions(ACTIONS, budget=12.0), None, LISTED)
    large = plan(people(), small_decisions(dear, budget=12.0 * times), None, LISTED.assign(cost=[3e6, 1e6]))
    pd.testing.assert_frame_equal(small.assign(cost=small["cost"] * times), large)

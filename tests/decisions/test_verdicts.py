"""Every scored customer's verdict: by hand, and by an independent look at plans drawn at random."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from _settings import small_decisions
from churnlab.config import Decisions
from churnlab.decisions.bars import SENTENCES, Bar
from churnlab.decisions.priority import net_benefit, priority_plan, value_at_stake
from churnlab.decisions.verdicts import VERDICTS

ACTIONS = {
    "call": {"channel": "phone", "contact_cost": 4.0, "incentive_cost": 0.0, "save_rate": 0.15},
    "note": {"channel": "email", "contact_cost": 0.1, "incentive_cost": 0.0, "save_rate": 0.03},
}


def decisions(**changes) -> Decisions:
    return small_decisions(**({"actions": ACTIONS} | changes))


def customers(clv, **columns) -> pd.DataFrame:
    """Who leave with .8: a call brings .12 clv - 4, a note .024 clv - .1."""
    return pd.DataFrame(
        {
            "customer_id": pd.Series([f"c{k:03d}" for k in range(len(clv))], dtype="str"),
            "churn_probability": 0.8,
            "clv": np.asarray(clv, dtype=float),
            "p_alive": 1.0,
            "risk_label": "high",
            "value_label": "top",
            "lifecycle_type": "active",
            "buying_style": "unassigned",
            "horizon_days": 90,
            "reasons": [[] for _ in clv],
        }
    ).assign(**columns)


def told(scores, settings, barred=None) -> list[list[str]]:
    found = priority_plan(scores, settings, barred=barred).verdicts
    assert tuple(found.columns) == VERDICTS
    return found[["decision", "action", "reason"]].astype(str).to_numpy().tolist()


def test_who_is_not_worth_it_by_hand():
    """clv 2.5: a note brings .06 - .1, a call -3.7."""
    assert told(customers([100.0, 2.5]), decisions()) == [
        ["treated", "call", "chosen"],
        ["left_out", "note", "not_worth_it"],
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"budget": 4.0}, "budget"),
        ({"max_contacts": 1}, "max_contacts"),
        (
            {"segment_quotas": [{"column": "lifecycle_type", "value": "active", "most": 1}]},
            "segment_quotas.lifecycle_type=active",
        ),
    ],
)
def test_the_limit_that_leaves_somebody_out_is_named(changes, reason):
    first, second = told(customers([300.0, 200.0]), decisions(**changes))
    assert first == ["treated", "call", "chosen"]
    assert [second[0], second[2]] == ["left_out", reason]


def test_a_full_channel_is_named_where_nothing_else_is_open():
    settings = decisions(actions={"call": ACTIONS["call"]}, channel_capacity={"phone": 1})
    found = priority_plan(customers([300.0, 200.0]), settings).verdicts
    assert found["reason"].astype(str).to_list() == ["chosen", "channel_capacity.phone"]
    assert found["why"].iloc[1] == "The contacts by phone go to customers who bring more"


def test_a_bar_is_named_where_the_best_action_is_closed_and_nothing_else_is_worth_it():
    """Of the first the call is closed and the note is worth it; of the others nothing is open."""
    barred = np.array([[Bar.NO_CONSENT, 0], [Bar.RESTING, Bar.OPTED_OUT], [Bar.OPTED_OUT] * 2])
    found = priority_plan(customers([100.0, 100.0, 2.5]), decisions(), barred=barred).verdicts
    assert found[["decision", "action", "reason"]].astype(str).to_numpy().tolist() == [
        ["treated", "note", "chosen"],
        ["left_out", "call", "resting"],
        ["left_out", "note", "not_worth_it"],
    ]
    assert found["why"].iloc[1] == SENTENCES[Bar.RESTING]


def test_bars_go_with_their_customer_whatever_the_order_of_rows():
    scores = customers([100.0, 150.0, 200.0])
    barred = np.array([[0, 0], [Bar.OPTED_OUT] * 2, [0, 0]])
    one = priority_plan(scores, decisions(), barred=barred)
    other = priority_plan(scores.iloc[::-1], decisions(), barred=barred[::-1])
    pd.testing.assert_frame_equal(one.contacts, other.contacts)
    pd.testing.assert_frame_equal(one.verdicts, other.verdicts)
    assert one.contacts["customer_id"].to_list() == ["c002", "c000"]


@hypothesis_settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 60),
    budget=st.floats(0, 60),
    max_contacts=st.integers(0, 30),
    control_share=st.floats(0, 0.6),
    calls_held_out=st.none() | st.floats(0, 0.6),
)
def test_an_independent_look_at_any_plan(seed, n, budget, max_contacts, control_share, calls_held_out):
    """Row by row: no bar is overstepped, everybody has one verdict, and verdicts agree with the list."""
    rng = np.random.default_rng(seed)
    scores = customers(rng.gamma(0.7, 200.0, n))
    barred = rng.choice([*Bar], size=(n, 2), p=[0.6, *[0.04] * 10])
    actions = {"call": {**ACTIONS["call"], "control_share": calls_held_out}, "note": ACTIONS["note"]}
    settings = decisions(
        actions=actions, budget=budget, max_contacts=max_contacts, control_share=control_share
    )
    made = priority_plan(scores, settings, barred=barred)
    listed = made.contacts.set_index("customer_id")
    found = made.verdicts
    assert found["customer_id"].to_list() == scores["customer_id"].to_list()
    for row, verdict in enumerate(found.itertuples(index=False)):
        place = list(ACTIONS).index(verdict.action)
        contact = settings.actions[verdict.action]
        worth = net_benefit(np.array([0.8]), value_at_stake(scores.iloc[[row]]), contact)[0]
        assert verdict.expected_net_benefit == pytest.approx(worth, abs=1e-5)
        assert verdict.why
        if verdict.customer_id in listed.index:
            on_list = listed.loc[verdict.customer_id]
            assert (on_list["group"], on_list["action"]) == (verdict.decision, verdict.action)
            assert barred[row, place] == Bar.OPEN and worth > 0
        else:
            assert verdict.decision == "left_out"
            if verdict.reason == "not_worth_it":
                assert worth <= 0
            elif verdict.reason.upper() in Bar.__members__:
                assert barred[row, place] == Bar[verdict.reason.upper()] != Bar.OPEN and worth > 0
            else:
                assert verdict.reason in {"budget", "max_contacts"}
                assert barred[row, place] == Bar.OPEN and worth > 0
    treated = listed[listed["group"] == "treated"]
    assert treated["cost"].sum() <= budget + 1e-6 and len(treated) <= max_contacts

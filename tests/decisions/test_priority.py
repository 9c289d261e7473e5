"""The list of contacts: Neslin's formula by hand, budget rules as invariants, an exact solver as oracle."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.optimize import Bounds, LinearConstraint, milp

from _settings import small_decisions
from churnlab.config import Contact, Decisions
from churnlab.decisions.holdout import draws
from churnlab.decisions.priority import (
    LIST_COLUMNS,
    best_actions,
    expected_cost,
    net_benefit,
    priority_plan,
    value_at_stake,
)

OFFER = Contact(channel="email", contact_cost=1.0, incentive_cost=10.0, save_rate=0.2)
CALL = Contact(channel="phone", contact_cost=4.0, incentive_cost=0.0, save_rate=0.15)
NOTE = Contact(channel="email", contact_cost=0.1, incentive_cost=0.0, save_rate=0.03)


def decisions(actions=None, **changes) -> Decisions:
    named = actions or {"call": CALL, "note": NOTE}
    return small_decisions({name: contact.model_dump() for name, contact in named.items()}, **changes)


def customers(p, clv, names=None, reasons=None) -> pd.DataFrame:
    n = len(p)
    return pd.DataFrame(
        {
            "customer_id": pd.Series(names or [f"c{k:04d}" for k in range(n)], dtype="str"),
            "churn_probability": np.asarray(p, dtype=float),
            "clv": np.asarray(clv, dtype=float),
            "p_alive": 1.0,
            "risk_label": "high",
            "value_label": "top",
            "horizon_days": 90,
            "reasons": reasons or [["Last order: 200 days ago, which raises the risk"]] * n,
        }
    )


def test_value_at_stake_by_hand():
    """Of .75 silent .6 are dead: .15 can be kept, a fifth, worth 100 / .4 each. All dead, all there."""
    scores = customers([0.75, 0.75, 0.75, 0.0, 1.0], [100.0] * 5).assign(p_alive=[0.4, 0.2, 1.0, 1.0, 0.0])
    assert value_at_stake(scores) == pytest.approx([50.0, 0.0, 100.0, 0.0, 0.0])


def drawn(seed: int, n: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return customers(rng.uniform(0.05, 0.99, n), rng.gamma(0.7, 200.0, n))


def priority_list(scores, settings, reasons=None) -> pd.DataFrame:
    return priority_plan(scores, settings, reasons).contacts


def held_out(customer_id: pd.Series, settings: Decisions) -> np.ndarray:
    return draws(customer_id, settings.salt) < settings.control_share


def treated(plan: pd.DataFrame) -> pd.DataFrame:
    return plan[plan["group"] == "treated"]


def test_each_customer_has_a_save_rate_of_their_own():
    """p .8, V 100, a call at 4: a rate of .3 brings 20, one of .05 nothing; the note brings 2.4 - .1."""
    scores = customers([0.8, 0.8], [100.0, 100.0]).assign(**{"save_rate.call": [0.3, 0.05]})
    found = best_actions(scores, decisions())
    assert found["action"].to_list() == ["call", "note"]
    assert found["expected_net_benefit"].to_list() == pytest.approx([20.0, 2.3])
    costs = expected_cost(np.array([0.8, 0.8]), OFFER, np.array([0.5, 0.0]))
    assert costs == pytest.approx([1 + 10 * 0.6, 1 + 10 * 0.2])
    plan = priority_list(scores, decisions())
    assert plan["expected_net_benefit"].to_list() == pytest.approx([20.0, 2.3])


def test_net_benefit_by_hand():
    """p .5, V 100: .5·.2·(100 - 10) - .5·10 - 1 = 9 - 5 - 1 = 3; p 1, V 60: .2·50 - 1 = 9; p 0: -10 - 1."""
    found = net_benefit(np.array([0.5, 1.0, 0.0]), np.array([100.0, 60.0, 60.0]), OFFER)
    assert found == pytest.approx([3.0, 9.0, -11.0], abs=1e-12)


def test_net_benefit_is_neslins_sum_over_the_three_kinds_of_customers():
    """Neslin et al. (2006): would-be leaver kept V - c - δ, leaver lost -c, stayer who takes it -c - δ."""
    p, v = np.array([0.1, 0.62, 0.97]), np.array([12.0, 80.0, 640.0])
    gamma, incentive, contact = OFFER.save_rate, OFFER.incentive_cost, OFFER.contact_cost
    kept, lost, stayer = v - contact - incentive, -contact, -contact - incentive
    assert net_benefit(p, v, OFFER) == pytest.approx(
        p * gamma * kept + p * (1 - gamma) * lost + (1 - p) * stayer
    )


def test_expected_cost_by_hand():
    """p .5: 1 + 10·(.5·.2 + .5) = 7; of a certain leaver 1 + 10·.2 = 3; of a certain stayer 1 + 10 = 11."""
    assert expected_cost(np.array([0.5, 1.0, 0.0]), OFFER) == pytest.approx([7.0, 3.0, 11.0])


def test_the_best_action_by_hand():
    """V 100, p .8: call .8·.15·100 - 4 = 8; note .8·.03·100 - .1 = 2.3."""
    found = best_actions(customers([0.8], [100.0]), decisions())
    assert found.loc[0, ["action", "channel"]].to_list() == ["call", "phone"]
    assert found.loc[0, ["value_at_stake", "expected_net_benefit", "cost"]].to_list() == [100.0, 8.0, 4.0]


def test_the_better_action_is_chosen_per_customer():
    """V 20, p .8: call 2.4 - 4 = -1.6, note .48 - .1 = .38."""
    found = best_actions(customers([0.8, 0.8], [20.0, 100.0]), decisions())
    assert found["action"].to_list() == ["note", "call"]
    assert found["expected_net_benefit"].to_list() == pytest.approx([0.38, 8.0])


def test_a_certain_leaver_without_value_has_nothing_at_stake():
    found = best_actions(customers([1.0, 0.5], [0.0, 10.0]), decisions())
    assert found["value_at_stake"].to_list() == [0.0, 10.0]
    assert np.isfinite(found["expected_net_benefit"]).all()


def test_the_index_of_the_scores_is_kept():
    scores = customers([0.8, 0.7], [20.0, 30.0]).set_axis([7, 3])
    assert best_actions(scores, decisions()).index.to_list() == [7, 3]


def test_the_scores_are_left_as_they_are():
    scores = drawn(1, 20)
    before = scores.copy(deep=True)
    priority_list(scores, decisions(budget=10.0))
    pd.testing.assert_frame_equal(scores, before)


def test_who_costs_more_than_they_bring_is_not_contacted():
    """V 2, p .8: call .24 - 4 < 0, note .048 - .1 < 0."""
    plan = priority_list(customers([0.8, 0.8], [2.0, 100.0]), decisions())
    assert plan["customer_id"].to_list() == ["c0001"]


def test_nobody_worth_a_contact_is_an_empty_list():
    plan = priority_list(customers([0.5], [0.0]), decisions())
    assert (list(plan.columns), len(plan)) == (LIST_COLUMNS, 0)


@pytest.mark.parametrize("limit", [{"budget": 0.0}, {"max_contacts": 0}])
def test_nothing_to_spend_is_nobody_treated(limit):
    assert priority_list(drawn(2, 50), decisions(**limit)).empty


def test_capacity_takes_the_most_beneficial():
    """V 100, 50, 200 at p .8, notes only: the third, then the first."""
    plan = priority_list(
        customers([0.8] * 3, [100.0, 50.0, 200.0]), decisions({"note": NOTE}, max_contacts=2)
    )
    assert plan["customer_id"].to_list() == ["c0002", "c0000"]
    assert plan["priority_rank"].to_list() == [1, 2]


def test_a_tight_budget_buys_cheaper_contacts():
    """V 100 at p .8, ten times, budget 5: one call brings 8 (and then 1 money buys 10 notes of 2.3 each).

    By hand: ten notes cost 1 and bring 23; one call and nine notes cost 4.9 and bring 8 + 20.7 = 28.7.
    """
    scores = customers([0.8] * 10, np.linspace(100.0, 100.0045, 10))
    plan = priority_list(scores, decisions(budget=5.0))
    assert plan["expected_net_benefit"].sum() >= 23.0
    assert plan["cost"].sum() <= 5.0
    assert (plan["action"] == "note").sum() >= 9


def test_a_full_channel_leaves_the_next_best_action():
    """V 100, 200, 300 at p .8: a call brings 8, 20, 32, a note 2.3, 4.7, 7.1. One call: 32 + 4.7 + 2.3."""
    settings = decisions(channel_capacity={"phone": 1})
    plan = priority_list(customers([0.8] * 3, [100.0, 200.0, 300.0]), settings)
    assert plan[["customer_id", "action"]].to_numpy().tolist() == [
        ["c0002", "call"],
        ["c0001", "note"],
        ["c0000", "note"],
    ]


def test_a_quota_holds_for_its_kind_of_customers():
    """Of those inactive, one: the one with the most at stake."""
    scores = customers([0.8] * 4, [100.0, 200.0, 300.0, 50.0])
    scores["lifecycle_type"] = ["inactive", "active", "inactive", "inactive"]
    quota = {"column": "lifecycle_type", "value": "inactive", "most": 1}
    made = priority_plan(scores, decisions(segment_quotas=[quota]))
    assert made.contacts["customer_id"].to_list() == ["c0002", "c0001"]
    assert made.choice.gap == 0.0
    assert 8.0 - 1e-6 <= made.choice.prices["segment_quotas.lifecycle_type=inactive"] <= 32.0


def test_a_channel_that_no_action_uses_is_refused():
    with pytest.raises(ValidationError, match="no action uses the channel fax"):
        decisions(channel_capacity={"fax": 1})


def test_equal_customers_fill_the_budget():
    """Budget 10 pays 100 notes of 0.1; which of the equals is decided by customer_id."""
    plan = priority_list(customers([0.8] * 300, [20.0] * 300), decisions({"note": NOTE}, budget=10.0))
    assert plan["customer_id"].to_list() == [f"c{k:04d}" for k in range(100)]


def best_possible(scores: pd.DataFrame, settings: Decisions) -> float:
    """The worth of the best of all lists, by integer programming (HiGHS)."""
    p = scores["churn_probability"].to_numpy()
    stake = scores["clv"].to_numpy()
    contacts = list(settings.actions.values())
    benefit = np.concatenate([net_benefit(p, stake, c) for c in contacts])
    cost = np.concatenate([expected_cost(p, c) for c in contacts])
    one_each = np.tile(np.eye(len(p)), len(contacts))
    rows = np.vstack([one_each, cost, np.ones(len(cost))])
    limits = np.concatenate([np.ones(len(p)), [settings.budget, settings.max_contacts]])
    found = milp(
        -benefit,
        constraints=LinearConstraint(rows, ub=limits),
        integrality=np.ones(len(cost)),
        bounds=Bounds(0, 1),
    )
    return -found.fun


@pytest.mark.parametrize(
    ("budget", "max_contacts"), [(60.0, 150), (60.0, 30), (300.0, 60), (9.0, 150), (1e6, 150)]
)
@pytest.mark.parametrize("seed", [3, 4])
def test_the_list_is_worth_what_integer_programming_finds(seed, budget, max_contacts):
    """Authority: scipy's milp."""
    scores = drawn(seed, 150)
    settings = decisions(budget=budget, max_contacts=max_contacts)
    best = best_possible(scores, settings)
    worth = priority_list(scores, settings)["expected_net_benefit"].sum()
    assert (1 - 1e-6) * best <= worth <= best + 1e-3


@hypothesis_settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(0, 60),
    budget=st.floats(0, 200),
    max_contacts=st.integers(0, 40),
    control_share=st.floats(0, 0.9),
    salt=st.text(max_size=5),
)
def test_invariants(seed, n, budget, max_contacts, control_share, salt):
    """Never over budget or capacity; ranks 1 … n; sorted; nobody twice; every contact worth its cost."""
    settings = decisions(
        {"call": CALL, "offer": OFFER, "note": NOTE},
        budget=budget,
        max_contacts=max_contacts,
        control_share=control_share,
        salt=salt,
    )
    scores = drawn(seed, n)
    plan = priority_list(scores, settings)
    reached = treated(plan)
    assert reached["cost"].sum() <= budget + 1e-6
    assert len(reached) <= max_contacts
    assert plan["priority_rank"].to_list() == list(range(1, len(plan) + 1))
    assert plan["expected_net_benefit"].is_monotonic_decreasing
    assert (plan["expected_net_benefit"] > 0).all()
    assert plan["customer_id"].is_unique and plan["customer_id"].isin(scores["customer_id"]).all()
    assert set(plan["group"]) <= {"treated", "control"}
    shuffled = priority_list(scores.sample(frac=1, random_state=seed), settings)
    pd.testing.assert_frame_equal(shuffled, plan)


@hypothesis_settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), small=st.floats(0.5, 50), more=st.floats(0, 100))
def test_a_larger_budget_is_never_worth_much_less(seed, small, more):
    """The best list within a budget is also within a larger one; the method may miss it by one contact."""
    scores = drawn(seed, 40)
    low, high = (
        priority_list(scores, decisions(budget=b))["expected_net_benefit"] for b in (small, small + more)
    )
    assert high.sum() >= low.sum() - (high.max() if len(high) else 0.0) - 1e-9


def test_the_control_group_stays_on_the_list_and_is_free():
    """With every second customer held out, a budget of 10 notes treats 10 and lists the held-out between."""
    settings = decisions({"note": NOTE}, budget=1.0, control_share=0.5)
    scores = drawn(5, 400)
    scores["clv"] += 5.0
    plan = priority_list(scores, settings)
    assert len(treated(plan)) == 10
    worst = treated(plan)["expected_net_benefit"].min()
    eligible = scores[held_out(scores["customer_id"], settings)]
    benefit = best_actions(eligible, settings)["expected_net_benefit"]
    expected = set(eligible["customer_id"][benefit > worst])
    assert expected and expected <= set(plan.loc[plan["group"] == "control", "customer_id"])


@pytest.mark.parametrize("share", [0.0, 0.3, 0.95])
@pytest.mark.parametrize("max_contacts", [0, 1, 7, 500])
@pytest.mark.parametrize("worths", [[50.0], [50.0, 0.0, 80.0, 50.0]])
def test_equals_go_by_their_id_until_the_capacity_is_full(worths, max_contacts, share):
    """Counted out one by one: best first, equals by id, those held out beside the capacity."""
    settings = decisions({"note": NOTE}, max_contacts=max_contacts, control_share=share)
    scores = customers([0.5] * 300, np.resize(worths, 300))
    held = dict(zip(scores["customer_id"], held_out(scores["customer_id"], settings), strict=True))
    expected, left = [], max_contacts
    for worth, name in sorted((-worth, name) for name, worth in zip(held, scores["clv"], strict=True)):
        if worth == 0.0 or (left == 0 and not held[name]):
            break
        expected.append(name)
        left -= not held[name]
    assert list(priority_list(scores, settings)["customer_id"]) == expected


def test_the_control_share_is_kept():
    """Binomial: 10 % of 20,000 with a standard deviation of 42."""
    names = pd.Series([f"kunde-{k}" for k in range(20_000)], dtype="str")
    assert held_out(names, decisions(control_share=0.1)).sum() == pytest.approx(2000, abs=5 * 42)


def test_nobody_is_held_out_at_a_share_of_0():
    assert not held_out(pd.Series(["a", "b"]), decisions(control_share=0.0)).any()


@hypothesis_settings(deadline=None)
@given(
    names=st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=30, unique=True),
    more=st.lists(st.text(min_size=9, max_size=12), max_size=10, unique=True),
)
def test_who_is_held_out_depends_on_nobody_else(names, more):
    settings = decisions(control_share=0.4)
    alone = dict(zip(names, held_out(pd.Series(names, dtype="object"), settings), strict=True))
    crowd = [*more, *reversed(names)]
    among = dict(zip(crowd, held_out(pd.Series(crowd, dtype="object"), settings), strict=True))
    assert all(among[name] == alone[name] for name in names)


def test_another_salt_holds_out_others():
    names = pd.Series([f"c{k}" for k in range(200)])
    one, other = (held_out(names, decisions(control_share=0.5, salt=salt)) for salt in ("a", "b"))
    assert (one != other).any()


def test_the_list_has_its_columns_and_types():
    plan = priority_list(drawn(6, 30), decisions(control_share=0.3))
    assert list(plan.columns) == LIST_COLUMNS
    assert plan["priority_rank"].dtype == np.int64
    for name in ("customer_id", "action", "channel", "group", "why"):
        assert plan[name].dtype == "str"


def test_why_is_a_readable_sentence():
    scores = customers([0.876], [1250.0])
    assert priority_list(scores, decisions())["why"].to_list() == [
        "88% chance of no order in 90 days, 1,250 profit at stake. "
        "Last order: 200 days ago, which raises the risk."
    ]


@pytest.mark.parametrize(
    ("reasons", "ending"),
    [
        ([], "No single reason stands out."),
        (None, "No single reason stands out."),
        (np.array([], dtype=object), "No single reason stands out."),
        (["Steady, which lowers the risk"], "Less at risk than most, but much to lose: steady."),
        (["A: 1, which lowers the risk", "Β: ۲, which raises the risk"], "Β: ۲, which raises the risk."),
    ],
)
def test_why_tells_what_raises_the_risk_if_anything_does(reasons, ending):
    plan = priority_list(customers([0.8], [100.0], reasons=[reasons]), decisions())
    assert plan["why"].iloc[0].endswith(f"at stake. {ending}")


@pytest.mark.parametrize(
    ("p", "start"), [(0.9999, "Over 99% chance"), (0.004, "Under 1% chance"), (0.5, "50% chance")]
)
def test_what_is_not_certain_is_not_called_certain(p, start):
    plan = priority_list(customers([p], [1000.0]), decisions({"note": NOTE}))
    assert plan["why"].iloc[0].startswith(start)


def test_scores_of_an_earlier_plan_are_replaced():
    """The scores carry the best action's benefit and rank; the list has its own."""
    scores = customers([0.8], [100.0]).assign(priority_rank=9, expected_net_benefit=-1.0)
    plan = priority_list(scores, decisions())
    assert (plan["priority_rank"].iloc[0], plan["expected_net_benefit"].iloc[0]) == (1, 8.0)


def test_reasons_are_asked_for_of_those_on_the_list_only():
    """The same list as with the reasons beside the scores, whatever order the answer comes in."""
    told = [[f"Silence of {k} days, which raises the risk"] for k in range(300)]
    scores = drawn(6, 300).assign(reasons=told)
    asked: list[str] = []

    def reasons(customer_id: pd.Series) -> pd.DataFrame:
        asked.extend(customer_id)
        return scores.loc[scores["customer_id"].isin(customer_id), ["customer_id", "reasons"]].iloc[::-1]

    settings = decisions(budget=60.0, control_share=0.2)
    plan = priority_list(scores.drop(columns="reasons"), settings, reasons)
    pd.testing.assert_frame_equal(plan, priority_list(scores, settings))
    assert 0 < len(plan) < 300
    assert sorted(asked) == sorted(plan["customer_id"])

"""Profit on past cutoffs: by hand for five customers, and what must hold for any."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from _settings import YEAR_AT_HALF as CLV
from _settings import small_decisions
from churnlab.config import Contact, Decisions
from churnlab.decisions.bars import Bar
from churnlab.decisions.profit import PROFIT_TYPES, RULES, over_all, profit_table, realised_profit, value_kept

CALL = {"channel": "phone", "contact_cost": 4.0, "incentive_cost": 0.0, "save_rate": 0.2}
OFFER = {"channel": "email", "contact_cost": 1.0, "incentive_cost": 2.0, "save_rate": 0.1}


def decisions(actions=None, **changes) -> Decisions:
    """With customers held out, of whom the backtest takes no notice."""
    return small_decisions(actions or {"call": CALL}, **({"control_share": 0.5} | changes))


def customers(**columns) -> pd.DataFrame:
    """Five, of whom the first three leave; a year's spend of 100 is worth 50 at the margin of a half."""
    frame = {
        "cutoff": "2020-01-01",
        "customer_id": list("abcde"),
        "churned": [1, 1, 1, 0, 0],
        "churn_probability": [0.9, 0.8, 0.5, 0.4, 0.1],
        "p_alive": 1.0,
        "clv": [100.0, 200.0, 0.0, 70.0, 250.0],
        "yearly_spend": [100.0, 400.0, 0.0, 200.0, 300.0],
        "days_since_last_order": [90.0, 40.0, 400.0, 20.0, 5.0],
        "usual_gap_days": 20.0,
    }
    return pd.DataFrame(frame | columns)


def test_realised_profit_by_hand():
    """Of who leaves .1 (50 - 2) - 1 = 3.8, of one with nothing to keep -1, of who stays -2 - 1 = -3."""
    found = realised_profit(np.array([1, 1, 0]), np.array([50.0, 0.0, 50.0]), Contact.model_validate(OFFER))
    assert found == pytest.approx([3.8, -1.0, -3.0])


def test_value_kept_by_hand():
    """Two months at 10 %: (1/1.1 + 1/1.21) / 12 of a year; half of it is profit; a net return is nothing."""
    terms = CLV.model_copy(update={"clv_months": 2, "monthly_discount_rate": 0.1})
    found = value_kept(np.array([1200.0, -5.0]), terms)
    assert found == pytest.approx([50 * (1 / 1.1 + 1 / 1.21), 0.0])


def test_every_strategy_by_hand():
    """A call brings 6, 36, -4 of those who leave and -4 of those who stay; two of them can be made.

    By the list calls are expected to bring 14, 28, -4, 1.6, 1: b and a, and without limits d and e too.
    Silent longest: c, a. Lapsed just now, at a gap of 20: d, then e. Riskiest: a, b. Most valuable: e, b.
    Risk times value 90, 160, 0, 28, 25: b, a. By chance two fifths of 30.
    """
    found = profit_table(customers(), decisions(max_contacts=2), CLV).set_index("strategy")
    assert found["realised_profit"].to_dict() == pytest.approx(
        {
            "plan": 42.0,
            "plan_without_limits": 34.0,
            "nobody": 0.0,
            "everyone": 30.0,
            "random": 12.0,
            "longest_silent": 2.0,
            "just_lapsed": -8.0,
            "risk": 42.0,
            "value": 32.0,
            "risk_times_value": 42.0,
        }
    )
    assert found.loc["plan", ["contacts", "cost", "expected_profit"]].to_list() == pytest.approx([2, 8, 42])
    assert found.loc["random", ["contacts", "cost"]].to_list() == pytest.approx([2.0, 8.0])
    assert found.loc["value", "plan_ahead"] == pytest.approx(10.0)


def test_the_interval_by_hand():
    """Customers bring 6, 36, 0, 0, 0 each by the plan: the standard deviation of the sum is 15.6 · √5."""
    row = profit_table(customers(), decisions(max_contacts=2), CLV).iloc[0]
    spread = 1.6448536269514722 * np.std([6, 36, 0, 0, 0], ddof=1) * np.sqrt(5)
    assert (row["low"], row["high"]) == pytest.approx((42 - spread, 42 + spread))


def test_rules_get_the_action_that_suited_them_best():
    """An offer brings 3.8, 18.8, -1, -3, -3: of everyone a call brings 30, an offer 15.6."""
    table = profit_table(customers(), decisions({"offer": OFFER, "call": CALL}), CLV).set_index("strategy")
    assert table.loc["everyone", "action"] == "call"
    assert table.loc["longest_silent", "action"] == "call"


def test_two_cutoffs_add_up_and_a_customer_counts_once():
    """The same five twice: sums double, and so do intervals, for each customer is drawn with both."""
    rows = pd.concat([customers(), customers(cutoff="2020-04-01")])
    table = profit_table(rows, decisions(max_contacts=2), CLV)
    one = table[table["cutoff"] == "2020-01-01"].set_index("strategy")
    both = over_all(table).set_index("strategy")
    for name in ("contacts", "cost", "expected_profit", "realised_profit", "low", "high", "ahead_low"):
        assert both[name].to_dict() == pytest.approx((2 * one[name]).to_dict()), name


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(2, 60),
    budget=st.floats(0, 200),
    max_contacts=st.integers(0, 40),
    unit=st.sampled_from([1.0, 1e6]),
)
def test_what_holds_for_any_base(seed, n, budget, max_contacts, unit):
    """Limits are kept, no money is nothing gained, order and unit of money are no matter."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "cutoff": "2020-01-01",
            "customer_id": [f"c{k:03d}" for k in range(n)],
            "churned": rng.integers(0, 2, n),
            "churn_probability": rng.uniform(0.05, 0.95, n),
            "p_alive": rng.uniform(0.2, 1.0, n),
            "clv": rng.gamma(0.7, 200.0, n),
            "yearly_spend": rng.gamma(0.7, 200.0, n),
            "days_since_last_order": rng.integers(0, 500, n).astype(float),
            "usual_gap_days": rng.uniform(1, 90, n),
        }
    )
    chosen = decisions({"call": CALL, "offer": OFFER}, budget=budget, max_contacts=max_contacts)
    table = profit_table(rows, chosen, CLV)
    assert table.dtypes.astype(str).to_dict() == PROFIT_TYPES
    by_name = table.set_index("strategy")
    for name in ("plan", "random", *RULES):
        assert by_name.loc[name, "contacts"] <= max_contacts + 1e-9
    for name in ("plan", *RULES):
        assert by_name.loc[name, "cost"] <= budget * (1 + 1e-6) + 1e-6
    assert (by_name["low"] <= by_name["realised_profit"]).all()
    assert by_name.loc["nobody", "realised_profit"] == 0.0
    shuffled = profit_table(rows.sample(frac=1, random_state=seed), chosen, CLV)
    pd.testing.assert_frame_equal(shuffled, table)
    money = {"clv": rows["clv"] * unit, "yearly_spend": rows["yearly_spend"] * unit}
    dearer = {
        name: {
            **one,
            "contact_cost": one["contact_cost"] * unit,
            "incentive_cost": one["incentive_cost"] * unit,
        }
        for name, one in {"call": CALL, "offer": OFFER}.items()
    }
    scaled = profit_table(
        rows.assign(**money), decisions(dearer, budget=budget * unit, max_contacts=max_contacts), CLV
    )
    columns = ["cost", "expected_profit", "realised_profit", "low", "ahead_high"]
    np.testing.assert_allclose(scaled[columns], table[columns] * unit, rtol=1e-6, atol=1e-5 * unit)


def test_nobody_is_contacted_by_an_action_that_is_closed_to_them():
    """b is closed. The list: a, then d. Riskiest: a, c. Most valuable: e, a. By chance two quarters of -6."""
    closed = np.zeros((5, 1), dtype=np.int8)
    closed[1] = Bar.NO_CONSENT
    found = profit_table(customers(), decisions(max_contacts=2), CLV, closed).set_index("strategy")
    realised = found["realised_profit"].to_dict()
    assert {
        name: realised[name] for name in ("plan", "risk", "value", "everyone", "random")
    } == pytest.approx({"plan": 2.0, "risk": 2.0, "value": 2.0, "everyone": -6.0, "random": -3.0})
    assert found.loc["everyone", "contacts"] == 4


def test_bars_go_with_their_rows_whatever_their_order():
    closed = np.zeros((5, 1), dtype=np.int8)
    closed[[0, 3]] = Bar.NO_CONSENT
    straight = profit_table(customers(), decisions(max_contacts=2), CLV, closed)
    turned = profit_table(customers().iloc[::-1], decisions(max_contacts=2), CLV, closed[::-1])
    pd.testing.assert_frame_equal(turned, straight)

"""Whether a model of who responds is adopted. Authority: made-up campaigns whose save rates are known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from _campaigns import FEATURES, SaveRates, all_alike, campaign, customers, lately_silent
from _settings import small_decisions
from churnlab.config import Decisions
from churnlab.decisions import optimiser, uplift
from churnlab.decisions.priority import net_benefit, priority_plan, untold
from churnlab.decisions.save_rates import SaveRate, with_own_rates
from churnlab.decisions.uplift import FEWEST, Trial, trials, tried

CAMPAIGNS, ROWS, CONTROL_SHARE = 12, 500, 0.25


@cache
def judged(rates: SaveRates, average: float, number: int = CAMPAIGNS, rows: int = ROWS) -> list[Trial | None]:
    made = (campaign(np.random.default_rng([k, rows]), rows, CONTROL_SHARE, rates) for k in range(number))
    return [tried(one, FEATURES, average) for one in made]


def adopted(found: list[Trial | None]) -> float:
    return float(np.mean([trial is not None and trial.response is not None for trial in found]))


@cache
def one() -> tuple[pd.DataFrame, Trial]:
    rows = campaign(np.random.default_rng(11), 3000, CONTROL_SHARE, lately_silent)
    trial = tried(rows, FEATURES, 0.2)
    assert trial is not None
    return rows, trial


def settings() -> Decisions:
    """A hundred contacts for a thousand customers."""
    call = {"channel": "phone", "contact_cost": 2.0, "incentive_cost": 1.0, "save_rate": 0.2}
    return small_decisions({"call": call}, max_contacts=100)


def true_benefit(people: pd.DataFrame, told: pd.DataFrame) -> float:
    """Of the plan that is made by what is told, by the save rates that nobody is told."""
    listed = priority_plan(told, settings(), untold).contacts[["customer_id"]]
    treated = listed.merge(people, on="customer_id", validate="one_to_one")
    p, stake = treated["churn_probability"].to_numpy(), treated["clv"].to_numpy()
    return float(net_benefit(p, stake, settings().actions["call"], lately_silent(treated)).sum())


def test_where_all_are_alike_the_average_stays(monkeypatch):
    """By chance alone a model may look better: in no more than a tenth."""
    monkeypatch.setattr(uplift, "RESAMPLES", 100)
    assert adopted(judged(all_alike, 0.2)) <= 0.1


def test_where_some_respond_the_model_is_adopted_and_ranks_them():
    found = [trial for trial in judged(lately_silent, 0.2, 4, 3000) if trial is not None]
    assert adopted(found) >= 0.75
    for trial in found:
        assert trial.ahead == pytest.approx(trial.qini - trial.qini_average)
        assert trial.ahead_low < trial.ahead < trial.ahead_high
        assert trial.qini_low < trial.qini < trial.qini_high
        assert trial.auuc > trial.auuc_average
        assert (trial.response is not None) == (trial.ahead_low > 0 and trial.qini_low > 0)


def test_the_plan_brings_more_with_it(monkeypatch):
    """New customers of the same kind: five lists by own rates beside five by the average."""
    monkeypatch.setattr(optimiser, "CORE_OPTIONS", 0)  # by prices alone: a little less than the best, faster
    response = one()[1].response
    assert response is not None
    gains = []
    for seed in range(5):
        people = customers(np.random.default_rng(100 + seed), 1000)
        gains.append(
            true_benefit(people, with_own_rates(people, {"call": response})) / true_benefit(people, people)
        )
    assert min(gains) > 1.2


def test_the_treated_are_kept_as_often_as_by_the_average():
    rows, trial = one()
    assert trial.response is not None
    rates = trial.response.save_rates(rows)
    treated = rows["group"] == "treated"
    mean = np.average(rates[treated], weights=rows.loc[treated, "churn_probability"])
    assert mean == pytest.approx(0.2, abs=1e-9)
    assert ((rates >= 0) & (rates <= 1)).all()


def test_the_order_of_rows_decides_nothing():
    rows, trial = one()
    assert tried(rows.sample(frac=1, random_state=3), FEATURES, 0.2) == trial


def test_the_unit_of_money_decides_nothing():
    rows, trial = one()
    rials = rows.assign(clv=rows["clv"] * 42_000.0, pre_spend=rows["pre_spend"] * 42_000.0)
    other = tried(rials, FEATURES, 0.2)
    assert other is not None and other.response is not None and trial.response is not None
    assert other.qini == pytest.approx(trial.qini)
    np.testing.assert_allclose(other.response.save_rates(rials), trial.response.save_rates(rows), atol=1e-9)


def test_a_customer_on_two_lists_counts_once_in_the_interval():
    """The same rows twice are no further customers: the interval stays as wide."""
    rows, trial = one()
    twice = pd.concat([rows, rows.assign(as_of="2024-02-01")])
    other = tried(twice, FEATURES, 0.2)
    assert other is not None
    width, before = other.qini_high - other.qini_low, trial.qini_high - trial.qini_low
    assert width == pytest.approx(before, rel=0.15)


def test_too_few_customers_and_one_outcome_tell_nothing():
    rows, _ = one()
    held_out = rows[rows["group"] == "control"]
    few = pd.concat([rows[rows["group"] == "treated"], held_out.head(FEWEST - 1)])
    assert tried(few, FEATURES, 0.2) is None
    assert tried(rows.assign(retained=1.0), FEATURES, 0.2) is None


def test_actions_do_not_touch_each_other():
    rows, trial = one()
    rate = SaveRate(0.1, 0.2, 0.01, 0.2, 0.01, 9, 9)
    both = pd.concat([rows, rows.head(50).assign(action="letter")])
    assert trials(both, FEATURES, {"call": rate, "letter": rate}) == {"call": trial}


def test_what_is_told_of_a_trial():
    told = one()[1].figures()
    assert told["is_adopted"] and told["features"] == list(FEATURES)
    assert not replace(one()[1], response=None).figures()["is_adopted"]
    assert "response" not in told

"""What other assumptions would do to a plan. Authority: the formula by hand, and plans made anew."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from _settings import small_decisions
from churnlab.config import Decisions
from churnlab.decisions.priority import priority_plan
from churnlab.decisions.sensitivity import other_horizon, sensitivities

CALL = {"channel": "phone", "contact_cost": 4.0, "incentive_cost": 0.0, "save_rate": 0.15}
NOTE = {"channel": "email", "contact_cost": 0.1, "incentive_cost": 0.0, "save_rate": 0.03}


def decisions(**changes) -> Decisions:
    return small_decisions(**({"actions": {"call": CALL, "note": NOTE}} | changes))


def customers(p, clv) -> pd.DataFrame:
    ids = pd.Series([f"c{k:04d}" for k in range(len(p))], dtype="str")
    figures = {"churn_probability": np.asarray(p, float), "clv": np.asarray(clv, float), "p_alive": 1.0}
    told = {"risk_label": "high", "value_label": "top", "horizon_days": 90}
    return pd.DataFrame({"customer_id": ids, **figures, **told})


def by_name(found) -> dict[tuple[str, float], object]:
    return {(one.assumption, one.factor): one for one in found}


def test_one_customer_by_hand():
    """V 100, p .8: a call brings .8 * .15 * 100 - 4 = 8, a note 2.4 - .1 = 2.3.

    Save rates halved: call 6 - 4 = 2, note 1.2 - .1 = 1.1. Margin halved: V 50, likewise 2 and 1.1. Half the
    horizon: p .8944, call .8944 * .15 * 100 - 4 = 9.416.
    """
    scores, settings = customers([0.8], [100.0]), decisions()
    present = pd.DataFrame({"customer_id": ["c0000"], "action": ["call"]})
    found = by_name(sensitivities(scores, settings, present))
    assert set(found) == {(name, k) for name in ("save_rate", "margin", "horizon") for k in (0.5, 1.5)}
    for name in ("save_rate", "margin"):
        assert found[name, 0.5].present_benefit == pytest.approx(2.0)
        assert found[name, 1.5].best_benefit == pytest.approx(14.0)
    assert found["horizon", 0.5].present_benefit == pytest.approx(9.416, abs=0.001)
    assert all((one.kept_on_list, one.kept_action) == (1.0, 1.0) for one in found.values())


def test_own_save_rates_are_off_by_as_much():
    """V 100, p .8, own rate .3: a call brings 24 - 4 = 20; with half of it 8, with half more 32."""
    scores = customers([0.8], [100.0]).assign(**{"save_rate.call": [0.3]})
    present = pd.DataFrame({"customer_id": ["c0000"], "action": ["call"]})
    found = by_name(sensitivities(scores, decisions(), present))
    assert found["save_rate", 0.5].present_benefit == pytest.approx(8.0)
    assert found["save_rate", 1.5].present_benefit == pytest.approx(32.0)
    assert found["save_rate", 1.5].best_benefit == pytest.approx(32.0)


def test_who_would_no_longer_be_worth_it():
    """V 50, p .8: a call brings 6 - 4 = 2; with half the save rate 3 - 4 = -1 and the note .6 - .1 = .5."""
    scores = customers([0.8], [50.0])
    present = pd.DataFrame({"customer_id": ["c0000"], "action": ["call"]})
    found = by_name(sensitivities(scores, decisions(), present))["save_rate", 0.5]
    assert (found.kept_on_list, found.kept_action) == (1.0, 0.0)
    assert found.present_benefit == pytest.approx(-1.0)
    assert found.best_benefit == pytest.approx(0.5)
    alone = by_name(sensitivities(scores, decisions(actions={"call": CALL}), present))["save_rate", 0.5]
    assert (alone.kept_on_list, alone.best_benefit) == (0.0, 0.0)


def test_no_plan_at_hand_beats_the_one_made_for_the_case():
    rng = np.random.default_rng(7)
    scores, settings = (
        customers(rng.uniform(0.05, 0.99, 400), rng.gamma(0.7, 40.0, 400)),
        decisions(budget=80.0),
    )
    plan = priority_plan(scores.assign(reasons=[[]] * 400), settings).contacts
    for one in sensitivities(scores, settings, plan[["customer_id", "action"]]):
        assert one.present_benefit <= one.best_benefit * (1 + 1e-6)
        assert 0.0 <= one.kept_action <= one.kept_on_list <= 1.0


def test_a_rate_that_stays_the_same_has_other_chances_in_other_horizons():
    """Twice the horizon of .8 is .64."""
    scores, _ = other_horizon(customers([0.8], [1.0]), decisions(), 2.0)
    assert scores["churn_probability"].to_list() == pytest.approx([0.64])


def test_nobody_treated_is_nothing_to_tell():
    assert (
        sensitivities(customers([0.8], [100.0]), decisions(), pd.DataFrame(columns=["customer_id", "action"]))
        == []
    )

"""Effects of actions and segments as a table. Authority: sums by hand, invariants."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from churnlab.config import Decisions, read_params
from churnlab.decisions.effects import EFFECT_TYPES, OUTCOMES, effects
from churnlab.decisions.experiment import compare

SETTINGS = read_params(Path(__file__).parents[2] / "params.yaml").decisions
MONEY_IN = ["net_spend", "pre_spend", "clv", "cost"]
MONEY_OUT = [
    "mean_treated",
    "mean_control",
    "difference",
    "low",
    "high",
    "se",
    "se_plain",
    "detectable",
    "needed",
]


def rows(seed: int = 1, n: int = 200, **columns) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    habit = rng.gamma(1.0, 2.0, n)
    made = pd.DataFrame(
        {
            "as_of": "2024-01-01",
            "customer_id": [f"c{k:04d}" for k in range(n)],
            "action": rng.choice(["personal_call", "win_back_offer"], n),
            "group": np.where(rng.random(n) < 0.3, "control", "treated"),
            "risk_label": rng.choice(["high", "low"], n),
            "value_label": rng.choice(["top", "medium", "low"], n),
            "cost": 2.0,
            "churn_probability": rng.random(n),
            "clv": habit * 20,
            "pre_spend": habit * rng.gamma(2.0, 10.0, n),
            "pre_days": rng.poisson(habit).astype(float),
            "retained": (rng.poisson(habit) > 0).astype(float),
            "net_spend": habit * rng.gamma(2.0, 10.0, n),
            "contacted": np.nan,
        }
    )
    return made.assign(**columns)


def row(table: pd.DataFrame, outcome: str, by: str = "all", segment: str = "all") -> pd.Series:
    (found,) = table[
        (table["outcome"] == outcome) & (table["segment_by"] == by) & (table["segment"] == segment)
    ].iterrows()
    return found[1]


def test_a_row_for_every_action_segment_and_outcome():
    table = effects(rows(), SETTINGS, 0.3).table
    assert list(table.columns) == list(EFFECT_TYPES)
    assert {name: str(kind) for name, kind in table.dtypes.items()} == EFFECT_TYPES
    assert len(table) == 2 * (1 + 2 + 3) * 2
    assert not table.duplicated(["action", "segment_by", "segment", "outcome"]).any()
    for _, part in table[table["outcome"] == "retained"].groupby(["action", "segment_by"]):
        assert (
            part[["n_treated", "n_control"]].to_numpy().sum()
            == (rows()["action"] == part["action"].iloc[0]).sum()
        )


def test_actions_do_not_touch_each_other():
    both = rows()
    alone = both[both["action"] == "personal_call"]
    table = effects(both, SETTINGS, 0.3).table
    assert row(table[table["action"] == "personal_call"], "net_spend")["se"] == compare(alone, "net_spend").se
    pd.testing.assert_frame_equal(
        effects(alone, SETTINGS, 0.3).table,
        table[table["action"] == "personal_call"].reset_index(drop=True),
    )


def test_what_is_needed_by_hand():
    """Assumed .15 of the leavers of the control group; a cost of 2 at a margin of .4 needs 5 of spend."""
    table = effects(rows(action="personal_call"), SETTINGS, 0.4).table
    kept, spend = row(table, "retained"), row(table, "net_spend")
    assert kept["needed"] == pytest.approx(0.15 * (1 - kept["mean_control"]))
    assert spend["needed"] == pytest.approx(5)
    assert spend["return_on_spend"] == pytest.approx(spend["difference"] * 0.4 / 2 - 1)
    assert spend["return_high"] == pytest.approx(spend["high"] * 0.4 / 2 - 1)
    assert math.isnan(kept["return_on_spend"])


def test_too_few_to_tell_is_said_and_how_many_would_do():
    table = effects(rows(action="personal_call"), SETTINGS, 0.4).table
    kept = row(table, "retained")
    assert not kept["enough_power"]
    assert kept["low"] <= 0 <= kept["high"]
    times = math.ceil((kept["detectable"] / kept["needed"]) ** 2)
    assert f"{times:,} times as many would do" in kept["warning"]
    assert f"{100 * kept['detectable']:.1f} points" in kept["warning"]


def test_an_effect_that_shows_needs_no_warning():
    made = rows(action="personal_call")
    made["net_spend"] += np.where(made["group"] == "treated", 200.0, 0.0)
    spend = row(effects(made, SETTINGS, 0.4).table, "net_spend")
    assert spend["low"] > 0
    assert spend["warning"] == ""


def test_small_groups_and_those_that_cannot_be_compared_are_named():
    made = rows(n=12, action="personal_call", group=["treated"] * 9 + ["control"] * 3)
    assert "Only 3 customers in one group" in row(effects(made, SETTINGS, 0.4).table, "net_spend")["warning"]
    made = rows(n=5, action="personal_call", group=["treated"] * 4 + ["control"])
    found = effects(made, SETTINGS, 0.4)
    spend = row(found.table, "net_spend")
    assert spend["warning"].startswith("No comparison: 4 treated and 1 held out")
    assert spend[["difference", "se", "return_on_spend"]].isna().all()
    assert spend["enough_power"] is pd.NA
    assert found.save_rates == {}


def test_an_action_that_costs_nothing_has_no_return():
    spend = row(effects(rows(action="personal_call", cost=0.0), SETTINGS, 0.4).table, "net_spend")
    assert math.isnan(spend["return_on_spend"])
    assert spend["enough_power"] is pd.NA


def test_an_action_that_params_no_longer_have_is_measured_but_not_learned():
    found = effects(rows(action="letter"), SETTINGS, 0.4)
    kept = row(found.table, "retained")
    assert math.isfinite(kept["difference"]) and math.isnan(kept["needed"])
    assert found.save_rates == {}


def test_the_prior_is_the_assumption_of_the_action():
    """A prior sure of itself stays; one that knows nothing gives way."""
    for prior_sd, name in ((1e-9, "assumed"), (1.0, "measured")):
        settings = SETTINGS.model_copy(update={"effect_prior_sd": prior_sd})
        rate = effects(rows(n=4000, action="win_back_offer"), settings, 0.4).save_rates["win_back_offer"]
        assert rate.assumed == 0.08
        assert rate.save_rate == pytest.approx(min(max(getattr(rate, name), 0), 1), abs=2e-3)


def test_shares_contacted_by_hand():
    made = rows(n=10, action="personal_call", group=["treated"] * 6 + ["control"] * 4)
    made["contacted"] = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    found = row(effects(made, SETTINGS, 0.4).table, "retained")
    assert (found["contacted_treated"], found["contacted_control"]) == (0.5, 0.25)


@hypothesis_settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_order_of_rows_decides_nothing(seed):
    made = rows(seed, n=60)
    pd.testing.assert_frame_equal(
        effects(made.sample(frac=1, random_state=seed), SETTINGS, 0.3).table,
        effects(made, SETTINGS, 0.3).table,
    )


@hypothesis_settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10**6), unit=st.sampled_from([1e-3, 42_000.0, 1e9]))
def test_the_unit_of_money_decides_nothing(seed, unit):
    made = rows(seed, n=120)
    scaled = effects(made.assign(**{name: made[name] * unit for name in MONEY_IN}), SETTINGS, 0.3)
    found = effects(made, SETTINGS, 0.3)
    for outcome, factor in zip(OUTCOMES, (1.0, unit), strict=True):
        one, other = (each.table[each.table["outcome"] == outcome] for each in (found, scaled))
        np.testing.assert_allclose(other[MONEY_OUT], one[MONEY_OUT] * factor, rtol=1e-6, atol=1e-8 * factor)
        returns = ["return_on_spend", "return_low", "return_high"]
        np.testing.assert_allclose(other[returns], one[returns], rtol=1e-6, atol=1e-8)
        assert other["enough_power"].equals(one["enough_power"])
    for name, rate in found.save_rates.items():
        assert scaled.save_rates[name].save_rate == pytest.approx(rate.save_rate, rel=1e-6)


def test_the_settings_are_those_shipped():
    assert isinstance(SETTINGS, Decisions)
    assert SETTINGS.learned_effects is None

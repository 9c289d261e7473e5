"""What contacts are found to keep. Authority: sums by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from _campaigns import response_by_hand
from churnlab.config import Contact, read_params
from churnlab.decisions.experiment import Comparison
from churnlab.decisions.save_rates import (
    learned_rate,
    measured_rate,
    save_rate_of,
    with_own_rates,
    with_save_rates,
)
from churnlab.errors import DataError

RATES = st.floats(0, 1)


def retained(treated: float, control: float, se_treated=0.03, se_control=0.04) -> Comparison:
    return Comparison(
        300,
        100,
        mean_treated=treated,
        mean_control=control,
        difference=treated - control,
        se=math.hypot(se_treated, se_control),
        se_treated=se_treated,
        se_control=se_control,
    )


def test_measured_by_hand():
    """Of 80 % who would leave 60 % do: a quarter is kept. Error: √((.03/.8)² + (.04·.6/.8²)²) = √.0028125."""
    assert measured_rate(retained(0.4, 0.2)) == pytest.approx((0.25, math.sqrt(0.0028125)))


def test_learned_by_hand():
    """Assumed .1 ± .05, measured .25 ± √.0028125: .0025 / (.0025 + .0028125) = 8/17 of the way."""
    found = learned_rate(retained(0.4, 0.2), assumed=0.1, prior_sd=0.05)
    assert found is not None
    assert found.save_rate == pytest.approx(0.1 + 0.15 * 8 / 17)
    assert found.sd**-2 == pytest.approx(0.05**-2 + 1 / 0.0028125)
    assert (found.assumed, found.measured) == pytest.approx((0.1, 0.25))
    assert (found.n_treated, found.n_control) == (300, 100)


@pytest.mark.parametrize(
    "comparison", [retained(1.0, 1.0), retained(0.5, 0.4, 0, 0), Comparison(5, 1)], ids=str
)
def test_nothing_is_learned_where_nobody_left_or_nothing_is_compared(comparison):
    assert learned_rate(comparison, 0.1, 0.05) is None


@given(RATES, st.floats(0, 0.99), RATES, st.floats(0.001, 1))
def test_it_lies_between_assumption_and_measurement_and_within_0_and_1(treated, control, assumed, prior_sd):
    found = learned_rate(retained(treated, control), assumed, prior_sd)
    assert found is not None
    low, high = sorted([assumed, found.measured])
    assert max(low, 0) - 1e-9 <= found.save_rate <= min(high, 1) + 1e-9
    assert found.sd <= min(prior_sd, found.se) + 1e-12


def test_thin_data_leave_the_assumption():
    found = learned_rate(retained(0.4, 0.2, 5.0, 5.0), 0.1, 0.05)
    assert found is not None
    assert found.save_rate == pytest.approx(0.1, abs=1e-4)


def test_learned_rates_take_the_place_of_the_assumed_ones():
    settings = read_params(Path(__file__).parents[2] / "params.yaml").decisions
    found = with_save_rates(settings, {"personal_call": 0.4, "gone": 0.9})
    rates = {name: contact.save_rate for name, contact in settings.actions.items()}
    assert {name: contact.save_rate for name, contact in found.actions.items()} == rates | {
        "personal_call": 0.4
    }
    assert settings.actions["personal_call"].save_rate == 0.15
    assert found.actions["personal_call"].contact_cost == settings.actions["personal_call"].contact_cost
    assert with_save_rates(settings, {}) == settings


def test_own_rates_by_hand():
    """0.3 and 0.1 more or less; the letter has one rate for all."""
    scores = pd.DataFrame({"days_since_last_order": [10.0, 90.0]}, index=[7, 3])
    rated = with_own_rates(scores, {"call": response_by_hand()})
    call = Contact(channel="phone", contact_cost=1.0, incentive_cost=0.0, save_rate=0.25)
    assert save_rate_of(rated, "call", call) == pytest.approx([0.4, 0.2])
    assert save_rate_of(rated, "letter", call).tolist() == [0.25, 0.25]
    assert save_rate_of(scores, "call", call).tolist() == [0.25, 0.25]
    assert rated.index.to_list() == [7, 3]
    assert list(scores) == ["days_since_last_order"]


def test_scores_without_a_column_that_a_model_reads():
    says = "scores: have no column mood, which the model of who responds to call reads"
    with pytest.raises(DataError, match=says):
        with_own_rates(pd.DataFrame({"clv": [1.0]}), {"call": response_by_hand("mood")})

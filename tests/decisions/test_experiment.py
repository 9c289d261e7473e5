"""Treated against control. Authority: sums by hand, SciPy's Welch test, least squares, invariants."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from churnlab.decisions import experiment
from churnlab.decisions.experiment import COVARIATES, adjust, compare


def listed(treated, control, as_of="2024-01-01", **columns) -> pd.DataFrame:
    """Customers with these outcomes; covariates that say nothing unless given."""
    outcomes = [*treated, *control]
    n = len(outcomes)
    return pd.DataFrame(
        {
            "as_of": as_of,
            "customer_id": [f"c{k:04d}" for k in range(n)],
            "group": ["treated"] * len(treated) + ["control"] * len(control),
            "net_spend": np.asarray(outcomes, dtype=float),
            **dict.fromkeys(COVARIATES, 0.0),
            **columns,
        }
    )


def drawn(seed: int, n: int = 80, share: float = 0.3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    habit = rng.gamma(1.0, 30.0, n)
    group = np.where(rng.random(n) < share, "control", "treated")
    group[:4] = ["treated", "treated", "control", "control"]
    rows = listed(habit + rng.gamma(2.0, 10.0, n), [])
    return rows.assign(
        group=group,
        pre_spend=habit + rng.gamma(2.0, 5.0, n),
        pre_days=rng.poisson(2, n).astype(float),
        churn_probability=rng.random(n),
        clv=habit * 3,
    )


def test_difference_and_error_by_hand():
    """Means 4 and 2; sums of squares 8, so each variance is 4, that of both too: 4/3 + 4/3, t with 4."""
    found = compare(listed([2, 4, 6], [0, 2, 4]), "net_spend")
    assert (found.n_treated, found.n_control) == (3, 3)
    assert (found.mean_treated, found.mean_control, found.difference) == (4, 2, 2)
    assert found.se == pytest.approx(math.sqrt(8 / 3))
    half = stats.t.ppf(0.95, 4) * math.sqrt(8 / 3)
    assert (found.low, found.high) == pytest.approx((2 - half, 2 + half))


def test_without_borrowing_it_is_welchs_test(monkeypatch):
    monkeypatch.setattr(experiment, "BORROWED", 0)
    rows = drawn(1)
    found = compare(rows, "net_spend", [])
    values = [rows.loc[rows["group"] == group, "net_spend"] for group in ("treated", "control")]
    peer = stats.ttest_ind(*values, equal_var=False).confidence_interval(0.90)
    assert (found.low, found.high) == pytest.approx((peer.low, peer.high))


def test_each_variance_leans_on_both_by_hand(monkeypatch):
    """Variances 1 (3 rows) and 9 (2 rows); both: (2·1 + 1·9)/3 = 11/3. With 1 borrowed: (2·1 + 11/3)/3 and
    (1·9 + 11/3)/2.
    """
    monkeypatch.setattr(experiment, "BORROWED", 1)
    found = compare(listed([1, 2, 3], [0, math.sqrt(18)]), "net_spend")
    assert found.se_treated**2 == pytest.approx((2 + 11 / 3) / 3 / 3)
    assert found.se_control**2 == pytest.approx((9 + 11 / 3) / 2 / 2)


def test_the_past_is_taken_out_as_a_regression_does():
    """With one date, CUPED with θ from within the groups is least squares on group and covariates."""
    rows = drawn(2)
    found = compare(rows, "net_spend")
    design = np.column_stack([np.ones(len(rows)), rows["group"] == "treated", rows[list(COVARIATES)]])
    coefficients = np.linalg.lstsq(design.astype(float), rows["net_spend"].to_numpy(), rcond=None)[0]
    assert found.difference == pytest.approx(coefficients[1])


def test_what_the_past_explains_wholly_leaves_no_doubt():
    spend = np.arange(40.0)
    rows = listed(spend[:30] + 5, spend[30:], pre_spend=spend)
    found = compare(rows, "net_spend")
    assert found.difference == pytest.approx(5)
    assert found.se == pytest.approx(0, abs=1e-9)
    assert found.se_plain > 1


def test_few_rows_bear_no_covariate():
    """Ten rows for each: 11 rows of two groups bear none."""
    rows = listed([1, 5, 2, 8, 3, 9], [1, 2, 3, 4, 5], pre_spend=np.arange(11.0))
    assert compare(rows, "net_spend") == compare(rows, "net_spend", [])


def test_dates_are_compared_each_within_itself_by_hand():
    """Differences 2 (1 : 1 of 2 and 2) and 5 (of 4 and 4): weights 1 and 2, so 4. Levels do not matter."""
    first = listed([2, 4], [0, 2])
    second = listed([104, 106, 104, 106], [99, 101, 99, 101], as_of="2024-06-01")
    second["customer_id"] = "d" + second["customer_id"]
    found = compare(pd.concat([first, second]), "net_spend", [])
    assert found.difference == pytest.approx((1 * 2 + 2 * 5) / 3)


def test_a_date_without_two_in_both_groups_is_left_out():
    alone = listed([1, 2, 3], [9], as_of="2024-06-01")
    both = pd.concat([listed([2, 4, 6], [0, 2, 4]), alone])
    assert compare(both, "net_spend") == compare(listed([2, 4, 6], [0, 2, 4]), "net_spend")


def test_nothing_to_compare_is_said():
    found = compare(listed([1, 2, 3], [4]), "net_spend")
    assert (found.n_treated, found.n_control) == (3, 1)
    assert math.isnan(found.difference) and math.isnan(found.se)


def test_the_same_customers_again_tell_nothing_new(monkeypatch):
    """The same list under two dates is one list's knowledge; of other customers, it is twice as much."""
    monkeypatch.setattr(experiment, "BORROWED", 0)
    once = drawn(3)
    again = once.assign(as_of="2024-06-01")
    found = compare(once, "net_spend", [])
    doubled = compare(pd.concat([once, again]), "net_spend", [])
    others = compare(pd.concat([once, again.assign(customer_id="d" + again["customer_id"])]), "net_spend", [])
    assert doubled.se == pytest.approx(found.se, rel=1e-9)
    assert others.se == pytest.approx(found.se / math.sqrt(2))


def test_equal_outcomes_have_no_doubt():
    found = compare(listed([1.0] * 5, [1.0] * 5), "net_spend")
    assert (found.difference, found.low, found.high, found.detectable) == (0, 0, 0, 0)


def test_detectable_difference_of_large_groups_is_the_textbooks():
    """(z of 95 % + z of 80 %) standard errors: 1.645 + 0.842."""
    found = compare(drawn(4, n=5000), "net_spend")
    assert found.detectable / found.se == pytest.approx(1.6449 + 0.8416, abs=2e-3)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_order_of_rows_decides_nothing(seed):
    rows = pd.concat([drawn(seed), drawn(seed + 1, n=40).assign(as_of="2024-06-01")], ignore_index=True)
    assert compare(rows.sample(frac=1, random_state=seed), "net_spend") == compare(rows, "net_spend")


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), unit=st.sampled_from([1e-6, 0.37, 42_000.0, 1e9]))
def test_another_unit_of_money_changes_the_unit_only(seed, unit):
    rows = drawn(seed)
    money = {name: rows[name] * unit for name in ("net_spend", "pre_spend", "clv")}
    found, scaled = compare(rows, "net_spend"), compare(rows.assign(**money), "net_spend")
    for name in ("difference", "se", "low", "high", "mean_control", "detectable"):
        assert getattr(scaled, name) == pytest.approx(getattr(found, name) * unit, rel=1e-7, abs=1e-9 * unit)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), shift=st.floats(-100, 100))
def test_an_effect_on_everybody_treated_is_found_whole(seed, shift):
    rows = drawn(seed)
    more = rows["net_spend"] + np.where(rows["group"] == "treated", shift, 0.0)
    found, shifted = compare(rows, "net_spend"), compare(rows.assign(net_spend=more), "net_spend")
    assert shifted.difference == pytest.approx(found.difference + shift, abs=1e-9)
    assert shifted.se == pytest.approx(found.se)


def test_groups_exchanged_turn_the_sign():
    rows = drawn(5)
    turned = rows.assign(group=np.where(rows["group"] == "treated", "control", "treated"))
    found, opposite = compare(rows, "net_spend"), compare(turned, "net_spend")
    assert (opposite.low, opposite.high) == pytest.approx((-found.high, -found.low))


def test_a_segment_takes_the_theta_of_all():
    rows = drawn(6)
    adjusted = adjust(rows, ["net_spend"])
    part = np.arange(len(rows)) < 40
    design = np.column_stack([np.ones(len(rows)), rows["group"] == "treated", rows[list(COVARIATES)]])
    theta = np.linalg.lstsq(design.astype(float), rows["net_spend"].to_numpy(), rcond=None)[0][2:]
    left = (rows["net_spend"] - rows[list(COVARIATES)] @ theta)[part]
    by_hand = left[rows["group"][part] == "treated"].mean() - left[rows["group"][part] == "control"].mean()
    assert adjusted.of(part).compare("net_spend").difference == pytest.approx(by_hand)


def test_the_rows_are_left_as_they_are():
    rows = drawn(7)
    before = rows.copy(deep=True)
    compare(rows, "net_spend")
    pd.testing.assert_frame_equal(rows, before)

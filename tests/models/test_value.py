"""Lifetime value against hand computation and lifetimes; intervals against simulated outcomes."""

import json
import math
import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnlab.errors import ModelError
from churnlab.models.purchases import PurchaseModel
from churnlab.models.value import DAYS_PER_MONTH, SpendSpread, clv, coherent, fit_spread

CDNOW = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
MODEL = PurchaseModel("bgnbd", CDNOW, 0.0, 0.0, 0)
RFM = pd.DataFrame({"frequency": [2.0, 0.0, 9.0], "recency": [213.0, 0.0, 200.0], "T": [272.0, 100.0, 210.0]})
ORDER_VALUE = np.array([20.0, 35.0, 50.0])


class TwoAMonth(PurchaseModel):
    """Two purchases a month, for ever."""

    def expected_purchases_by(self, rfm, horizons_days):
        return np.tile(2.0 * np.asarray(horizons_days) / DAYS_PER_MONTH, (len(rfm), 1))


def test_clv_of_a_steady_customer_is_an_annuity():
    """By hand: 2 purchases a month of 10 at margin 0.3 are 6 a month: 6 * (1 - 1.01^-12) / 0.01."""
    steady = TwoAMonth("bgnbd", CDNOW, 0.0, 0.0, 0)
    found = clv(steady, np.array([10.0]), RFM.iloc[:1], 12, 0.01, 0.3)
    assert found == pytest.approx([6 * (1 - 1.01**-12) / 0.01])


def test_clv_without_discount_is_profit_on_all_expected_purchases():
    found = clv(MODEL, ORDER_VALUE, RFM, 7, 0.0, 0.3)
    assert found == pytest.approx(MODEL.expected_purchases(RFM, 7 * 365.25 / 12) * ORDER_VALUE * 0.3)


def test_clv_agrees_with_lifetimes_but_for_its_month_of_30_days():
    """lifetimes counts months of 30 days, ours have 30.44: under 3 % apart over a year."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lifetimes
        from lifetimes.utils import _customer_lifetime_value
    peer = lifetimes.BetaGeoFitter()
    peer.params_ = pd.Series(CDNOW)
    peer.predict = peer.conditional_expected_number_of_purchases_up_to_time
    weeks = {name: RFM[name] / 7 for name in ("recency", "T")}
    theirs = _customer_lifetime_value(
        peer, RFM["frequency"], weeks["recency"], weeks["T"], pd.Series(ORDER_VALUE), 12, 0.01, freq="W"
    )
    assert clv(MODEL, ORDER_VALUE, RFM, 12, 0.01, 1.0) == pytest.approx(theirs.to_numpy(), rel=0.03)


def test_clv_grows_with_months_and_falls_with_the_rate():
    values = [clv(MODEL, ORDER_VALUE, RFM, months, 0.01, 0.3) for months in (1, 6, 12, 36)]
    assert all((later > sooner).all() for sooner, later in pairwise(values))
    assert (clv(MODEL, ORDER_VALUE, RFM, 12, 0.05, 0.3) < values[2]).all()
    assert clv(MODEL, ORDER_VALUE * 1e6, RFM, 12, 0.01, 0.3) == pytest.approx(values[2] * 1e6, rel=1e-12)


@pytest.mark.parametrize("wrong", [(0, 0.01, 0.3), (12, -0.01, 0.3), (12, 0.01, 0.0), (12, math.nan, 0.3)])
def test_clv_refuses_what_params_would_refuse(wrong):
    with pytest.raises(ModelError, match="clv: needs"):
        clv(MODEL, ORDER_VALUE, RFM, *wrong)


def test_clv_refuses_order_values_of_other_customers():
    with pytest.raises(ModelError, match="2 order values for 3 customers"):
        clv(MODEL, ORDER_VALUE[:2], RFM, 12, 0.01, 0.3)


def test_coherent_follows_the_forecast_within_bounds():
    """By hand: half, unchanged, at most 5 times, at least a fifth, unchanged where nothing was expected."""
    forecast, own = np.array([5.0, 8.0, 90.0, 0.0, 3.0]), np.array([10.0, 8.0, 9.0, 9.0, 0.0])
    found = coherent(np.full(5, 100.0), forecast, own)
    assert found == pytest.approx([50, 100, 500, 20, 100])


def outcomes(n: int, seed: int) -> dict[str, np.ndarray]:
    """Known churn probability and mean; frequent buyers' spend is steadier (gamma shape 1 + purchases)."""
    g = np.random.default_rng(seed)
    p, given_active = g.random(n), g.lognormal(3, 1, n)
    purchases = np.resize([0.5, 3.0, 12.0], n) + g.random(n)
    active = g.random(n) >= p
    shape = 1.0 + np.floor(purchases)
    spend = np.where(active, given_active * g.gamma(shape, 1 / shape), 0.0)
    return {"p": p, "given_active": given_active, "purchases": purchases, "active": active, "spend": spend}


def spread(data: dict[str, np.ndarray]) -> SpendSpread:
    return fit_spread(data["spend"], data["given_active"], data["purchases"], data["active"])


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9])
def test_interval_holds_what_it_promises_on_new_customers(coverage):
    """Learnt on some, tried on others: at most (1 - coverage) / 2 beyond either end, for each kind."""
    learnt = spread(outcomes(40_000, seed=1))
    new = outcomes(40_000, seed=2)
    low, high = learnt.interval(new["p"], new["given_active"], coverage, new["purchases"])
    for fewest in (0.5, 3.0, 12.0):
        kind = (new["purchases"] >= fewest) & (new["purchases"] < fewest + 1)
        # An end is only ever moved outwards (to the expectation), so nothing may fall beyond more often.
        assert (new["spend"] > high)[kind].mean() <= (1 - coverage) / 2 + 0.01
        assert (new["spend"] < low)[kind].mean() <= (1 - coverage) / 2 + 0.01
    sure = (new["p"] < 0.02) & (new["purchases"] >= 12.0)
    inside = ((new["spend"] >= low) & (new["spend"] <= high))[sure].mean()
    assert inside == pytest.approx(coverage, abs=0.06)


def test_interval_of_a_certain_leaver_and_a_likely_leaver():
    """By hand: nothing; and with p = 0.95 the 90 % quantile of spend is 0, so the end is the expectation."""
    learnt = spread(outcomes(5000, seed=1))
    low, high = learnt.interval(np.array([1.0, 0.95]), np.array([100.0, 100.0]), 0.8, np.array([1.0, 1.0]))
    assert low == pytest.approx([0, 0])
    assert high == pytest.approx([0, 5])


def test_interval_of_a_certain_stayer_is_the_quantiles_of_the_ratio():
    """With p = 0 the ends are the 10 % and 90 % quantiles of the ratios, here 0.01, 0.02, ..., 2.00."""
    ratios = np.arange(1, 201) / 100
    learnt = fit_spread(ratios * 50, np.full(200, 50.0), np.ones(200), np.ones(200, dtype=bool))
    low, high = learnt.interval(np.zeros(1), np.array([10.0]), 0.8, np.ones(1))
    assert (low[0], high[0]) == pytest.approx((2.09, 18.01), abs=0.02)


@settings(max_examples=100, deadline=None)
@given(
    p=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    spend=st.lists(st.floats(0, 1e12), min_size=3, max_size=3),
    coverage=st.floats(0.01, 0.98),
    few=st.booleans(),
)
def test_interval_always_holds_the_expectation_and_widens_with_coverage(p, spend, coverage, few):
    learnt = spread(outcomes(20 if few else 2000, seed=1))
    p, spend, purchases = np.array(p), np.array(spend), np.array([0.1, 3.0, 50.0])
    low, high = learnt.interval(p, spend, coverage, purchases)
    expected = (1 - p) * spend
    assert (np.isfinite(high) & (low >= 0) & (low <= expected) & (expected <= high)).all()
    narrow_low, narrow_high = learnt.interval(p, spend, coverage / 2, purchases)
    assert ((low <= narrow_low) & (high >= narrow_high)).all()


def test_few_active_customers_are_given_the_exponential_spread():
    """Quantiles of the unit exponential: the median is log 2."""
    learnt = spread(outcomes(20, seed=1))
    assert learnt.n_active < 30
    assert learnt.quantiles[0][49] == pytest.approx(math.log(2))
    assert spread(outcomes(0, seed=1)).n_active == 0


def test_spread_does_not_depend_on_the_unit_of_money():
    data = outcomes(3000, seed=5)
    dear = {**data, "spend": data["spend"] * 1e6, "given_active": data["given_active"] * 1e6}
    for ours, theirs in zip(spread(data).quantiles, spread(dear).quantiles, strict=True):
        assert theirs == pytest.approx(ours, rel=1e-7)


def test_a_saved_spread_is_the_spread_used():
    learnt = spread(outcomes(3000, seed=5))
    assert SpendSpread.from_dict(json.loads(json.dumps(learnt.to_dict()))) == learnt


@pytest.mark.parametrize("change", [{"edges": [1.0]}, {"quantiles": [[1.0, 2.0]]}, {"quantiles": None}])
def test_a_damaged_spread_is_refused_in_one_line(change):
    with pytest.raises(ModelError, match=r"^spend spread: [^\n]*again$"):
        SpendSpread.from_dict({**spread(outcomes(3000, seed=5)).to_dict(), **change})


def test_coverage_that_the_quantiles_cannot_give_is_refused():
    with pytest.raises(ModelError, match=r"clv.interval"):
        spread(outcomes(100, seed=5)).interval(np.zeros(1), np.ones(1), 0.99, np.ones(1))

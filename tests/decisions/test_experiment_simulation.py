"""Intervals on made-up campaigns of which the effects are known. Authority: the effects put in.

The 90 % intervals must cover them in 86 to 94 % of 400 campaigns. Of 200, four percentage points are but two
standard errors of that share, and right intervals would fail on one seed in twenty.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from churnlab.decisions.experiment import Comparison, adjust
from churnlab.decisions.save_rates import measured_rate

CAMPAIGNS = 400
SIZES = (80, 150, 300, 600, 1200)
SHARES = (0.1, 0.15, 0.2, 0.3)
OUTCOMES = ("retained", "net_spend")
LARGEST_SHARE_OFF = 0.04
SAVE_RATE, MORE_ORDERS = 0.15, 0.1


@dataclass(frozen=True)
class Campaign:
    """What was found, beside the effects put in: means over all customers that could be drawn."""

    retained: Comparison
    net_spend: Comparison
    truth: dict[str, float]
    save_rate: float


@cache
def campaigns(save_rate: float, more_orders: float) -> list[Campaign]:
    rng = np.random.default_rng(20_240_101)
    return [
        campaign(rng, SIZES[k % len(SIZES)], SHARES[k % len(SHARES)], save_rate, more_orders)
        for k in range(CAMPAIGNS)
    ]


@cache
def panels() -> list[Campaign]:
    rng = np.random.default_rng(7)
    return [campaign(rng, 150, 0.2, SAVE_RATE, MORE_ORDERS, dates=3) for _ in range(CAMPAIGNS // 2)]


def campaign(
    rng, n: int, control_share: float, save_rate: float, more_orders: float, dates: int = 1
) -> Campaign:
    """Gamma rates of purchase and prices, so the past tells of the future; each time, half are leaving.

    Treatment keeps `save_rate` of those who would not buy, for one order, and has buyers order more often.
    Who is treated once is treated on every date, as by the digest of the id.
    """
    rate, price = rng.gamma(1.0, 1.5, n), rng.gamma(2.0, 20.0, n)
    treated = rng.permutation(n) >= control_share * n
    rows = pd.concat(
        [
            followed(rng, rate, price, treated, save_rate, more_orders).assign(as_of=f"2024-0{1 + k}-01")
            for k in range(dates)
        ]
    )
    adjusted = adjust(rows, OUTCOMES)
    # E[exp(-rate)] of a gamma(1, 1.5) rate is 1 / 2.5; prices have mean 40 and do not depend on anything
    buys = 0.55 * (1 - 1 / 2.5)
    kept = save_rate * (1 - buys)
    truth = {"retained": kept, "net_spend": 40 * (kept + buys * more_orders)}
    return Campaign(*(adjusted.compare(name) for name in OUTCOMES), truth=truth, save_rate=save_rate)


def followed(rng, rate, price, treated, save_rate: float, more_orders: float) -> pd.DataFrame:
    """What the customers of one list did before and after it."""
    n = len(rate)
    orders = np.where(rng.random(n) < 0.55, rng.poisson(rate), 0)
    saved = (orders == 0) & (rng.random(n) < save_rate)
    treated_orders = orders + saved + np.where(orders > 0, rng.poisson(more_orders, n), 0)
    done, before = np.where(treated, treated_orders, orders), rng.poisson(rate)
    return pd.DataFrame(
        {
            "customer_id": np.arange(n),
            "group": np.where(treated, "treated", "control"),
            "retained": (done > 0).astype(float),
            "net_spend": spent(rng, done, price),
            "pre_spend": spent(rng, before, price),
            "pre_days": before.astype(float),
            "churn_probability": np.clip(1 - 0.55 * -np.expm1(-rate) + rng.normal(0, 0.05, n), 0.01, 0.99),
            "clv": rate * price * rng.lognormal(0, 0.3, n),
        }
    )


def spent(rng, orders: np.ndarray, price: np.ndarray) -> np.ndarray:
    """Each order of gamma size around the customer's price."""
    return price * rng.gamma(np.maximum(4.0 * orders, 1e-12)) / 4 * (orders > 0)


def covered(found: list[Campaign], outcome: str) -> float:
    return float(
        np.mean([getattr(c, outcome).low <= c.truth[outcome] <= getattr(c, outcome).high for c in found])
    )


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_intervals_cover_the_effect_as_often_as_they_say(outcome):
    found = campaigns(SAVE_RATE, MORE_ORDERS)
    assert covered(found, outcome) == pytest.approx(0.9, abs=LARGEST_SHARE_OFF)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_lists_with_the_same_customers_cover_as_often(outcome):
    """Three lists of the same 150 people; counted as 450 people, the intervals would be too narrow."""
    assert covered(panels(), outcome) == pytest.approx(0.9, abs=LARGEST_SHARE_OFF)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_where_there_is_no_effect_one_is_found_in_a_tenth(outcome):
    found = campaigns(0.0, 0.0)
    assert {c.truth[outcome] for c in found} == {0.0}
    assert 1 - covered(found, outcome) == pytest.approx(0.1, abs=LARGEST_SHARE_OFF)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_estimates_are_not_off_to_one_side(outcome):
    found = campaigns(SAVE_RATE, MORE_ORDERS)
    off = [(getattr(c, outcome).difference - c.truth[outcome]) / getattr(c, outcome).se for c in found]
    assert abs(np.mean(off)) < 3 / np.sqrt(CAMPAIGNS)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_the_past_narrows_the_intervals(outcome):
    comparisons = [getattr(c, outcome) for c in campaigns(SAVE_RATE, MORE_ORDERS)]
    assert np.median([found.se / found.se_plain for found in comparisons]) < 0.97


def test_the_save_rate_is_measured_as_surely_as_it_says():
    found = [(c.save_rate, *measured_rate(c.retained)) for c in campaigns(SAVE_RATE, MORE_ORDERS)]
    within = [abs(rate - true) <= 1.645 * se for true, rate, se in found]
    assert np.mean(within) == pytest.approx(0.9, abs=LARGEST_SHARE_OFF)


def test_a_detectable_effect_is_detected_as_often_as_it_says():
    """An effect δ is found with chance Φ(δ/se - 1.645), and the detectable one is 2.486 se."""
    comparisons = [c.net_spend for c in campaigns(SAVE_RATE, MORE_ORDERS)]
    truth = campaigns(SAVE_RATE, MORE_ORDERS)[0].truth["net_spend"]
    found = np.mean([c.low > 0 or c.high < 0 for c in comparisons])
    expected = np.mean([norm.cdf(truth / (c.detectable / 2.486) - 1.645) for c in comparisons])
    assert found == pytest.approx(expected, abs=0.1)

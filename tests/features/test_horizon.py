"""Authority: logs drawn from known laws of waiting, and rates counted by hand."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from churnlab.features.horizon import Suggestion, later_share, suggest
from churnlab.features.waits import purchase_days, survival, waits

START = date(2021, 1, 1)


def drawn(
    days: int, wait: Callable[[np.random.Generator], float], customers: int = 500, leaves: float = 0.1
) -> list[tuple[str, str, float]]:
    """Customers who come in the first quarter and may leave for good after any purchase."""
    rng = np.random.default_rng(5)
    rows = []
    for customer in range(customers):
        at = rng.uniform(0, days / 4)
        while at < days:
            rows.append((f"c{customer:03d}", str(START + timedelta(days=int(at))), 10.0))
            if rng.random() < leaves:
                break
            at += wait(rng)
    return rows


@pytest.fixture
def suggested(ledger: Any, small_log: Any) -> Callable[..., Suggestion]:
    def ask(rows: list[tuple], days: int, horizon: int = 60) -> Suggestion:
        last = START + timedelta(days=days - 1)
        settings = small_log.params.features.model_copy(update={"horizon_days": horizon})
        known = purchase_days(ledger(rows), last)
        first = min(date.fromisoformat(day) for _, day, _ in rows)
        return suggest(known, waits(known, last), last, first, settings)

    return ask


SHAPES = {
    "chance": (1.0, 25.0),
    "regular": (4.0, 10.0),
    "irregular": (0.6, 40.0),
}  # of gamma laws, and scales


@pytest.mark.parametrize(("shape", "scale"), SHAPES.values(), ids=SHAPES)
def test_a_tenth_of_the_returns_comes_after_the_suggested_horizon(
    suggested: Callable[..., Suggestion], shape: float, scale: float
) -> None:
    """The weeks proposed are those of the law's own quantile, or one more where chance would have it.

    Seen from a day in the middle the wait that is left has the density (1 - F) / mean of renewal theory.
    """
    law, longer = stats.gamma(shape, scale=scale), stats.gamma(shape + 1, scale=scale)

    def late(days: int) -> float:
        left = longer.sf(days) - days / law.mean() * law.sf(days)
        return float(max(law.sf(days), left))

    found = suggested(drawn(900, lambda rng: float(law.rvs(random_state=rng))), 900)
    assert found.certain
    assert found.horizon_days is not None
    assert found.horizon_days % 7 == 0
    assert late(found.horizon_days) < 0.115
    assert late(found.horizon_days - 14) > 0.1
    told = next(other for other in found.alternatives if other.horizon_days == found.horizon_days)
    assert told.later_share == pytest.approx(law.sf(found.horizon_days), abs=0.025)


def test_frequent_buyers_do_not_speak_for_the_others(suggested: Callable[..., Suggestion]) -> None:
    """A tenth buys every second day, the others every 40 days or so: theirs is the window that is needed."""
    often = drawn(600, lambda rng: 2.0, customers=50, leaves=0.0)
    seldom = drawn(600, lambda rng: float(rng.exponential(40.0)), customers=450, leaves=0.05)
    rows = often + [(f"s{name}", day, money) for name, day, money in seldom]
    found = suggested(rows, 600)
    assert found.horizon_days is not None
    told = next(other for other in found.alternatives if other.horizon_days == found.horizon_days)
    assert told.later_share is not None and told.later_share < 0.05
    assert np.exp(-found.horizon_days / 40) < 0.13
    assert any("Frequent buyers" in sentence for sentence in found.reasoning)


def test_the_horizon_leaves_three_windows_of_history(suggested: Callable[..., Suggestion]) -> None:
    """Waits of 60 days on average ask for 138; 200 days of history hold three of 63, and one says so."""
    found = suggested(drawn(200, lambda rng: float(rng.exponential(60.0))), 200)
    assert found.horizon_days == 63
    assert not found.certain
    assert any("has room for three windows of 63 days at most" in sentence for sentence in found.reasoning)
    assert any("cannot tell for certain" in sentence for sentence in found.reasoning)


@pytest.mark.parametrize(("returns", "tells"), [(29, False), (30, True)])
def test_few_returns_tell_nothing(suggested: Callable[..., Suggestion], returns: int, tells: bool) -> None:
    rows = [(f"c{k}", str(START), 1.0) for k in range(100)]
    rows += [(f"c{k}", str(START + timedelta(days=5 + k % 3)), 1.0) for k in range(returns)]
    found = suggested(rows, 90)
    assert (found.horizon_days is not None) == tells
    if not tells:
        assert found.reasoning[0].startswith(
            "Only 29 returns were seen (30 are needed): the data cannot tell"
        )
        assert [other.horizon_days for other in found.alternatives] == [28, 60, 90, 180, 365]


def test_rare_purchases_are_told_of(suggested: Callable[..., Suggestion]) -> None:
    """Durable goods: three years or so between purchases, ten years of history."""
    found = suggested(drawn(3650, lambda rng: float(rng.normal(1000, 100)), leaves=0.0), 3650)
    assert any("durable goods" in sentence for sentence in found.reasoning)
    assert found.horizon_days is not None and 1000 < found.horizon_days < 1217


def test_one_time_buyers_are_told_of(suggested: Callable[..., Suggestion]) -> None:
    found = suggested(drawn(300, lambda rng: 10.0, customers=600, leaves=0.9), 300)
    assert any("Most purchases are followed by no other" in sentence for sentence in found.reasoning)


def test_rates_by_hand(suggested: Callable[..., Suggestion]) -> None:
    """Day 99 is the last; a window of 28 days begins after day 71, the one before after day 43.

    a buys on days 0, 50 and 80; b on 0 and 50; c on 0; d on 0 and 90; e on 80 only. Known on day 71: a to d,
    of whom b and c do not buy after it. Silent from day 44 to 71: c and d, of whom d comes back.
    """
    days = {"a": (0, 50, 80), "b": (0, 50), "c": (0,), "d": (0, 90), "e": (80,)}
    rows = [(name, str(START + timedelta(days=day)), 1.0) for name, each in days.items() for day in each]
    found = suggested(rows, 100, horizon=50)
    by_days = {other.horizon_days: other for other in found.alternatives}
    assert (by_days[28].base_churn_rate, by_days[28].came_back_share) == (0.5, 0.5)
    assert by_days[60].base_churn_rate == pytest.approx(1 / 4)  # known on day 39: a to d; c alone stays away
    assert by_days[60].came_back_share is None  # two windows of 60 days do not fit into 100
    assert by_days[180].base_churn_rate is None
    assert by_days[28].later_share is None  # no 30 waits to draw a curve from


def test_later_share_by_hand() -> None:
    """10 waits: 5 end on day 1, 3 on day 2, 2 never: 3 of the 8 returns come after day 1."""
    rows = [(1, True, 5), (2, True, 3), (3, False, 2)]
    curve = survival(pd.DataFrame(rows, columns=["days", "returned", "n"]))
    assert later_share(curve, 1) == pytest.approx(3 / 8)
    assert later_share(curve, 3) == pytest.approx(0.0)
    assert later_share(curve, 4) is None

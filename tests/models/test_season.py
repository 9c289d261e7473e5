"""Authority: hand computation, and logs whose season is known because they were made with it."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnlab.engine import connect
from churnlab.evaluation.backtest import fit_scorer, truth_after
from churnlab.models.season import Level, level_of, season_shift
from churnlab.models.targets import Target

FIRST_DAY, DAYS, HORIZON = date(2021, 1, 1), 729, 55
BEFORE_CHRISTMAS = date(2022, 11, 1)


def test_a_level_is_the_shift_at_which_the_sums_agree() -> None:
    y = np.repeat([1.0, 0.0], [70, 30])
    found = level_of(Target.CHURN, np.zeros(100), y)
    assert found is not None
    # logit(0.7); its standard error is sd / (sqrt(n) * p(1-p)) = 1 / sqrt(100 * 0.21)
    assert found.shift == pytest.approx(np.log(0.7 / 0.3), abs=1e-6)
    assert found.error == pytest.approx(1 / np.sqrt(21), rel=1e-4)
    spend = level_of(Target.SPEND, np.log(np.repeat([1.0, 4.0], 50)), np.repeat([2.0, 8.0], 50))
    assert spend is not None
    assert spend.shift == pytest.approx(np.log(2), abs=1e-6)


def test_too_few_rows_or_one_outcome_alone_tell_no_level() -> None:
    assert level_of(Target.CHURN, np.zeros(99), np.tile([0.0, 1.0, 0.0], 33)) is None
    assert level_of(Target.CHURN, np.zeros(200), np.ones(200)) is None


def test_the_shift_is_last_years_level_moved_by_the_year_and_shrunk() -> None:
    pairs = [(Level(0.1, 0.03), Level(0.0, 0.03)), (Level(0.2, 0.03), Level(0.1, 0.04))]
    # 0.5 - 0.1 = 0.4; noise 0.05^2 + (3 * 0.03^2 + 0.04^2) / 4 + 0; 0.4 * (1 - 0.003575 / 0.16)
    assert season_shift(Level(0.5, 0.05), pairs) == pytest.approx(0.4 * (1 - 0.003575 / 0.16))
    # without a pair 0.1 stands for the wander: 0.5 * (1 - (0.0025 + 0.01) / 0.25)
    assert season_shift(Level(0.5, 0.05), []) == pytest.approx(0.5 * 0.95)
    assert season_shift(Level(0.08, 0.05), []) == 0.0


@given(
    shift=st.floats(-2, 2),
    error=st.floats(0, 1),
    years=st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), max_size=3),
)
def test_shrinking_turns_no_sign_and_adds_nothing(shift: float, error: float, years: list) -> None:
    pairs = [(Level(before, error), Level(now, error)) for before, now in years]
    raw = shift + (float(np.mean([now - before for before, now in years])) if years else 0.0)
    found = season_shift(Level(shift, error), pairs)
    assert abs(found) <= abs(raw) + 1e-12
    assert found * raw >= 0


def seasonal_orders(small_log: Any, height: float) -> Any:
    """1,200 customers over two years who buy at their own rate, (1 + height) times as often in December."""
    random = np.random.default_rng(5)
    day = np.arange(DAYS)
    december = np.array([(FIRST_DAY + timedelta(days=int(k))).month == 12 for k in day])
    passed = np.cumsum(1 + height * december)
    rows = []
    for number in range(1200):
        clock, rate = passed[random.integers(0, 250)], random.gamma(2.0, 1 / 80)
        while (k := int(np.searchsorted(passed, clock))) < DAYS:
            rows.append((f"c{number:04d}", FIRST_DAY + timedelta(days=k), round(random.gamma(4, 5), 2)))
            if random.random() < 0.03:
                break
            clock += random.exponential(1 / rate)
    frame = pd.DataFrame(rows, columns=["customer_id", "day", "amount"])
    frame = frame.groupby(["customer_id", "day"], as_index=False)["amount"].sum()
    table = pa.table(
        {
            "customer_id": pa.array(frame["customer_id"], pa.string()),
            "order_id": pa.array([str(k) for k in range(len(frame))], pa.string()),
            "ts": pa.array(frame["day"], pa.date32()).cast(pa.timestamp("us")),
            "day": pa.array(frame["day"], pa.date32()),
            "amount": pa.array(frame["amount"], pa.float64()),
            "gross": pa.array(frame["amount"], pa.float64()),
            "returned": pa.array(np.zeros(len(frame))),
            "is_purchase": pa.array([True] * len(frame)),
            "n_lines": pa.array([1] * len(frame), pa.int64()),
        }
    )
    return connect(small_log.params.engine).create_table("orders", table)


def biases(small_log: Any, height: float) -> tuple[float, float, tuple[str, ...]]:
    """Forecast over actual purchases less 1, with and without the season; and the notes."""
    orders = seasonal_orders(small_log, height)
    scorer, current = fit_scorer(orders, BEFORE_CHRISTMAS, HORIZON, small_log.params, "v")
    truth = truth_after(orders, BEFORE_CHRISTMAS, HORIZON)
    assert truth is not None
    without = replace(scorer, forecaster=replace(scorer.forecaster, season=dict.fromkeys(Target, 0.0)))
    told = [model.forecast(current)["expected_purchases"].sum() for model in (scorer, without)]
    actual = truth["n_purchases"].sum()
    return told[0] / actual - 1, told[1] / actual - 1, scorer.forecaster.notes


def test_before_christmas_the_level_comes_from_the_year_before(small_log: Any) -> None:
    with_season, without, notes = biases(small_log, height=2.0)
    assert without < -0.25
    assert abs(with_season) < 0.5 * abs(without)
    assert any(note.startswith("season: as a year before") for note in notes)


def test_a_log_without_a_season_is_left_alone(small_log: Any) -> None:
    with_season, without, _ = biases(small_log, height=0.0)
    assert abs(with_season - without) < 0.05
    assert abs(with_season) < 0.12

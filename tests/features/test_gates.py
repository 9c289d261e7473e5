"""Authority: hand-made logs just below and just above each threshold, and what the fit then really does."""

from datetime import date, timedelta
from typing import Any

import ibis
import numpy as np
import pytest

from churnlab.config import Gates, Params
from churnlab.errors import DataError
from churnlab.evaluation.backtest import fit_scorer, origins
from churnlab.features import gates as room
from churnlab.features.gates import BACKTEST, LEARNERS, PURCHASES, SEASON, SPEND, Gate
from churnlab.models.forecaster import Forecaster

START = date(2023, 1, 1)
Row = tuple[str, int, float]


@pytest.fixture
def orders(ledger: Any) -> Any:
    """Orders of (customer, day number, amount)."""

    def write(rows: list[Row]) -> ibis.Table:
        return ledger([(name, str(START + timedelta(days=day)), amount) for name, day, amount in rows])

    return write


@pytest.fixture
def gate(orders: Any, small_log: Any) -> Any:
    """The gate of one model."""

    def asked(model: str, rows: list[Row], last: int, horizon: int = 60, **changes: Any) -> Gate:
        found = room.gates(orders(rows), day(last), horizon, with_gates(small_log.params, **changes))
        return next(g for g in found if g.model == model)

    return asked


def day(number: int) -> date:
    return START + timedelta(days=number)


def with_gates(params: Params, **changes: Any) -> Params:
    return params.model_copy(update={"gates": Gates(**changes)})


def shop(customers: int, repeat: int, amount: float = 10.0) -> list[Row]:
    """Customers who buy once on day 0, of whom `repeat` buy again on day 20; values differ a little."""
    rows = [(f"c{k:03d}", 0, amount) for k in range(customers)]
    return rows + [(f"c{k:03d}", 20, amount * (1 + k % 5)) for k in range(repeat)]


@pytest.mark.parametrize(
    ("customers", "repeat", "passes"), [(100, 30, True), (99, 30, False), (100, 29, False)]
)
def test_so_many_customers_and_repeat_customers(gate: Any, customers: int, repeat: int, passes: bool) -> None:
    found = gate(PURCHASES, shop(customers, repeat), 40)
    assert (found.passes, found.fitted, found.fatal) == (passes, True, False)
    assert f"{customers} customers, {repeat} of them with a second purchase day" in found.has
    assert (found.sentence == "") == passes


@pytest.mark.parametrize(("last", "passes"), [(50, True), (51, False)])
def test_a_log_that_ends_before_the_cutoff(gate: Any, last: int, passes: bool) -> None:
    """The last purchase is on day 20; 30 days of silence are granted."""
    found = gate(PURCHASES, shop(100, 30), last)
    assert found.passes == passes
    if not passes:
        assert f"no purchase in the 31 days up to {day(51)}" in found.sentence
        assert f'set data.as_of to "{day(20)}"' in found.sentence


@pytest.mark.parametrize(
    ("rows", "changes", "told"),
    [
        ([("a", 30, 1.0)], {}, "no purchase up to 2023-01-11"),
        ([("a", 0, -1.0)], {}, "no purchase up to 2023-01-11"),
        (shop(4, 0), {}, "4 customers are too few for any model (gates.fewest_customers: 5)"),
        (shop(5, 0), {"fewest_repeat_customers": 1}, "0 of 5 customers bought on a second day"),
        (shop(9, 0), {"fewest_customers": 10}, "9 customers are too few"),
        ([*shop(9, 0), ("c001", 5, 1.0)], {"fewest_repeat_customers": 2}, "1 of 9 customers bought"),
    ],
)
def test_where_no_model_can_say_anything_training_is_refused(
    orders: Any, small_log: Any, rows: list[Row], changes: dict[str, int], told: str
) -> None:
    params = with_gates(small_log.params, **changes)
    first = room.gates(orders(rows), day(10), 60, params)[0]
    assert (first.model, first.fatal, first.passes, first.fitted) == (PURCHASES, True, False, False)
    with pytest.raises(DataError) as caught:
        room.refuse([first])
    assert str(caught.value).startswith(f"orders: {told}")
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="orders: "):
        room.require_learnable(orders(rows), day(10), params.gates)


def test_five_customers_of_whom_one_came_back_are_not_refused(orders: Any, small_log: Any) -> None:
    rows = [*shop(5, 0), ("c001", 5, 1.0)]
    room.require_learnable(orders(rows), day(10), Gates())
    assert not any(gate.fatal for gate in room.gates(orders(rows), day(10), 60, small_log.params))


def test_purchases_after_the_cutoff_are_not_looked_at(orders: Any, small_log: Any) -> None:
    rows = shop(120, 40)
    later = [(f"c{k:03d}", 60, 5.0) for k in range(120)]
    before, after = (room.gates(orders(r), day(40), 15, small_log.params) for r in (rows, rows + later))
    assert before == after


@pytest.mark.parametrize(
    ("paid", "passes", "fitted"), [(30, True, True), (29, False, True), (1, False, False)]
)
def test_gamma_gamma_needs_paid_repeat_purchases(gate: Any, paid: int, passes: bool, fitted: bool) -> None:
    rows = shop(120, paid) + [(f"c{k:03d}", 21, 0.0) for k in range(60)]  # what is free does not count
    found = gate(SPEND, rows, 40)
    assert (found.passes, found.fitted) == (passes, fitted)
    assert found.has == f"{paid} customers with a paid repeat purchase"


def test_gamma_gamma_learns_nothing_from_equal_values(gate: Any) -> None:
    rows = [(f"c{k:03d}", when, 10.0) for k in range(120) for when in (0, 20)]
    found = gate(SPEND, rows, 40)
    assert (found.passes, found.fitted) == (False, False)
    assert "all worth the same: everybody gets the mean value" in found.sentence


def weekly(known: int, stayed: int, last: int = 260) -> list[Row]:
    """`known` customers who bought on days 0 and 7, of whom `stayed` buy every 30 days up to the last one."""
    rows = [(f"c{k:03d}", when, 10.0 + k % 9) for k in range(known) for when in (0, 7)]
    return rows + [
        (f"c{k:03d}", when, 12.0 + k % 7) for k in range(stayed) for when in range(20, last + 1, 30)
    ]


@pytest.mark.parametrize(
    ("known", "stayed", "fitted"),
    [
        (200, 100, True),
        (199, 100, False),
        (250, 20, True),
        (250, 19, False),
        (250, 230, True),
        (250, 231, False),
    ],
)
def test_learners_are_fitted_exactly_where_the_gate_says_so(
    orders: Any, small_log: Any, known: int, stayed: int, fitted: bool
) -> None:
    """200 customers on the newest day learned from, 20 who bought after it and 20 who did not."""
    table, params = orders(weekly(known, stayed)), quick(small_log.params)
    found = next(g for g in room.gates(table, day(260), 60, params) if g.model == LEARNERS)
    assert found.fitted == fitted
    assert f"{known} customers on {day(200)}, {stayed} of whom bought in the 60 days after it" in found.has
    scorer, _ = fit_scorer(table, day(260), 60, params, "v")
    assert scorer.path == ("blend" if fitted else "btyd")


def quick(params: Params) -> Params:
    """Without trees, and with a prior on the purchase model, which such regular buyers send far off."""
    churn = params.churn.model_copy(update={"members": ("linear",)})
    clv = params.clv.model_copy(update={"penalizers": (0.1,)})
    return params.model_copy(update={"churn": churn, "clv": clv})


@pytest.mark.parametrize("last", [30, 45, 100, 149, 150])
def test_a_short_history_falls_back_as_the_gate_says(orders: Any, small_log: Any, last: int) -> None:
    """From no window to learn from (30 days) over a shorter one to the horizon of 60 itself."""
    params = quick(small_log.params)
    table = orders(weekly(300, 150, last))
    found = next(g for g in room.gates(table, day(last), 60, params) if g.model == LEARNERS)
    scorer, current = fit_scorer(table, day(last), 60, params, "v")
    assert found.fitted == (scorer.path == "blend")
    assert np.isfinite(scorer.predict(current)["expected_purchases"]).all()
    shorter = found.fitted and scorer.plan.label_days < 60
    assert (f"learned on windows of {scorer.plan.label_days} days" in found.sentence) == shorter


@pytest.mark.parametrize(("last", "told"), [(178, True), (179, False)])
def test_history_of_three_horizons(gate: Any, last: int, told: bool) -> None:
    """Days 0 to 179 are 180 days, three times 60."""
    found = gate(LEARNERS, weekly(300, 150, last), last)
    assert found.fitted
    assert found.passes != told
    assert (f"{last + 1} days of history are shorter than 3 horizons of 60 days" in found.sentence) == told


def test_a_purchase_model_stands_in_where_nobody_came_back(orders: Any, small_log: Any) -> None:
    """fewest_repeat_customers: 0 lets such a log through: the fit then takes one rate for all."""
    params = with_gates(small_log.params, fewest_repeat_customers=0)
    table = orders(shop(120, 0))
    found = room.gates(table, day(40), 15, params)
    assert not any(gate.fatal for gate in found)
    assert not found[0].fitted
    assert "one rate for all customers stands in" in found[0].sentence
    scorer, _ = fit_scorer(table, day(40), 15, params, "v")
    assert [step.outcome for step in scorer.btyd.steps if step.family == "mbgnbd"] == ["pooled mean"]


@pytest.mark.parametrize("rows", [shop(120, 40), shop(120, 2), shop(120, 1), shop(120, 60, 0.0)])
def test_the_spend_model_is_a_mean_where_the_gate_says_so(
    orders: Any, small_log: Any, rows: list[Row]
) -> None:
    table = orders(rows)
    found = next(g for g in room.gates(table, day(40), 15, small_log.params) if g.model == SPEND)
    scorer, _ = fit_scorer(table, day(40), 15, small_log.params, "v")
    if not found.fitted:
        assert scorer.btyd.spend.is_pooled_mean
    if found.passes:
        assert not scorer.btyd.spend.is_pooled_mean


@pytest.mark.parametrize("last", [453, 454])
def test_a_season_needs_the_same_days_a_year_before(orders: Any, small_log: Any, last: int) -> None:
    """364 days before the cutoff there must be min_history_days, here 90."""
    params = quick(small_log.params)
    table = orders(weekly(300, 150, last))
    found = next(g for g in room.gates(table, day(last), 60, params) if g.model == SEASON)
    assert found.passes == found.fitted == (last == 454)
    scorer, _ = fit_scorer(table, day(last), 60, params, "v")
    assert told_of_no_year_before(scorer.forecaster) == (not found.fitted)


def told_of_no_year_before(forecaster: Forecaster) -> bool:
    return any("does not show these 60 days a year before" in note for note in forecaster.notes)


def test_a_season_needs_customers_then(gate: Any) -> None:
    """99 customers bought a year before, 100 are asked for; those who came since do not count."""
    late = [(f"n{k}", 300 + when, 9.0 + k % 4) for k in range(200) for when in (0, 30)]
    assert not gate(SEASON, weekly(99, 60, 460) + late, 460).fitted
    assert gate(SEASON, weekly(100, 60, 460) + late, 460).fitted


def test_a_long_horizon_needs_no_season(gate: Any) -> None:
    found = gate(SEASON, weekly(300, 150), 260, horizon=183)
    assert (found.passes, found.sentence) == (True, "")


@pytest.mark.parametrize(("last", "kept"), [(148, 0), (149, 1), (208, 1), (209, 2)])
def test_the_backtest_has_the_cutoffs_that_the_gate_says(
    orders: Any, small_log: Any, last: int, kept: int
) -> None:
    """90 days of history, 60 of horizon: day 149 is the 150th. A second cutoff lies 60 days before."""
    evaluation = small_log.params.evaluation.model_copy(update={"origins": 2, "origin_step_days": 60})
    params = small_log.params.model_copy(update={"evaluation": evaluation})
    found = next(
        g for g in room.gates(orders(weekly(50, 20, last)), day(last), 60, params) if g.model == BACKTEST
    )
    assert found.has == f"{kept} of 2 cutoffs"
    assert (found.fitted, found.passes, found.fatal) == (kept > 0, kept == 2, False)
    if kept:
        assert len(origins(START, day(last), 60, params)) == kept
    else:
        with pytest.raises(DataError):
            origins(START, day(last), 60, params)


def test_sentences_name_the_model(orders: Any, small_log: Any) -> None:
    found = room.gates(orders(shop(50, 10)), day(30), 60, small_log.params)
    told = room.sentences(found)
    assert [text.split(":")[0] for text in told] == [gate.model for gate in found if not gate.passes]
    assert Gate(**found[0].to_dict()) == found[0]


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_the_unit_of_money_changes_nothing(orders: Any, small_log: Any, factor: float) -> None:
    rows = weekly(250, 100)
    scaled = [(name, when, amount * factor) for name, when, amount in rows]
    cutoff = day(260)
    assert room.gates(orders(rows), cutoff, 60, small_log.params) == room.gates(
        orders(scaled), cutoff, 60, small_log.params
    )

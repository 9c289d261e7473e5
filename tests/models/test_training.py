"""Authority: what a short or poor history allows, and the order in time that DESIGN demands."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from churnlab.engine import connect
from churnlab.evaluation.backtest import fit_scorer
from churnlab.features.plan import LearningPlan, labelled_snapshots, learning_plan
from churnlab.models.forecaster import btyd_alone
from churnlab.models.learning import customer_folds, fit_forecaster, usable_features
from churnlab.models.targets import Target
from churnlab.models.training import fit_book, in_units, with_btyd

START = date(2023, 1, 1)


def orders_of(small_log: Any, rows: list[tuple[str, int, float]]) -> Any:
    """An orders table of (customer, day number, amount)."""
    days = [START + timedelta(days=day) for _, day, _ in rows]
    money = pa.array([amount for *_, amount in rows], pa.float64())
    table = pa.table(
        {
            "customer_id": pa.array([name for name, *_ in rows], pa.string()),
            "order_id": pa.array([str(k) for k in range(len(rows))], pa.string()),
            "ts": pa.array(days, pa.date32()).cast(pa.timestamp("us")),
            "day": pa.array(days, pa.date32()),
            "amount": money,
            "gross": money,
            "returned": pa.array(np.zeros(len(rows))),
            "is_purchase": pa.array([True] * len(rows)),
            "n_lines": pa.array([1] * len(rows), pa.int64()),
        }
    )
    return connect(small_log.params.engine).create_table("orders", table)


def forecast(small_log: Any, rows: list[tuple[str, int, float]], last: int, horizon: int = 60) -> Any:
    cutoff = START + timedelta(days=last)
    scorer, current = fit_scorer(orders_of(small_log, rows), cutoff, horizon, small_log.params, "v")
    return scorer, scorer.predict(current)


@pytest.mark.parametrize(
    "rows",
    [
        [(f"c{k}", k % 40, 10.0 + k % 7) for k in range(60)],  # all bought once
        [(f"c{k}", k % 40, 10.0) for k in range(60)] + [("c1", 80, 5.0)],  # one repeat buyer
        [(f"c{k}", 7 * week, 20.0) for k in range(30) for week in range(14)],  # all weekly, nobody leaves
        [(f"c{k}", day, 0.0) for k in range(30) for day in (0, 20, 50)],  # nothing costs anything
        [("only", 0, 9.0), ("only", 30, 9.0)],  # one customer
    ],
    ids=["one-time", "one-repeat", "weekly", "free", "single"],
)
def test_poor_data_degrade_to_finite_figures_with_a_note(small_log: Any, rows: list) -> None:
    scorer, scores = forecast(small_log, rows, 99)
    assert np.isfinite(scores.select_dtypes("number").to_numpy()).all()
    assert scores["churn_probability"].between(0, 1).all()
    assert set(scores["scored_by"]) == {"btyd"}
    assert "BTYD models alone" in scorer.forecaster.notes[0]


def test_history_shorter_than_two_horizons_learns_on_shorter_windows(
    small_orders: Any, small_log: Any
) -> None:
    settings = small_log.params.features
    plan = learning_plan(small_orders, small_log.TRAINED_ON, 390, settings)
    assert plan.label_days < 390
    assert plan.snapshots
    assert all(day + timedelta(days=plan.label_days) <= plan.cutoff for day in plan.snapshots)


def test_a_year_before_is_learned_from_where_the_log_reaches_back(small_orders: Any, small_log: Any) -> None:
    settings = small_log.params.features
    late = learning_plan(small_orders, small_log.LAST_DAY, 40, settings)
    assert late.year_before[0] == late.cutoff - timedelta(days=364)
    assert set(late.year_before[1:]) <= {day - timedelta(days=364) for day in late.calibration}
    assert min(late.year_before) >= small_log.FIRST_DAY + timedelta(days=settings.min_history_days)
    assert set(late.calibration) | set(late.year_before) <= set(late.snapshots)
    assert late.calibration == late.snapshots[:3]
    early = learning_plan(small_orders, small_log.TRAINED_ON, 60, settings)
    assert early.year_before == ()
    assert LearningPlan.from_dict(late.to_dict()) == late


def test_longer_horizons_leave_fewer_churners_and_more_purchases(small_orders: Any, small_log: Any) -> None:
    near, _ = fit_scorer(small_orders, small_log.TRAINED_ON, 60, small_log.params, "v")
    far, current = fit_scorer(small_orders, small_log.TRAINED_ON, 390, small_log.params, "v")
    short, long = near.predict(current), far.predict(current)
    assert long["churn_probability"].mean() < short["churn_probability"].mean()
    assert long["expected_purchases"].sum() > short["expected_purchases"].sum()


def test_btyd_columns_of_a_snapshot_come_from_its_own_past(small_orders: Any, small_log: Any) -> None:
    """Changing everything after the oldest snapshot leaves its models alone."""
    params = small_log.params
    plan = learning_plan(small_orders, small_log.TRAINED_ON, 60, params.features)
    oldest = min(plan.snapshots)
    table = small_orders.to_pyarrow()
    later = [day > oldest for day in table["day"].to_pylist()]
    money = np.where(later, 1e5, table["amount"].to_numpy())
    changed = connect(params.engine).create_table("o", table.set_column(4, "amount", pa.array(money)))
    books = []
    for orders in (small_orders, changed):
        blocks = list(labelled_snapshots(orders, replace(plan, snapshots=(oldest,))))
        books.append(fit_book(blocks[0], blocks[0], plan, params.clv).past[oldest.isoformat()].to_dict())
    assert books[0] == books[1]


def test_folds_are_stable_whatever_the_order_and_company() -> None:
    names = pd.Series([f"c{k}" for k in range(1000)])
    folds = customer_folds(names, 3)
    assert np.bincount(folds).min() > 250
    assert (customer_folds(names[::-1], 3)[::-1] == folds).all()
    assert (customer_folds(names[:10], 3) == folds[:10]).all()


def test_totals_that_training_has_not_seen_are_left_out() -> None:
    names = ["T", "frequency", "gap_mean_days"]
    training = pd.DataFrame({"T": [10.0, 100.0]})
    assert usable_features(training, pd.DataFrame({"T": [50.0, 60.0]}), names) == names
    assert usable_features(training, pd.DataFrame({"T": [150.0, 160.0]}), names) == ["gap_mean_days"]
    told = ["days_since_signup", "referrals", "complaints_90d"]
    assert usable_features(training, pd.DataFrame({"T": [150.0, 160.0]}), told) == ["complaints_90d"]


def test_members_that_are_not_asked_for_are_not_fitted(small_orders: Any, small_log: Any) -> None:
    params = small_log.params
    plan = learning_plan(small_orders, small_log.TRAINED_ON, 60, params.features)
    snapshots = pd.concat(labelled_snapshots(small_orders, plan), ignore_index=True)
    current = snapshots[snapshots["cutoff"] == snapshots["cutoff"].max()].reset_index(drop=True)
    book = fit_book(snapshots, current, plan, params.clv)
    training = with_btyd(snapshots, book, plan)
    only = params.churn.model_copy(update={"members": ("linear",)})
    fitted = fit_forecaster(training, ["days_since_last_order", "gap_mean_days"], plan, only)
    assert set(fitted.members[Target.CHURN]) == {"linear"}
    assert set(fitted.blends[Target.CHURN].weights) == {"linear", "btyd"}


def test_money_is_counted_in_units(small_orders: Any, small_log: Any) -> None:
    plan = learning_plan(small_orders, small_log.TRAINED_ON, 60, small_log.params.features)
    frame = pd.DataFrame({"spend_30d": [plan.money_scale], "purchases_30d": [3.0], "spend_30d_of_90d": [0.5]})
    assert in_units(frame, plan).to_dict("list") == {
        "spend_30d": [1.0],
        "purchases_30d": [3.0],
        "spend_30d_of_90d": [0.5],
    }


def test_the_summary_tells_the_fits_and_gamma_gammas_assumption(small_scorer: Any) -> None:
    summary = small_scorer.btyd.summary()
    assert summary["primary_family"] == "bgnbd"
    assert -1 <= summary["frequency_spend_correlation"] <= 1
    assert all(step["outcome"] != "fitted" for step in summary["fallback_steps"])


def test_a_family_that_could_not_be_fitted_is_noted(small_scorer: Any) -> None:
    models = small_scorer.btyd
    assert not any("could not be fitted" in note for note in models.notes)
    borrowed = replace(models, families={**models.families, "paretonbd": models.primary})
    assert "purchase model paretonbd: could not be fitted, the others stand in" in borrowed.notes


def test_fits_side_by_side_or_in_turn_give_one_model(
    small_orders: Any, small_log: Any, small_scorer: Any
) -> None:
    params = small_log.params
    assert params.churn.threads > 1
    in_turn = params.model_copy(update={"churn": params.churn.model_copy(update={"threads": 1})})
    again, _ = fit_scorer(small_orders, small_log.TRAINED_ON, 60, in_turn, "small")
    assert again.digest == small_scorer.digest


def test_btyd_alone_answers_for_the_horizon_whatever_the_label_window(
    small_orders: Any, small_log: Any
) -> None:
    scorer, current = fit_scorer(small_orders, small_log.TRAINED_ON, 390, small_log.params, "v")
    assert scorer.plan.label_days < 390
    alone = replace(scorer, forecaster=btyd_alone(scorer.forecaster)).forecast(current)
    own = scorer.btyd.primary.p_no_purchase(current, 390)  # the small log's only family
    assert alone["churn_probability"].to_numpy() == pytest.approx(np.clip(own, 1e-6, 1 - 1e-6), abs=1e-8)


def test_where_nobody_buys_twice_in_a_window_one_purchase_is_expected_of_the_active(small_log: Any) -> None:
    """Monthly buyers: no window of 25 days holds two purchases. Trees and regressions both must bear it."""
    rows = [(f"c{k:03d}", day + k % 30, 10.0 + k % 5) for k in range(400) for day in range(0, 240, 30)]
    rows = [row for row in rows if int(row[0][1:]) % 2 or row[1] < 120]
    scorer, scores = forecast(small_log, rows, 230, horizon=25)
    assert scorer.path == "blend"
    assert set(scorer.forecaster.members[Target.REPEATS]) == {"lightgbm", "linear"}
    active = 1 - scores["churn_probability"]
    assert (scores["expected_purchases"] / active).between(1.0, 1.05).all()
    assert np.isfinite(scores.select_dtypes("number").drop(columns="days_to_next_order")).all().all()

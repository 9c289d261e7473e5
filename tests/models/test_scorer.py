"""Authority: the identities that DESIGN states (coherent spend, fixed cut points), and invariants."""

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.special import logit

from churnlab.errors import ModelError
from churnlab.evaluation.backtest import fit_scorer
from churnlab.features.plan import current_snapshot
from churnlab.models.forecaster import btyd_alone
from churnlab.models.reasons import reasons, shapley
from churnlab.models.scorer import Scorer
from churnlab.models.targets import Target


@pytest.fixture(scope="module")
def base(small_orders: Any, small_scorer: Scorer, small_log: Any) -> pd.DataFrame:
    return current_snapshot(small_orders, small_scorer.plan, small_log.TRAINED_ON)


@pytest.fixture(scope="module")
def scores(small_scorer: Scorer, base: pd.DataFrame) -> pd.DataFrame:
    return small_scorer.predict(base)


def test_learners_are_used_on_this_log(small_scorer: Scorer) -> None:
    assert set(small_scorer.forecaster.members[Target.CHURN]) == {"lightgbm", "linear", "recency"}


def test_spend_is_purchases_times_their_value_and_at_least_one_if_active(
    small_scorer: Scorer, scores: pd.DataFrame
) -> None:
    unit = small_scorer.plan.money_scale
    told = scores["expected_purchases"] * scores["expected_order_value"]
    assert told.to_numpy() == pytest.approx(scores["expected_spend"].to_numpy(), rel=1e-6, abs=1e-6 * unit)
    assert (scores["expected_purchases"] >= 1 - scores["churn_probability"] - 1e-8).all()


def test_every_figure_is_finite_and_in_range(scores: pd.DataFrame) -> None:
    numbers = scores.select_dtypes("number")
    assert np.isfinite(numbers.to_numpy()).all()
    assert scores["churn_probability"].between(0, 1).all()
    assert scores["p_alive"].between(0, 1).all()
    assert (scores["expected_spend_low"] <= scores["expected_spend"]).all()
    assert (scores["expected_spend"] <= scores["expected_spend_high"]).all()
    assert (scores["clv_low"] <= scores["clv"] + 1e-9).all()
    assert (scores["clv"] <= scores["clv_high"] + 1e-9).all()


def test_a_customer_scores_alike_alone_and_in_company(
    small_scorer: Scorer, base: pd.DataFrame, scores: pd.DataFrame
) -> None:
    alone = small_scorer.predict(base.iloc[10:11])
    pd.testing.assert_frame_equal(alone, scores.iloc[10:11], rtol=1e-12)
    shuffled = base.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(small_scorer.predict(shuffled).sort_index(), scores, rtol=1e-12)


@pytest.mark.parametrize("size", [1, 37, 250])
def test_in_buckets_of_any_size_and_order_every_customer_is_told_the_same(
    small_scorer: Scorer, base: pd.DataFrame, scores: pd.DataFrame, size: int
) -> None:
    shuffled = base.sample(frac=1, random_state=size)
    buckets = [shuffled.iloc[at : at + size] for at in range(0, min(len(base), 20 * size), size)]
    told = pd.concat([small_scorer.predict(bucket) for bucket in buckets]).sort_index()
    pd.testing.assert_frame_equal(told, scores.loc[told.index], check_exact=True)
    reasons_told = pd.concat([small_scorer.explain(bucket) for bucket in buckets]).sort_index()
    assert reasons_told.tolist() == small_scorer.explain(base).loc[told.index].tolist()


@pytest.mark.parametrize("learners", [True, False])
def test_told_at_once_is_what_is_predicted_and_explained(
    small_scorer: Scorer, base: pd.DataFrame, small_log: Any, learners: bool
) -> None:
    forecaster = small_scorer.forecaster if learners else btyd_alone(small_scorer.forecaster)
    scorer, later = replace(small_scorer, forecaster=forecaster), small_log.TRAINED_ON + timedelta(days=9)
    forecasts, why = scorer.told(base, later)
    pd.testing.assert_frame_equal(forecasts, scorer.predict(base, later), check_exact=True)
    assert why.tolist() == scorer.explain(base).tolist()


def test_saved_and_loaded_it_is_the_same_model(
    small_scorer: Scorer, small_model: Path, base: pd.DataFrame, scores: pd.DataFrame
) -> None:
    again = Scorer.load(small_model)
    assert again.digest == small_scorer.digest
    pd.testing.assert_frame_equal(again.predict(base), scores, check_exact=True)
    assert not list(small_model.rglob("*.pkl"))


def test_training_again_gives_the_same_bytes(small_orders: Any, small_log: Any, small_scorer: Scorer) -> None:
    again, _ = fit_scorer(small_orders, small_log.TRAINED_ON, 60, small_log.params, "small")
    assert again.digest == small_scorer.digest


def test_training_does_not_see_the_future(small_orders: Any, small_log: Any, small_scorer: Scorer) -> None:
    """The whole of training on a log whose every row after the cutoff is changed."""
    rows = small_orders.to_pyarrow()
    later = np.array([day > small_log.TRAINED_ON for day in rows["day"].to_pylist()])
    assert later.any()
    amount = np.where(later, -7e6, rows["amount"].to_numpy())
    names = np.where(later, "someone-else", np.array(rows["customer_id"].to_pylist(), dtype=object))
    changed = rows.set_column(rows.column_names.index("amount"), "amount", pa.array(amount))
    changed = changed.set_column(
        rows.column_names.index("customer_id"), "customer_id", pa.array(names, pa.string())
    )
    con = ibis.duckdb.connect()
    again, _ = fit_scorer(con.create_table("o", changed), small_log.TRAINED_ON, 60, small_log.params, "small")
    assert again.digest == small_scorer.digest


def test_a_million_times_the_money_changes_no_label(
    small_orders: Any, small_log: Any, scores: pd.DataFrame
) -> None:
    rows = small_orders.to_pyarrow()
    for name in ("amount", "gross", "returned"):
        rows = rows.set_column(rows.column_names.index(name), name, pa.array(rows[name].to_numpy() * 1e6))
    con = ibis.duckdb.connect()
    rich, snapshot = fit_scorer(
        con.create_table("o", rows), small_log.TRAINED_ON, 60, small_log.params, "small"
    )
    dear = rich.predict(snapshot)
    for name in ("risk_label", "value_label"):
        assert (dear[name] == scores[name]).all()
    for name in ("expected_spend", "clv", "clv_high"):
        assert dear[name].to_numpy() == pytest.approx(scores[name].to_numpy() * 1e6, rel=1e-6, abs=1e-3)
    assert dear["churn_probability"].to_numpy() == pytest.approx(
        scores["churn_probability"].to_numpy(), abs=1e-8
    )


def test_contributions_explain_the_final_logit(small_scorer: Scorer, base: pd.DataFrame) -> None:
    """Differences of the final logit between customers are differences of their contributions."""
    units = small_scorer._units(base)
    near, _ = small_scorer._btyd_columns(units)
    link = small_scorer.forecaster.link(Target.CHURN, units, near)
    shares = shapley(small_scorer._btyd_logits, units, small_scorer.typical)
    told = small_scorer.forecaster.contributions(units, shares).sum(axis=1).to_numpy()
    assert link - link[0] == pytest.approx(told - told[0], abs=1e-6)


def test_btyd_alone_gives_three_reasons_too(small_scorer: Scorer, base: pd.DataFrame) -> None:
    alone = replace(small_scorer, forecaster=btyd_alone(small_scorer.forecaster))
    told = alone.explain(base)
    assert (told.map(len) == 3).all()
    assert told.explode().str.contains("days since the last order").any()
    assert told.explode().str.contains("Repeat purchase days so far").any()


def test_a_silence_that_is_long_for_the_customer_and_short_for_the_shop_says_so() -> None:
    features = pd.DataFrame({"days_since_last_order": [394.0, 13.0], "gap_mean_days": [71.0, 25.0]})
    parts = pd.DataFrame({"days_since_last_order": [-1.0, -1.0]})
    told = reasons(parts, features, typical_silence=480.0).explode().tolist()
    assert told == [
        "394 days since the last order, above a usual gap of 71 but below most customers', "
        "which lowers the risk",
        "13 days since the last order, against a usual gap of 25, which lowers the risk",
    ]


def test_what_the_optional_tables_tell_reads_as_staff_would_say_it() -> None:
    """One story each; no figure is told as what it means."""
    figures = {
        "csat_last": [0.25, np.nan],
        "complaints_90d": [2.0, 0.0],
        "days_since_last_contact": [3.0, np.nan],
        "is_business": [1.0, np.nan],
        "days_since_last_order": [5.0, 5.0],
        "gap_mean_days": [np.nan, np.nan],
    }
    parts = pd.DataFrame({name: [0.0, 0.0] for name in figures}).assign(
        csat_last=[0.3, 0.05], complaints_90d=[0.5, -0.3], days_since_last_contact=-0.2, is_business=0.1
    )
    told = reasons(parts, pd.DataFrame(figures), typical_silence=10.0).tolist()
    assert told == [
        [
            "Complaints in the last 90 days: 2, which raises the risk",
            "Days since the shop last contacted them: 3, which lowers the risk",
            "Buys for a business: yes, which raises the risk",
        ],
        [
            "Complaints in the last 90 days: 0, which lowers the risk",
            "Days since the shop last contacted them: never so far, which lowers the risk",
            "Buys for a business: not known, which raises the risk",
        ],
    ]
    alone = parts[["csat_last"]]
    told = reasons(alone, pd.DataFrame(figures), typical_silence=10.0).explode().tolist()
    assert told == [
        "Satisfaction in the last survey answer: 25%, which raises the risk",
        "Satisfaction in the last survey answer: no answer yet, which raises the risk",
    ]


def test_shapley_by_hand() -> None:
    """answer = silence + frequency * age, where silence 3, frequency 2, age 10 meet the typical 1, 4, 20."""
    own = pd.DataFrame({"days_since_last_order": [3.0], "frequency": [2.0], "T": [10.0]})
    typical = {"days_since_last_order": 1.0, "frequency": 4.0, "T": 20.0}

    def answer(rfm: pd.DataFrame) -> np.ndarray:
        silence = rfm["T"] - rfm["recency"]
        return (silence + rfm["frequency"] * rfm["T"]).to_numpy()[:, None]

    shares = {name: float(part[0, 0]) for name, part in shapley(answer, own, typical).items()}
    # frequency: mean of (2 - 4) * 20 and (2 - 4) * 10; age: mean of 4 * (10 - 20) and 2 * (10 - 20)
    assert shares == pytest.approx({"days_since_last_order": 2.0, "frequency": -30.0, "T": -30.0})


def test_shapley_asks_nothing_of_customers_as_they_are_where_that_is_known() -> None:
    own = pd.DataFrame({"days_since_last_order": [3.0], "frequency": [2.0], "T": [10.0], "recency": [7.0]})
    typical, asked = {"days_since_last_order": 1.0, "frequency": 4.0, "T": 20.0}, []

    def answer(rfm: pd.DataFrame) -> np.ndarray:
        asked.append(rfm)
        return (rfm["frequency"] * rfm["T"]).to_numpy()[:, None]

    plain, told = shapley(answer, own, typical), shapley(answer, own, typical, answer(own))
    assert plain == told
    assert len(asked) == 8 + 1 + 7
    odd = own.assign(recency=5.0)  # who has another recency than silence and age leave is asked about anew
    shapley(answer, odd, typical, answer(odd))
    assert len(asked) == 16 + 1 + 8


def test_what_was_learned_of_the_season_fades_and_leaves_lifetime_value_alone(
    small_scorer: Scorer, base: pd.DataFrame, small_log: Any
) -> None:
    shift = {Target.CHURN: -0.5, Target.REPEATS: 0.2, Target.SPEND: 0.3}
    high = replace(small_scorer, forecaster=replace(small_scorer.forecaster, season=shift))
    usual = replace(
        small_scorer, forecaster=replace(small_scorer.forecaster, season=dict.fromkeys(Target, 0.0))
    )
    now, later = high.forecast(base), high.forecast(base, small_log.TRAINED_ON + timedelta(days=60))
    plain = usual.forecast(base)
    odds = [logit(frame["churn_probability"].to_numpy()) for frame in (now, plain)]
    assert odds[0] == pytest.approx(odds[1] - 0.5, abs=1e-4)
    if_active = [frame["expected_spend"] / (1 - frame["churn_probability"]) for frame in (now, plain)]
    assert (if_active[0] / if_active[1]).to_numpy() == pytest.approx(np.exp(0.3), rel=1e-4)
    pd.testing.assert_frame_equal(later, plain)
    pd.testing.assert_series_equal(now["clv"], plain["clv"])


def test_a_short_window_is_carried_to_the_horizon_as_a_hazard(small_orders: Any, small_log: Any) -> None:
    """P(no purchase in the horizon) = P(none in the window) ** growth, between BTYD's own and its mean."""
    scorer, current = fit_scorer(small_orders, small_log.TRAINED_ON, 390, small_log.params, "v")
    units = scorer._units(current)
    near, far = scorer._btyd_columns(units)
    short = Target.CHURN.mean(scorer.forecaster.link(Target.CHURN, units, near))
    growth = np.log(scorer.forecast(current)["churn_probability"]) / np.log(short)
    alone = [Target.CHURN.mean(Target.CHURN.base(columns).mean(axis=1)) for columns in (near, far)]
    own = np.log(np.log(alone[1]) / np.log(alone[0]))
    assert scorer.carry == pytest.approx(own.mean(), abs=1e-8)
    assert np.log(growth).to_numpy() == pytest.approx((own + 2 * own.mean()) / 3, abs=1e-4)


def test_reasons_are_three_sentences_without_names_of_columns(
    small_scorer: Scorer, base: pd.DataFrame
) -> None:
    told = small_scorer.explain(base)
    assert (told.map(len) == 3).all()
    assert all("the risk" in text and "_" not in text for row in told for text in row)


def test_a_missing_column_is_named(small_scorer: Scorer, base: pd.DataFrame) -> None:
    with pytest.raises(ModelError, match="lack T"):
        small_scorer.predict(base.drop(columns="T"))


def test_a_damaged_model_is_one_line(small_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not there"):
        Scorer.load(tmp_path / "nowhere")
    (tmp_path / "scorer.json").write_text("{}")
    with pytest.raises(ModelError, match="damaged"):
        Scorer.load(tmp_path)


def test_a_damaged_booster_is_found_when_it_is_read(small_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(small_model, tmp_path / "model")
    (folder / "churn.txt").write_text("tree\n")
    with pytest.raises(ModelError, match="damaged"):
        Scorer.load(folder).prepare()


def test_a_later_date_than_training_can_be_scored(
    small_orders: Any, small_scorer: Scorer, small_log: Any
) -> None:
    """A nightly run scores days that training had not seen."""
    later = current_snapshot(small_orders, small_scorer.plan, small_log.TRAINED_ON + timedelta(days=90))
    assert np.isfinite(small_scorer.predict(later).select_dtypes("number").to_numpy()).all()


def test_returns_only_customers_get_finite_figures(small_scorer: Scorer) -> None:
    others = pd.DataFrame({"customer_id": ["r1", "r2"], "T": [0.0, 400.0]})
    seen = small_scorer.outlook(others)
    assert np.isfinite(seen.select_dtypes("number").to_numpy()).all()
    assert set(seen["scored_by"]) == {"btyd_no_purchase"}

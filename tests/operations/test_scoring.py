"""Scores of a small shop, checked against its raw log."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churnlab.errors import DataError
from churnlab.features.plan import current_snapshot
from churnlab.operations.scoring import SCORES, Provenance, Terms, ranks_of, write_scores

SOURCE = Provenance("7", "run", "data")


@pytest.fixture(scope="module")
def score(small_log, small_orders, small_scorer, tmp_path_factory):
    """Scores as of a day, of the orders given or of the whole log."""
    settings = small_log.params.decisions
    con = small_orders.get_backend()
    path = tmp_path_factory.mktemp("scores") / "scores.parquet"

    def scored(as_of=small_log.LAST_DAY, frame=None, bucket_customers=100_000):
        orders = small_orders
        if frame is not None:
            schema = small_orders.to_pyarrow().schema
            orders = con.create_table(
                f"other_{id(frame)}", pa.Table.from_pandas(frame, schema, preserve_index=False)
            )
        told = []
        rows = write_scores(
            orders,
            small_scorer,
            Terms(as_of, settings, SOURCE),
            path,
            bucket_customers=bucket_customers,
            told=lambda *place: told.append(place),
        )
        scores = pq.read_table(path)
        assert rows == scores.num_rows
        assert told == [(k, len(told)) for k in range(1, len(told) + 1)]
        return scores.to_pandas()

    return scored


@pytest.fixture(scope="module")
def scores(score):
    return score()


@pytest.fixture
def orders(small_orders):
    return small_orders.to_pyarrow().to_pandas()


def test_one_row_per_known_customer(scores, small_log):
    """Authority: the raw log."""
    assert scores["customer_id"].to_list() == sorted(small_log.frame["customer_id"].unique())
    assert list(scores.columns) == SCORES.names
    pa.Table.from_pandas(scores, schema=SCORES, preserve_index=False)


def test_every_figure_is_finite_and_every_label_is_there(scores):
    numbers = scores.select_dtypes("number")
    assert np.isfinite(numbers.to_numpy(float)).all()
    assert scores["churn_probability"].between(0, 1).all() and scores["p_alive"].between(0, 1).all()
    assert (
        scores[["churn_percentile", "clv_percentile"]]
        .apply(lambda share: share.between(0, 100))
        .all(axis=None)
    )
    assert set(scores["risk_label"]) <= {"low", "medium", "high"}
    assert set(scores["value_label"]) <= {"low", "medium", "high", "top"}
    assert scores["reasons"].map(lambda told: 1 <= len(told) <= 3 and all(map(str, told))).all()
    for name in ("expected_spend", "clv"):
        assert (scores[f"{name}_low"] <= scores[name]).all() and (
            scores[name] <= scores[f"{name}_high"]
        ).all()
    assert sorted(scores["priority_rank"]) == list(range(1, len(scores) + 1))
    assert (scores[["model_version", "run_id", "data_version"]] == ["7", "run", "data"]).all(axis=None)


def test_rfm_is_that_of_the_log(scores, small_log):
    """Fader, Hardie & Lee (2005) by pandas: purchase days of positive lines."""
    bought = small_log.frame[small_log.frame["amount"] >= 0].drop_duplicates(["customer_id", "ts"])
    days = bought.groupby("customer_id")["ts"].agg(["count", "min", "max"])
    found = scores.set_index("customer_id").loc[days.index]
    assert (found["frequency"] == days["count"] - 1).all()
    assert (found["recency"] == [d.days for d in days["max"] - days["min"]]).all()
    assert (found["T"] == [(small_log.LAST_DAY - day).days for day in days["min"]]).all()
    assert (found["days_since_last_order"] == [(small_log.LAST_DAY - day).days for day in days["max"]]).all()


def test_customers_with_returns_only_are_scored_like_a_silent_buyer(scores, small_log):
    """Their first line is of 1 June 2022."""
    rows = scores[scores["customer_id"].isin(small_log.RETURNS_ONLY)]
    assert len(rows) == 2
    assert set(rows["scored_by"]) == {"btyd_no_purchase"}
    assert set(rows["lifecycle_type"]) == {"potential"}
    assert set(rows["T"]) == {float((small_log.LAST_DAY - date(2022, 6, 1)).days)}
    assert (rows["frequency"] == 0).all()


def test_the_learners_score_everybody_else(scores, small_log):
    others = scores[~scores["customer_id"].isin(small_log.RETURNS_ONLY)]
    assert set(others["scored_by"]) == {"blend"}


def test_a_base_of_returns_only(score, orders, small_log):
    only = orders[orders["customer_id"].isin(small_log.RETURNS_ONLY)]
    found = score(frame=only)
    assert found["customer_id"].to_list() == list(small_log.RETURNS_ONLY)
    assert np.isfinite(found.select_dtypes("number").to_numpy(float)).all()


def test_the_order_of_rows_is_of_no_account(score, scores, orders):
    pd.testing.assert_frame_equal(score(frame=orders.sample(frac=1, random_state=1)), scores)


def test_later_rows_are_not_looked_at(score, orders, small_log):
    """No-future: the same day's scores from the whole log and from one that ends on that day."""
    as_of = small_log.FIRST_DAY + timedelta(days=420)
    earlier = score(as_of)
    known = small_log.frame.loc[small_log.frame["ts"] <= as_of, "customer_id"].unique()
    assert earlier["customer_id"].to_list() == sorted(known)
    pd.testing.assert_frame_equal(score(as_of, orders[orders["day"] <= as_of]), earlier)


def test_labels_use_the_cut_points_of_training(score, scores, small_scorer, orders):
    """Half of the base gets the labels it has among all; the label follows from the stored cuts alone."""
    half = sorted(orders["customer_id"].unique())[::2]
    found = score(frame=orders[orders["customer_id"].isin(half)])
    among = scores[scores["customer_id"].isin(half)].reset_index(drop=True)
    for name in (
        "risk_label",
        "value_label",
        "churn_percentile",
        "clv_percentile",
        "churn_probability",
        "clv",
    ):
        pd.testing.assert_series_equal(found[name], among[name])
    medium, high = small_scorer.risk.cuts
    p = scores["churn_probability"]
    expected = np.where(p >= high, "high", np.where(p >= medium, "medium", "low"))
    assert (scores["risk_label"] == expected).all()


def test_the_next_order_date_counts_from_as_of(scores, small_scorer, small_orders, small_log):
    """Authority: the purchase model's median, asked directly; rounded up to whole days."""
    features = current_snapshot(small_orders, small_scorer.plan, small_log.LAST_DAY)
    days = small_scorer.forecast(features).set_index("customer_id")["days_to_next_order"]
    shown = scores.set_index("customer_id")["expected_next_order_date"]
    for name, wait in days.items():
        near = np.isfinite(wait) and wait <= 3650
        assert shown[name] == (small_log.LAST_DAY + timedelta(days=int(np.ceil(wait))) if near else None)
    assert shown.dropna().min() >= small_log.LAST_DAY


def test_ids_in_any_script(score, scores, orders):
    """Only the names differ, so every figure stays."""
    names = {"c000": "مشتری ۱", "c001": "Ωμέγα", "c002": "=1+1", "c003": '😀,\n"'}
    renamed = score(frame=orders.assign(customer_id=orders["customer_id"].replace(names)))
    assert set(names.values()) <= set(renamed["customer_id"])
    columns = ["churn_probability", "clv", "risk_label", "lifecycle_type"]
    before = scores.assign(customer_id=scores["customer_id"].replace(names)).set_index("customer_id")
    after = renamed.set_index("customer_id").loc[before.index]
    pd.testing.assert_frame_equal(after[columns], before[columns])


def test_nobody_known_is_one_line(score, small_log):
    with pytest.raises(
        DataError, match=r"^orders: no customer is known on 2021-12-31: choose a later --as-of$"
    ):
        score(small_log.FIRST_DAY - timedelta(days=1))


@pytest.mark.parametrize("customers", [60, 199])
def test_scores_do_not_depend_on_how_many_customers_are_scored_at_a_time(score, scores, customers):
    pd.testing.assert_frame_equal(score(bucket_customers=customers), scores, check_exact=True)


def test_ranks_go_by_benefit_and_then_by_place():
    assert ranks_of(np.array([0.5, 2.0, -1.0, 2.0])).tolist() == [3, 1, 4, 2]

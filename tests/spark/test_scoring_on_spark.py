"""Scores on Spark. Authority: DuckDB's answer by the same model, row for row."""

from __future__ import annotations

import re
from datetime import date, timedelta

import numpy as np
import pyarrow.parquet as pq

from _campaigns import response_by_hand
from churnlab.decisions.hysteresis import EarlierLabels, coded
from churnlab.features.signals import NOTHING
from churnlab.operations.scoring import Provenance, Terms, write_scores

SOURCE = Provenance("model", "run", "data")
NUMBER = re.compile(r"\d[\d,.]*\d|\d")


def test_scores_of_a_built_in_log_are_the_same(log, log_scorer, tmp_path, assert_equal):
    tables = []
    for name, orders in (("here", log.here), ("there", log.there)):
        file = tmp_path / f"{name}.parquet"
        terms = Terms(date.fromisoformat(log.summary["as_of"]), log.params.decisions, SOURCE)
        written = write_scores(orders, log_scorer, terms, file, NOTHING, bucket_customers=10_000)
        tables.append(pq.read_table(file))
        assert written == len(tables[-1]) == log.summary["customers"]
    assert_equal(*(table.drop_columns("reasons") for table in tables))
    told = [table["reasons"].to_pylist() for table in tables]
    assert sum(one != other for one, other in zip(*told, strict=True)) < len(told[0]) / 1000
    for one, other in zip(*told, strict=True):
        assert_same_reasons(one, other)


def assert_same_reasons(one, other):
    """The same words; a number that lies between two printed ones may be rounded either way."""
    assert [NUMBER.sub("#", text) for text in one] == [NUMBER.sub("#", text) for text in other]
    numbers = [[float(n.replace(",", "")) for n in NUMBER.findall(" ".join(texts))] for texts in (one, other)]
    np.testing.assert_allclose(*numbers, rtol=0.001, atol=0.011)


def test_customers_who_only_returned_are_scored_as_elsewhere(
    spark, small_log, small_orders, small_scorer, tmp_path, assert_equal
):
    """By save rates of their own: the model of who responds travels to the workers."""
    there = spark.create_table("small_orders", small_orders.to_pyarrow(), temp=True)
    tables, responds = [], {"personal_call": response_by_hand()}
    for name, orders in (("here", small_orders), ("there", there)):
        file = tmp_path / f"{name}.parquet"
        terms = Terms(small_log.TRAINED_ON, small_log.params.decisions, SOURCE, responses=responds)
        write_scores(orders, small_scorer, terms, file, bucket_customers=1_000)
        tables.append(pq.read_table(file))
    assert "btyd_no_purchase" in tables[1]["scored_by"].to_pylist()
    assert_equal(*tables)


def test_labels_of_the_list_before_are_kept_as_elsewhere(
    spark, small_log, small_orders, small_scorer, tmp_path, assert_equal
):
    there = spark.create_table("small_orders_before", small_orders.to_pyarrow(), temp=True)
    file, settings = tmp_path / "scores.parquet", small_log.params.decisions

    def listed(orders, day, earlier=None):
        terms = Terms(day, settings, SOURCE, earlier)
        write_scores(orders, small_scorer, terms, file, bucket_customers=1_000)
        return pq.read_table(file)

    before = listed(small_orders, small_log.TRAINED_ON - timedelta(days=20)).to_pandas()
    earlier = EarlierLabels.gather([coded(before)])
    kept, alone = (listed(small_orders, small_log.TRAINED_ON, labels) for labels in (earlier, None))
    assert kept["value_label"] != alone["value_label"]
    assert_equal(kept, listed(there, small_log.TRAINED_ON, earlier))

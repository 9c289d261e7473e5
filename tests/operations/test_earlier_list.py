"""A month of nights with labels that stay, and which list they are kept from.

Authority: the labels that the cut points give, and the lists themselves.
"""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from churnlab.config import CustomerTypes
from churnlab.decisions.customer_types import buying_style
from churnlab.decisions.hysteresis import EarlierLabels, coded
from churnlab.engine import read_parquet
from churnlab.errors import DataError
from churnlab.features.plan import current_snapshot
from churnlab.operations.earlier_list import from_file
from churnlab.operations.scoring import Provenance, Terms, write_scores

NIGHTS, FLAP_NIGHTS = 30, 7
LAST_NIGHT = 300  # days into the log, while customers still come
SHARE = 0.02
LABELS = {"risk_label": "churn_percentile", "value_label": "clv_percentile"}


@pytest.fixture(scope="module")
def month(small_log, small_orders, small_scorer, tmp_path_factory):
    """Thirty lists, each with the labels of the one before, and what the cut points alone would say."""
    settings, lists, earlier = small_log.params.decisions, [], None
    assert settings.labels.hysteresis == SHARE
    file = tmp_path_factory.mktemp("month") / "scores.parquet"
    for back in reversed(range(NIGHTS)):
        night = small_log.FIRST_DAY + timedelta(days=LAST_NIGHT - back)
        terms = Terms(night, settings, Provenance("7", "run", "data"), earlier)
        write_scores(small_orders, small_scorer, terms, file, bucket_customers=1_000)
        scores = read_parquet(file).set_index("customer_id")
        lists.append(
            scores.assign(
                raw_risk_label=small_scorer.risk.label(scores["churn_probability"]).to_numpy(),
                raw_value_label=small_scorer.value.label(scores["clv"]).to_numpy(),
            )
        )
        earlier = EarlierLabels.gather([coded(scores.reset_index())])
    return lists


def changes(lists, column):
    """How often a customer has another label than the night before."""
    nights = pd.concat([scores[column] for scores in lists], axis=1)
    known = nights.iloc[:, :-1].notna().to_numpy()
    return int(((nights.iloc[:, 1:].to_numpy() != nights.iloc[:, :-1].to_numpy()) & known).sum())


def flaps(lists, column):
    """How often a label is taken back within a week: A, then B, then A."""
    found = 0
    for words in pd.concat([scores[column] for scores in lists], axis=1).itertuples(index=False):
        moved = [k for k in range(1, len(words)) if words[k] != words[k - 1] and not pd.isna(words[k - 1])]
        for first, second in pairwise(moved):
            found += second - first <= FLAP_NIGHTS and words[second] == words[first - 1]
    return found


def test_labels_flap_less(month):
    """Of this shop only the value label flaps at all: what raises a risk here takes longer than a week."""
    assert flaps(month, "value_label") < flaps(month, "raw_value_label") / 2
    assert flaps(month, "risk_label") <= flaps(month, "raw_risk_label")


@pytest.mark.parametrize("column", LABELS)
def test_labels_change_less_often(month, column):
    assert changes(month, column) < changes(month, f"raw_{column}")


@pytest.mark.parametrize("column", LABELS)
def test_no_label_is_further_from_its_cut_point_than_the_hysteresis(month, column, small_scorer):
    scale = small_scorer.risk if column == "risk_label" else small_scorer.value
    cuts = scale.percentile(np.array(scale.cuts))
    kept = 0
    for scores in month:
        other = scores[scores[column] != scores[f"raw_{column}"]]
        kept += len(other)
        for row in other[[column, f"raw_{column}", LABELS[column]]].itertuples(index=False):
            low, high = sorted(scale.names.index(word) for word in row[:2])
            assert (np.abs(cuts[low:high] - row[2]) <= 100 * SHARE + 1e-6).all()
    assert kept
    assert (month[0][column] == month[0][f"raw_{column}"]).all()  # the first night has no list before it


def test_the_style_reads_the_label_that_is_shown(month, small_log, small_orders, small_scorer):
    for back in (0, 11):
        scores = month[NIGHTS - 1 - back]
        buyers = current_snapshot(
            small_orders, small_scorer.plan, small_log.FIRST_DAY + timedelta(LAST_NIGHT - back)
        )
        shown = buyers["customer_id"].map(scores["value_label"])
        found = buying_style(buyers, shown, CustomerTypes())["buying_style"]
        assert found.to_list() == buyers["customer_id"].map(scores["buying_style"]).to_list()


def test_life_cycle_types_change_by_an_event_alone(month, small_log):
    """Who has no line in the log on a night only moves on by age and silence, never back."""
    moved = 0
    for before, after in pairwise(month):
        busy = small_log.frame.loc[small_log.frame["ts"] == after["as_of"].iloc[0], "customer_id"]
        names = before.index.difference(busy)
        steps = zip(before.loc[names, "lifecycle_type"], after.loc[names, "lifecycle_type"], strict=True)
        steps = {(old, new) for old, new in steps if old != new}
        moved += len(steps)
        assert steps <= {
            ("new", "active"),
            ("new", "loyal"),
            ("new", "inactive"),
            ("active", "inactive"),
            ("loyal", "inactive"),
        }
    assert moved


@pytest.fixture
def nightly(small_log, small_model, churnlab, tmp_path):
    """Runs `churnlab score` and gives the list and the manifest."""

    def run(day, *words, model=small_model):
        out = tmp_path / "out"
        named = words if "--sink" in words else ("--out", out, *words)
        code, _, err = churnlab("score", "--params", small_log.file, "--as-of", day, "--model", model, *named)
        assert code == 0, err
        if "--sink" in words:
            sink = Path(words[words.index("--sink") + 1])
            file = sink / "scores" / f"as_of={day}" / "scores.parquet"
            manifest = sink / "manifests" / f"as_of={day}.json"
        else:
            file, manifest = out / "scores.parquet", out / "manifest.json"
        return file.read_bytes(), json.loads(manifest.read_text(encoding="utf-8"))

    return run


def test_the_list_before_is_the_newest_of_an_earlier_date(nightly, small_log, tmp_path):
    sink = ("--sink", str(tmp_path / "lists"))
    days = [small_log.LAST_DAY - timedelta(days=back) for back in (10, 5, 0)]
    _, first = nightly(days[0], *sink)
    assert first["previous"] is None
    nightly(days[2], *sink)
    middle, told = nightly(days[1], *sink)  # told late: the list of a later date is not the one before
    assert told["previous"]["as_of"] == days[0].isoformat()
    assert told["previous"]["labels"] == "kept"
    assert told["previous"]["sha256"] == first["files"]["scores.parquet"]["sha256"]
    restated, _ = nightly(days[1], *sink, "--restate")
    assert restated == middle


def test_a_file_stands_for_the_list_before(nightly, small_log, tmp_path):
    before = tmp_path / "before.parquet"
    content, _ = nightly(small_log.LAST_DAY - timedelta(days=20))
    before.write_bytes(content)
    alone, told = nightly(small_log.LAST_DAY)
    assert told["previous"] is None
    kept, told = nightly(small_log.LAST_DAY, "--previous", before)
    assert told["previous"]["rows"] == pq.read_metadata(before).num_rows
    assert kept != alone
    table = pq.read_table(before)
    place = table.schema.get_field_index("model_version")
    other = table.set_column(place, "model_version", [["another"] * len(table)])
    pq.write_table(other, before)
    anew, told = nightly(small_log.LAST_DAY, "--previous", before)
    assert told["previous"]["labels"] == "started anew: another model"
    assert anew == alone


def test_a_file_that_is_no_earlier_list_is_refused(small_log, tmp_path):
    day, file = small_log.LAST_DAY, tmp_path / "list.parquet"
    rows = pd.DataFrame(
        {"customer_id": ["a", "b"], "risk_label": "low", "value_label": "low", "model_version": "7"}
    )
    for changed, finding in (
        (rows.drop(columns="value_label"), "no column value_label"),
        (rows.assign(model_version=["7", "8"]), "not one list"),
        (rows.assign(as_of=day), "not of a day before"),
    ):
        changed.to_parquet(file)
        with pytest.raises(DataError, match=finding):
            from_file(file, day)
    file.write_text("no list", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read"):
        from_file(file, day)

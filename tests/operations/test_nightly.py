"""The nightly job on a small shop's files. Authority: the files themselves."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import UTC, date, datetime, timedelta

import ibis
import pandas as pd
import pyarrow.parquet as pq
import pytest

from churnlab.config import Contacts, Params
from churnlab.errors import ChurnlabError, DataError, ModelError, TrackingError
from churnlab.evaluation.backtest import fit_scorer
from churnlab.features.signals import Signals
from churnlab.operations.nightly import Job, score_source, scoring_day, yesterday
from churnlab.operations.provenance import training_id
from churnlab.operations.scoring import SCORES

BAD_LINES = ",2022-05-01,3.0\nc001,yesterday,3.0\nc001,2022-05-01,three\n"


@pytest.fixture(scope="module")
def params(small_log, tmp_path_factory) -> Params:
    """The small log with three lines more that cannot be used."""
    csv = tmp_path_factory.mktemp("nightly") / "log.csv"
    csv.write_text(small_log.csv.read_text() + BAD_LINES)
    data = small_log.params.data.model_copy(update={"path": str(csv)})
    return small_log.params.model_copy(update={"data": data})


@pytest.fixture(scope="module")
def folder(params, small_model, tmp_path_factory):
    out = tmp_path_factory.mktemp("scored") / "new"
    assert score_source(Job(params, None, str(small_model)), out) == out / "scores.parquet"
    return out


@pytest.fixture(scope="module")
def manifest(folder):
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def test_the_rows_add_up(folder, manifest, small_log):
    rows = manifest["rows"]
    assert rows["read"] == len(small_log.frame) + 3
    assert rows["accepted"] + rows["quarantined"] == rows["read"]
    assert rows["quarantined"] == pq.read_metadata(folder / "quarantine.parquet").num_rows == 3
    assert rows["scored"] == pq.read_metadata(folder / "scores.parquet").num_rows
    assert rows["scored"] == small_log.frame["customer_id"].nunique()


def test_checksums_are_those_of_the_files(folder, manifest):
    assert set(manifest["files"]) == {"scores.parquet", "quarantine.parquet"}
    for name, told in manifest["files"].items():
        content = (folder / name).read_bytes()
        assert told == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def test_the_manifest_names_code_parameters_data_and_model(manifest, small_scorer):
    assert manifest["model_version"] == small_scorer.digest
    untold = ["Nobody is called discount", "Nobody is called wandering"]
    assert manifest["notes"][:-2] == list(small_scorer.notes)
    assert [note.partition(":")[0] for note in manifest["notes"][-2:]] == untold
    assert manifest["run_id"] == training_id(small_scorer.digest, "small")
    assert len(manifest["data_version"]) == 64 and len(manifest["params"]) == 12
    assert manifest["versions"]["churnlab"] and "commit" in manifest
    assert set(manifest["seconds"]) == {"model", "ingest", "score"}
    assert manifest["peak_memory_mb"] > 0


def test_as_of_is_the_last_day_of_the_data(folder, manifest, small_log):
    assert manifest["as_of"] == small_log.LAST_DAY.isoformat()
    table = pq.read_table(folder / "scores.parquet")
    assert table.schema.equals(SCORES)
    assert set(table["as_of"].to_pylist()) == {small_log.LAST_DAY}


def test_again_gives_the_same_bytes(params, folder, small_model, tmp_path):
    score_source(Job(params, None, str(small_model)), tmp_path)
    for name in ("scores.parquet", "quarantine.parquet"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_an_earlier_day_knows_fewer_customers(params, small_model, small_log, tmp_path):
    day = small_log.FIRST_DAY + timedelta(days=100)
    scores = pd.read_parquet(score_source(Job(params, day, str(small_model)), tmp_path))
    known = small_log.frame.loc[small_log.frame["ts"] <= day, "customer_id"]
    assert scores["customer_id"].to_list() == sorted(known.unique())
    assert set(scores["as_of"]) == {day}


def changed(params, **data):
    return params.model_copy(update={"data": params.data.model_copy(update=data)})


def one_line(error: ChurnlabError) -> str:
    text = str(error)
    assert text and "\n" not in text
    return text


def test_a_damaged_booster_ends_the_run_before_anything_is_written(params, small_model, tmp_path):
    model = shutil.copytree(small_model, tmp_path / "model")
    (model / "spend.txt").write_text("tree\n", encoding="utf-8")
    with pytest.raises(ModelError, match="damaged") as caught:
        score_source(Job(params, None, str(model)), tmp_path / "out")
    one_line(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_missing_source(params, small_model, tmp_path):
    with pytest.raises(DataError) as caught:
        score_source(
            Job(changed(params, path=str(tmp_path / "none.csv")), None, str(small_model)), tmp_path / "out"
        )
    assert "data.path" in one_line(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_missing_model_folder(params, tmp_path):
    with pytest.raises(TrackingError) as caught:
        score_source(Job(params, None, str(tmp_path / "none")), tmp_path)
    assert "none" in one_line(caught.value)


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"format": 99}'])
def test_a_folder_without_a_whole_model(params, tmp_path, content):
    if content is not None:
        (tmp_path / "scorer.json").write_text(content)
    with pytest.raises(ModelError) as caught:
        score_source(Job(params, None, str(tmp_path)), tmp_path / "out")
    one_line(caught.value)


def test_a_source_without_a_usable_line(params, small_model, tmp_path):
    csv = tmp_path / "log.csv"
    csv.write_text("customer_id,ts,amount\n" + BAD_LINES)
    with pytest.raises(DataError, match="none of 3 lines can be used") as caught:
        score_source(Job(changed(params, path=str(csv)), None, str(small_model)), tmp_path / "out")
    one_line(caught.value)


def test_a_day_in_another_age_is_refused():
    """Nine thousand years ahead: a slip of the keyboard, and more than dates can hold."""
    summary = {"rows_read": 1, "rows_accepted": 1, "last_day": "2023-05-15", "as_of": "2023-05-20"}
    assert scoring_day(None, summary) == date(2023, 5, 20)
    assert scoring_day(date(2024, 1, 1), summary) == date(2024, 1, 1)
    with pytest.raises(
        DataError, match="end on 2023-05-15, over ten years before 9999-12-31: correct --as-of"
    ):
        scoring_day(date(9999, 12, 31), summary)


def test_a_model_that_counts_on_contacts_is_given_them(params, small_log, small_orders, tmp_path):
    """A contact every 40 days for every other customer: one line without the table, scores with it."""
    names = sorted(small_log.frame["customer_id"].unique())[::2]
    rows = [(name, small_log.FIRST_DAY + timedelta(days=40 * k)) for name in names for k in range(13)]
    frame = pd.DataFrame(rows, columns=["customer_id", "ts"])
    moments = frame.assign(ts=pd.to_datetime(frame["ts"]).astype("datetime64[us]"), group="treated")
    signals = Signals(contacts=ibis.memtable(moments))
    scorer, _ = fit_scorer(small_orders, small_log.TRAINED_ON, 60, small_log.params, "small", signals=signals)
    scorer.save(tmp_path / "model")
    with pytest.raises(DataError, match=r"^contacts: there is no such table.*data\.contacts"):
        score_source(Job(params, None, str(tmp_path / "model")), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    frame.to_csv(tmp_path / "contacts.csv", index=False)
    told = changed(params, contacts=Contacts(path=str(tmp_path / "contacts.csv")))
    scores = pd.read_parquet(score_source(Job(told, None, str(tmp_path / "model")), tmp_path / "out"))
    assert len(scores) == small_log.frame["customer_id"].nunique()


@pytest.mark.parametrize(
    ("zone", "moment", "expected"),
    [
        ("UTC", "2026-03-01T23:59:00+00:00", date(2026, 2, 28)),
        ("UTC", "2026-03-02T00:00:00+00:00", date(2026, 3, 1)),
        ("Asia/Tehran", "2026-03-01T20:29:00+00:00", date(2026, 2, 28)),  # 23:59 there
        ("Asia/Tehran", "2026-03-01T20:30:00+00:00", date(2026, 3, 1)),
        ("America/New_York", "2026-11-01T04:30:00+01:00", date(2026, 10, 30)),  # 23:30 of the 31st there
    ],
)
def test_yesterday_is_told_by_the_clocks_of_the_business(params, zone, moment, expected):
    assert yesterday(changed(params, timezone=zone), datetime.fromisoformat(moment)) == expected


def test_what_is_no_live_source_ends_where_it_ends(params):
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert yesterday(changed(params, dataset="cdnow", path=None), now) is None
    assert yesterday(changed(params, as_of=date(2023, 1, 1)), now) == date(2023, 1, 1)

"""Lists as Delta tables. Authority: Delta's protocol (its log, read by hand), delta-rs as a reader."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from churnlab.errors import SinkError
from churnlab.operations.scoring import SCORES
from churnlab.operations.sinks import delta_folder
from churnlab.operations.sinks.targets import open_sink

OTHER_DAY = date(2024, 2, 28)


def actions(target, name="scores"):
    """What the log holds, in the order of its commits."""
    log = Path(target.url) / name / "_delta_log"
    return [
        json.loads(line)
        for commit in sorted(log.glob("*.json"))
        for line in commit.read_text(encoding="utf-8").splitlines()
    ]


@pytest.fixture
def twice(new_target, lists):
    """Two dates, one of them published twice."""
    target = new_target("delta")
    target.publish(lists.make(9.0, 10, OTHER_DAY))
    target.publish(lists.make(1.0, 90))
    target.publish(lists.make(2.0, 50), restate=True)
    return target


def test_delta_readers_find_the_current_lists_in_the_columns_of_scores(twice, lists):
    table = DeltaTable(Path(twice.url) / "scores")
    rows = table.to_pyarrow_table()
    assert rows.column_names == SCORES.names
    counted = (
        rows.group_by("as_of").aggregate([("clv", "max"), ("clv", "count")]).sort_by("as_of").to_pylist()
    )
    assert counted == [
        {"as_of": OTHER_DAY, "clv_max": 9.0, "clv_count": 10},
        {"as_of": lists.day, "clv_max": 2.0, "clv_count": 50},
    ]
    assert (table.protocol().min_reader_version, table.protocol().min_writer_version) == (1, 2)


def test_a_publication_is_one_commit(twice):
    """The table's own and three; the third replaces a file of the second, and nothing is appended."""
    moves = [next(iter(action)) for action in actions(twice) if {"add", "remove"} & set(action)]
    assert sorted(moves) == ["add"] * 3 + ["remove"]
    assert DeltaTable(Path(twice.url) / "scores").version() == 3


def test_an_earlier_version_stays_readable(twice):
    before = DeltaTable(Path(twice.url) / "scores", version=2).to_pyarrow_table()
    assert sorted(before["clv"].to_pylist()) == [1.0] * 90 + [9.0] * 10


def test_a_kept_list_is_a_partition_of_its_own(twice, lists):
    rows = DeltaTable(Path(twice.url) / "superseded").to_pyarrow_table()
    assert rows.num_rows == 90
    assert rows.select(["as_of", "revision", "clv"]).to_pylist()[0] == {
        "as_of": lists.day,
        "revision": 1,
        "clv": 1.0,
    }


def test_the_log_names_no_customer(new_target, lists):
    """Other writers keep the least and the greatest id there, where nobody could erase it."""
    target = new_target("delta")
    target.publish(lists.make(1.0, ["zoe-from-essen"]), quarantine=lists.quarantine("zoe-from-essen"))
    assert "zoe" not in json.dumps([*actions(target), *actions(target, "quarantine")])


def test_a_list_that_others_rewrote_is_found_and_replaced(twice, lists):
    """OPTIMIZE by another program: other files, the same rows."""
    DeltaTable(Path(twice.url) / "scores").optimize.z_order(["clv"])
    assert sorted(twice.markers()) == [2.0] * 50 + [9.0] * 10
    sink = twice.open()
    assert [row["clv"] for _, row in sink.rows_of("c0000001", lists.day)] == [1.0, 2.0]
    twice.publish(lists.make(3.0, 5), restate=True)
    assert sorted(twice.markers()) == [3.0] * 5 + [9.0] * 10
    assert [row["clv"] for _, row in sink.rows_of("c0000001", lists.day)] == [1.0, 2.0, 3.0]


def test_a_folder_keeps_to_tables_or_files(twice, new_target, lists):
    made, plain = lists.make(2.0, day=date(2024, 3, 1)), new_target("folder")
    plain.publish(lists.make(1.0))
    for url, kind, line in (
        (twice.url, "parquet", r"holds Delta tables: name --format delta or another folder$"),
        (plain.url, "delta", r"scores\.parquet: is none of this sink's files: move it away"),
    ):
        with pytest.raises(SinkError, match=line):
            open_sink(url, kind).publish(made.path, made.run, lists.now, restate=False, quarantine=None)


def test_another_table_is_refused(new_target, lists):
    target = new_target("delta")
    write_deltalake(Path(target.url) / "scores", pa.table({"mine": [1]}))
    with pytest.raises(SinkError, match=r"scores: is another Delta table: choose another folder$"):
        target.publish(lists.make(1.0))


def test_a_damaged_log_is_one_line(twice, lists):
    for commit in (Path(twice.url) / "scores" / "_delta_log").glob("*.json"):
        commit.write_text("{", encoding="utf-8")
    with pytest.raises(SinkError, match=r"a Delta table in it cannot be written or read: check its folders"):
        twice.publish(lists.make(3.0))


def test_names_that_delta_cannot_bear_are_refused(tmp_path):
    with pytest.raises(SinkError, match=r"cannot be kept below a name with one of \[ \] \^ \| %: rename it$"):
        open_sink(str(tmp_path / "50%"), "delta")


def test_a_missing_library_is_named_by_its_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(delta_folder, "find_spec", lambda _: None)
    with pytest.raises(SinkError, match=r'is not installed: pip install "churnlab\[delta\]"$'):
        open_sink(str(tmp_path), "delta")

"""Others who read while lists are published: every read is one whole list per date."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from churnlab.operations.sinks.publication import Publication

ROOT = Path(__file__).parents[3]
ROWS = {1.0: 900, 2.0: 500, 3.0: 700}
OTHER_DAY = date(2024, 2, 28)
PUBLISHER = """\
import json, sys
from datetime import date, datetime, UTC
from pathlib import Path
from churnlab.operations.sinks.publication import RunIdentity
from churnlab.operations.sinks.retrying import Patience
from churnlab.operations.sinks.targets import open_sink

job = json.load(sys.stdin)
patience = Patience(first_seconds=0.01, longest_seconds=0.02)
for round in range(4):
    for one in job["lists"]:
        run = RunIdentity(**one["run"] | {"as_of": date.fromisoformat(one["run"]["as_of"])})
        sink = open_sink(job["url"], job["format"], patience)
        now = datetime(2024, 3, 2, tzinfo=UTC)
        sink.publish(Path(one["scores"]), run, now, restate=round % 2 == 0, quarantine=None)
"""


def test_every_read_is_one_whole_list(target, lists):
    made = [lists.make(marker, rows) for marker, rows in ROWS.items()]
    target.publish(lists.make(9.0, 10, OTHER_DAY))
    target.publish(made[0])
    job = {"url": target.url, "format": target.file_format, "lists": [one.job() for one in made]}
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-W", "ignore", "-c", PUBLISHER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True
    ) as publisher:
        publisher.stdin.write(json.dumps(job))
        publisher.stdin.close()
        seen = []
        while publisher.poll() is None:
            seen += reading(target)
            time.sleep(0.03)  # DuckDB's readers lock out the writer
        assert publisher.returncode == 0, publisher.stderr.read()
    seen += reading(target)
    assert seen[-1] == [3.0] * ROWS[3.0] + [9.0] * 10
    assert all(one == [one[0]] * ROWS[one[0]] + [9.0] * 10 for one in seen)
    assert len({one[0] for one in seen}) > 1


def reading(target):
    """One read, unless it falls into the seconds in which DuckDB lets nobody in."""
    try:
        return [sorted(target.markers())]
    except duckdb.IOException as error:
        assert "Could not set lock on file" in str(error)
        return []


@pytest.fixture
def folder(new_target, lists):
    """Two dates, one of them published twice, and what a killed run may leave behind."""
    target = new_target("folder")
    target.publish(lists.make(9.0, 10, OTHER_DAY))
    target.publish(lists.make(1.0, 900))
    target.publish(lists.make(2.0, 500), restate=True)
    scores = Path(target.url) / "scores"
    (scores / f"as_of={lists.day}" / ".scores.parquet.tmp").write_text("half of")
    return scores


def test_arrow_reads_the_folder_as_one_table(folder, lists):
    dates = ds.partitioning(flavor="hive")
    table = ds.dataset(folder, partitioning=dates).to_table(columns=["as_of", "clv"])
    assert table.num_rows == 510
    assert table["as_of"].unique().to_pylist() == [str(OTHER_DAY), str(lists.day)]
    only = pq.read_table(folder, filters=[("as_of", "=", str(lists.day))])
    assert set(only["clv"].to_pylist()) == {2.0}


def test_pandas_reads_the_folder_as_one_table(folder, lists):
    counts = pd.read_parquet(folder)["as_of"].value_counts().to_dict()
    assert counts == {str(OTHER_DAY): 10, str(lists.day): 500}


def test_duckdb_reads_the_folder_as_one_table_with_dates(folder, lists):
    table = f"read_parquet('{folder}/*/*.parquet', hive_partitioning = true)"
    with duckdb.connect() as con:
        sql = f"SELECT as_of, count(*), max(clv) FROM {table} GROUP BY as_of ORDER BY as_of"
        rows = con.execute(sql).fetchall()
    assert rows == [(OTHER_DAY, 10, 9.0), (lists.day, 500, 2.0)]


def test_equal_lists_give_equal_files(new_target, lists):
    made = lists.make(1.0, 900)
    files = []
    for kind in ("folder", "folder", "csv", "csv"):
        target = new_target(kind)
        target.publish(made)
        files.append(next(Path(target.url).glob("scores/*/*")).read_bytes())
    assert files[0] == files[1]
    assert files[2] == files[3]


def test_a_list_that_is_cleared_away_at_that_instant_was_never_published(new_target, lists, monkeypatch):
    """A reader has read the note of a run that died when the next run clears it away, and its hidden file."""
    target, made, dead = new_target("folder"), lists.make(1.0), lists.make(2.0)
    first = target.publish(made)
    sink, reader = target.open(), target.open()
    sink._prepare(Publication.of(dead.run, 2, lists.now), dead.path, None)
    looks = reader._has_landed

    def cleared_before(noted):
        monkeypatch.setattr(reader, "_has_landed", looks)
        assert not looks(noted)
        target.publish(made)  # the very same: it changes nothing but what the dead run left
        return looks(noted)

    monkeypatch.setattr(reader, "_has_landed", cleared_before)
    assert reader.history() == [first]

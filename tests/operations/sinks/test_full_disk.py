"""Disks that are full or closed: one line, and the old list stays. A limit on file sizes stands for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from churnlab.errors import SinkError

ROOT = Path(__file__).parents[3]
LIMITED = """\
import json, resource, sys
from datetime import date, datetime, UTC
from pathlib import Path
from churnlab.errors import ChurnlabError
from churnlab.operations.sinks.publication import RunIdentity
from churnlab.operations.sinks.targets import open_sink

job = json.load(sys.stdin)
run = RunIdentity(**job["run"] | {"as_of": date.fromisoformat(job["run"]["as_of"])})
sink = open_sink(job["url"], job["format"])
resource.setrlimit(resource.RLIMIT_FSIZE, (job["limit"], job["limit"]))
try:
    sink.publish(Path(job["scores"]), run, datetime(2024, 3, 2, tzinfo=UTC), restate=True, quarantine=None)
except ChurnlabError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("kind", ["folder", "csv", "delta", "sqlite", "duckdb"])
def test_a_full_disk_leaves_the_old_list(new_target, lists, kind):
    target = new_target(kind)
    names = [os.urandom(20).hex() for _ in range(20_000)]
    old, new = lists.make(1.0, 40), lists.make(2.0, names)
    target.publish(old)
    job = new.job() | {"url": target.url, "format": target.file_format, "limit": 400_000}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LIMITED],
        input=json.dumps(job),
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith(f"SinkError {target.open().shown}: "), done
    assert done.stdout.count("\n") == 1
    assert "disk" in done.stdout
    assert target.markers() == [1.0] * 40
    assert target.publish(new, restate=True).revision == 2
    assert target.markers() == [2.0] * 20_000


@pytest.mark.parametrize("kind", ["folder", "csv"])
def test_another_file_among_the_lists_is_refused(new_target, lists, kind):
    """Readers would take it for a part of the list."""
    target = new_target(kind)
    target.publish(lists.make(1.0))
    stranger = Path(target.url) / "scores" / f"as_of={lists.day}" / "part-0.parquet"
    stranger.write_text("mine")
    with pytest.raises(SinkError, match=r"part-0\.parquet: is none of this sink's files: move it away"):
        target.publish(lists.make(2.0))
    stranger.unlink()
    assert target.markers() == [1.0] * 3


def test_a_folder_keeps_to_its_format(new_target, lists):
    from churnlab.operations.sinks.targets import open_sink

    target, made = new_target("folder"), lists.make(2.0)
    target.publish(lists.make(1.0))
    with pytest.raises(SinkError, match=r"scores\.parquet: is none of this sink's files"):
        open_sink(target.url, "csv").publish(made.path, made.run, lists.now, restate=False, quarantine=None)


def test_a_file_where_the_folder_should_be(new_target, lists):
    target = new_target("folder")
    Path(target.url).write_text("mine")
    with pytest.raises(SinkError, match="cannot be locked"):
        target.publish(lists.make(1.0))
    assert Path(target.url).read_text() == "mine"

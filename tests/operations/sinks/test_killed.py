"""Runs that are killed while they publish, at every step: half a list is never seen, nobody has to clean up.

A child is killed by SIGKILL before its n-th step, for every n until it gets through. A step is a change of
the folder (as the interpreter's audit hook reports it), a commit to a Delta table, or a statement or load
sent to a database.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from churnlab.operations.erasure.traces import Wanted

ROOT = Path(__file__).parents[3]
CHILDREN = """\
import json, os, signal, sys
from datetime import date, datetime, UTC
from importlib import import_module
from pathlib import Path
from churnlab.operations.erasure.traces import Wanted
from churnlab.operations.sinks import adbc, duckdb_file, lists
from churnlab.operations.sinks.publication import RunIdentity
from churnlab.operations.sinks.targets import open_sink

CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link")

def die_before(step):
    steps = iter(range(1, 10**6))
    def count(*_):
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)
    return count

def publish(job, step):
    count = die_before(step)
    def audit(event, _):
        if event in CHANGES:
            count()
    def counted(method):
        def call(*arguments, **options):
            count()
            return method(*arguments, **options)
        return call
    if "://" in job["url"]:
        for kind in (adbc.AdbcConnection, duckdb_file.DuckConnection):
            for step in ("rows", "load", "begin", "commit"):
                setattr(kind, step, counted(getattr(kind, step)))
    else:
        sys.addaudithook(audit)
    if job["format"] == "delta":
        import deltalake  # not before the fork: its threads would be missing here
        for step in ("create", "create_write_transaction"):
            setattr(deltalake.DeltaTable, step, counted(getattr(deltalake.DeltaTable, step)))
    run = RunIdentity(**job["run"] | {"as_of": date.fromisoformat(job["run"]["as_of"])})
    sink = open_sink(job["url"], job["format"])
    now = datetime(2024, 3, 2, tzinfo=UTC)
    if "gone" in job:
        sink.erase(Wanted(frozenset(job["gone"])), run.as_of, now)
    else:
        sink.publish(Path(job["scores"]), run, now, restate=True, quarantine=Path(job["quarantine"]))

jobs = json.load(sys.stdin)
for driver in ("postgresql", "sqlite"):
    if jobs[0]["url"].startswith(driver):
        import_module(f"adbc_driver_{driver}.dbapi")  # once for all children
for job in jobs:
    child = os.fork()
    if not child:
        publish(job, job["step"])
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
LOADING = """\
import json, os, signal, sys
from datetime import date, datetime, UTC
from pathlib import Path
from churnlab.operations.sinks import lists
from churnlab.operations.sinks.publication import RunIdentity
from churnlab.operations.sinks.targets import open_sink

whole = lists.batches
def cut(path, schema):
    for number, batch in enumerate(whole(path, schema)):
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        yield batch
lists.BATCH_ROWS, lists.batches = 1_000, cut
from churnlab.operations.sinks import list_files
list_files.batches = cut
job = json.load(sys.stdin)
run = RunIdentity(**job["run"] | {"as_of": date.fromisoformat(job["run"]["as_of"])})
sink = open_sink(job["url"], job["format"])
sink.publish(Path(job["scores"]), run, datetime(2024, 3, 2, tzinfo=UTC), restate=True, quarantine=None)
"""


def run(script, job):
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        input=json.dumps(job),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def left_over(target):
    """Hidden files of a folder other than locks; staged tables of a database."""
    if target.kind == "postgres":
        with psycopg.connect(target.url.partition("&schema=")[0]) as con:
            return con.execute("SELECT relname FROM pg_class WHERE relname LIKE 'churnlab%'").fetchall()
    path = Path(target.url.rpartition(":///")[2])
    inside = path.rglob(".*") if path.is_dir() else path.parent.glob(f"{path.name}*.tmp")
    return [one.name for one in inside if one.name not in (".locks", ".pending")]


# more than a publication has
STEPS = {"folder": 15, "csv": 15, "delta": 26, "sqlite": 22, "duckdb": 22, "postgres": 25}


@pytest.mark.parametrize("kind", STEPS)
def test_killed_before_every_step(alike, lists, kind):
    old, new = lists.make(1.0, 40), lists.make(2.0, 30)
    refused, newly_refused = lists.quarantine("old"), lists.quarantine("new")
    targets = alike(kind, STEPS[kind], lambda target: target.publish(old, quarantine=refused))
    jobs = [
        new.job()
        | {"url": target.url, "format": target.file_format, "quarantine": str(newly_refused), "step": step}
        for step, target in enumerate(targets, start=1)
    ]
    done = run(CHILDREN, jobs)
    codes = [int(line) for line in done.stdout.split()]
    assert len(codes) == len(jobs), done.stderr
    through = codes.index(0)
    assert codes == [-signal.SIGKILL] * through + [0] * (len(jobs) - through), done.stderr
    assert 8 <= through < len(jobs), "every step of a publication has had its kill"
    for target in targets[: through + 1]:
        assert target.markers() in ([1.0] * 40, [2.0] * 30)
        was_through = target.markers() == [2.0] * 30
        history = target.open().history()
        assert [past.revision for past in history] == ([1, 2] if was_through else [1])
        target.publish(new, restate=True, quarantine=newly_refused)
        assert target.markers() == [2.0] * 30
        assert target.refused() == ["new"]
        sink = target.open()
        assert [past.revision for past in sink.history()] == [1, 2]
        found = [(past.revision, row["clv"]) for past, row in sink.rows_of("c0000003", lists.day)]
        assert found == [(1, 1.0), (2, 2.0)]
        sink.close()
    assert not any(left_over(target) for target in targets)


ERASING = {"folder": 11, "csv": 11, "sqlite": 22, "duckdb": 19, "postgres": 26}  # more than an erasure has


@pytest.mark.parametrize("kind", ERASING)
def test_an_erasure_killed_before_every_step(alike, lists, kind):
    """Every list is whole, with or without the customer; the next erasure ends what this one began."""
    old, new = lists.make(1.0, ["gone", "b", "c"]), lists.make(2.0, ["gone", "b"])
    refused = lists.quarantine("x", raw=['{"customer_id": "gone"}'])

    def fill(target):
        target.publish(old)
        target.publish(new, restate=True, quarantine=refused)

    targets = alike(kind, ERASING[kind], fill)
    jobs = [
        new.job() | {"url": target.url, "format": target.file_format, "gone": ["gone"], "step": step}
        for step, target in enumerate(targets, start=1)
    ]
    done = run(CHILDREN, jobs)
    codes = [int(line) for line in done.stdout.split()]
    through = codes.index(0)
    assert codes == [-signal.SIGKILL] * through + [0] * (len(jobs) - through), done.stderr
    assert 6 <= through < len(jobs), "every step of an erasure has had its kill"
    wanted = Wanted(frozenset(["gone"]))
    for target in targets[: through + 1]:
        names = sorted(name for _, name, _ in target.read())
        assert names in (["b", "gone"], ["b"])
        sink = target.open()
        sink.erase(wanted, lists.day, lists.now)
        assert sink.traces(wanted) == []
        assert [name for _, name, _ in target.read()] == ["b"]
        assert [past.revision for past, _ in sink.rows_of("b", lists.day)] == [1, 2]
        assert [row["clv"] for _, row in sink.rows_of("c", lists.day)] == [1.0]
        assert [past.rows for past in sink.history()] == [3, 2]
        assert sorted(target.rows("erasures", ["revision", "rows_left"])) == [(1, 2), (2, 1)]
        sink.close()
    assert not any(left_over(target) for target in targets)


def test_killed_in_mid_load(target, lists):
    old, new = lists.make(1.0, 40), lists.make(2.0, 10_000)
    target.publish(old)
    done = run(LOADING, new.job() | {"url": target.url, "format": target.file_format})
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert target.markers() == [1.0] * 40
    target.publish(new)
    assert target.markers() == [2.0] * 10_000
    assert left_over(target) == []

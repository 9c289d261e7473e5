"""One run per date, between real processes. Authority: what the system does when a process dies."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from churnlab.errors import SinkError, TryLaterError
from churnlab.operations.sinks.locks import exclusive
from churnlab.operations.sinks.retrying import Patience

ROOT = Path(__file__).parents[3]
OTHER_DAY = date(2024, 2, 28)
HOLDER = """\
import sys
from datetime import date
from churnlab.operations.sinks.targets import open_sink
with open_sink(sys.argv[1], sys.argv[2]).lock(date.fromisoformat(sys.argv[3])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(target, lists):
    """A process that holds the date's lock."""
    command = [sys.executable, "-W", "ignore", "-c", HOLDER, target.url, target.file_format, str(lists.day)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, text=True, **pipes) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_live_run_is_named_and_a_dead_one_taken_over(target, lists, holder):
    made = lists.make(1.0)
    sink = target.open()
    here = re.escape(socket.gethostname()[:40])
    who = rf"process {holder.pid} on {here} since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    line = rf"^{re.escape(sink.shown)}: 2024-02-29 is being published by {who}: run the same command again"
    with pytest.raises(TryLaterError, match=line), sink.lock(lists.day):
        pass
    with pytest.raises(TryLaterError, match=line):
        target.publish(made)
    target.publish(lists.make(2.0, 3, OTHER_DAY))  # another date is free
    assert target.markers() == [2.0] * 3
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with sink.lock(lists.day):
        sink.publish(made.path, made.run, lists.now, restate=False, quarantine=None)
    assert sorted(target.markers()) == [1.0] * 3 + [2.0] * 3
    sink.close()


def test_a_lock_goes_with_its_block(target, lists):
    sink, other = target.open(), target.open()
    with sink.lock(lists.day):
        with pytest.raises(TryLaterError, match=f"process {os.getpid()} on"), other.lock(lists.day):
            pass
        with other.lock(OTHER_DAY):
            pass
    with other.lock(lists.day):
        pass
    with pytest.raises(KeyError), sink.lock(lists.day):
        raise KeyError
    with other.lock(lists.day):
        pass


def test_two_dates_at_once(target, lists):
    """Both locks held together; where one process at a time may write, each still gets its turn."""
    made = {day: lists.make(1.0, 50, day) for day in (lists.day, OTHER_DAY)}
    first, second = target.open(), target.open(Patience(total_seconds=30))
    with first.lock(lists.day), second.lock(OTHER_DAY):
        for sink, day in ((second, OTHER_DAY), (first, lists.day)):
            sink.publish(made[day].path, made[day].run, lists.now, restate=False, quarantine=None)
    assert len(target.markers()) == 100


def test_a_waiting_lock_is_taken_when_it_is_free(tmp_path):
    file = tmp_path / "x.lock"
    with exclusive(file, "x"), pytest.raises(TryLaterError), exclusive(file, "x", wait_seconds=0.1):
        pass
    with exclusive(file, "x", wait_seconds=0.1):
        pass


def test_a_lock_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("mine")
    with (
        pytest.raises(SinkError, match=r"^\S+x\.lock: cannot be locked \(\w.*\): check the folder"),
        exclusive(tmp_path / "file" / "x.lock", "x"),
    ):
        pass

"""Folders of runs: gone when the run is, whichever way it went. Authority: the file system."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from churnlab.operations.scratch import scratch, sweep

HOLD = """
import sys, time
from churnlab.operations.scratch import scratch
with scratch() as folder:
    (folder / "spilled").write_text("rows")
    print(folder, flush=True)
    sys.stdin.read()
"""
SWEPT = f"""
import sys, tempfile
from pathlib import Path
from churnlab.operations.scratch import sweep
places = [Path(tempfile.gettempdir())]
def between(event, _):
    if event == "fcntl.flock" and places and list(places[0].glob("*.lock")):
        sweep(places.pop())
sys.addaudithook(between)
{HOLD}"""


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def running(place: Path, script: str = HOLD) -> tuple[subprocess.Popen, Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env={"TMPDIR": str(place), "PYTHONPATH": ":".join(filter(None, sys.path))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_temporary_files_go_into_it_and_with_it(place):
    with scratch() as folder:
        assert folder.parent == place and Path(tempfile.gettempdir()) == folder
        (folder / "x").write_text("1")
    assert list(place.iterdir()) == [] and tempfile.gettempdir() == str(place)


def test_it_goes_after_an_error_too(place):
    with pytest.raises(SystemExit), scratch():
        sys.exit(143)
    assert list(place.iterdir()) == []


def test_what_a_killed_run_left_goes_with_the_next_and_a_live_one_stays(place):
    dead, left = running(place)
    alive, used = running(place)
    try:
        dead.send_signal(signal.SIGKILL)
        dead.wait()
        assert (left / "spilled").exists()
        sweep(place)
        assert not left.exists() and not left.with_suffix(".lock").exists()
        assert (used / "spilled").read_text() == "rows"
    finally:
        alive.communicate("")
    assert alive.returncode == 0 and list(place.iterdir()) == []


def test_a_folder_that_is_just_being_made_is_not_swept(place):
    """Another run sweeps when the lock file is there and not locked yet."""
    process, folder = running(place, SWEPT)
    assert folder.is_dir() and folder.with_suffix(".lock").exists()
    sweep(place)
    assert (folder / "spilled").read_text() == "rows"
    process.communicate("")
    assert process.returncode == 0 and list(place.iterdir()) == []

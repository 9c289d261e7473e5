"""A folder for what a run needs on disk until it ends; those of killed runs go with the next run."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

PREFIX = "churnlab-run-"


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that all temporary files of this process go to, spilled queries among them.

    A lock that dies with its process tells which folders are in use. A lock file that another run sweeps away
    in the instant before it is locked is made anew.
    """
    before = Path(tempfile.gettempdir())
    sweep(before)
    folder = before / f"{PREFIX}{uuid4().hex}"
    lock = folder.with_suffix(".lock")
    with FileLock(lock):
        folder.mkdir(mode=0o700)
        tempfile.tempdir = str(folder)
        try:
            yield folder
        finally:
            tempfile.tempdir = str(before)
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)


def sweep(place: Path) -> None:
    """Remove what killed runs of this user left in `place`."""
    for name in place.glob(f"{PREFIX}*.lock"):
        lock = FileLock(name, blocking=False)
        with suppress(Timeout, OSError), lock:  # unless in use, or another user's
            shutil.rmtree(name.with_suffix(""), ignore_errors=True)
            name.unlink(missing_ok=True)

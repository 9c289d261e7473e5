"""Locks on files that the system frees when their owner dies."""

from __future__ import annotations

import json
import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, date, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from churnlab.engine import cause
from churnlab.errors import SinkError, TryLaterError

LONGEST_TURN_SECONDS = 3600.0  # how long to wait while another run writes another date to the same file


class LockedByDate(ABC):
    """What is locked date by date, and knows which dates it holds itself."""

    def __init__(self) -> None:
        self._held: set[date] = set()

    @contextmanager
    def lock(self, day: date) -> Iterator[None]:
        """See `Sink.lock`."""
        with self._exclusively(day):
            self._held.add(day)
            try:
                yield
            finally:
                self._held.discard(day)

    def _holding(self, day: date) -> AbstractContextManager[None]:
        return nullcontext() if day in self._held else self.lock(day)

    @abstractmethod
    def _exclusively(self, day: date) -> AbstractContextManager[None]: ...


@contextmanager
def exclusive(file: Path, what: str, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock `file`, whose content says who does.

    Raises
    ------
    TryLaterError
        A live process holds it: `what` is at work.
    SinkError
        The file cannot be made.
    """
    lock = FileLock(file, timeout=wait_seconds, thread_local=False)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        file.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}), encoding="utf-8")
    except Timeout:
        raise TryLaterError(f"{what} by {_holder(file)}: run the same command again later") from None
    except OSError as error:
        lock.release()
        raise SinkError(
            f"{file}: cannot be locked ({cause(error)}): check the folder and its rights"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _holder(file: Path) -> str:
    """Who wrote into the lock last, and when."""
    try:
        since = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        owner = json.loads(file.read_text(encoding="utf-8"))
        return f"process {owner['pid']} on {owner['host']} since {since:%Y-%m-%d %H:%M:%S} UTC"
    except (OSError, ValueError):  # it is just being written
        return "another process"


@contextmanager
def publishing(beside: Path, shown: str, day: date) -> Iterator[None]:
    """The lock of one date, in a hidden file whose name begins as `beside` does."""
    with exclusive(
        beside.with_name(f".{beside.name}.as_of={day}.lock"), f"{shown}: {day} is being published"
    ):
        yield


@contextmanager
def writing(database: Path, shown: str) -> Iterator[None]:
    """The lock of a database file that one process at a time may write; waits for its turn."""
    file = database.with_name(f".{database.name}.writing.lock")
    with exclusive(file, f"{shown}: is being written", LONGEST_TURN_SECONDS):
        yield

"""Times two ways of doing the same, turn by turn, and children with their peak of memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter
from typing import Any

MEGABYTE = 2**20


@dataclass(frozen=True)
class Ratio:
    """Seconds of two sides in the order of the turns; `slow[k]` and `fast[k]` were measured side by side."""

    slow: tuple[float, ...]
    fast: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        """How many times longer the slow side took, turn by turn, shortest first."""
        return sorted(slow / fast for slow, fast in zip(self.slow, self.fast, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Seconds of every turn, the median ratio and its spread."""
        spread = {"ratio": median(self.ratios), "lowest": self.ratios[0], "highest": self.ratios[-1]}
        return {name: list(seconds) for name, seconds in asdict(self).items()} | spread


@dataclass(frozen=True)
class Usage:
    """What a child took: seconds by the clock, and the most memory it held (resident, megabytes)."""

    seconds: float
    peak_mb: float


def in_turns(slow: Callable[[], Any], fast: Callable[[], Any], repeats: int) -> Ratio:
    """Both sides by turns, so that whatever else the machine does falls on both."""
    turns = [(seconds(slow), seconds(fast)) for _ in range(repeats)]
    return Ratio(tuple(turn[0] for turn in turns), tuple(turn[1] for turn in turns))


def seconds(call: Callable[[], Any]) -> float:
    """Seconds by the clock."""
    begun = perf_counter()
    call()
    return perf_counter() - begun


def churnlab(*arguments: str) -> Usage:
    """Run `churnlab …` as operators do, in a process of its own.

    Raises
    ------
    AssertionError
        It failed; the message is its last line.
    """
    return child([sys.executable, "-m", "churnlab.cli", *arguments])


def child(command: Sequence[str]) -> Usage:
    """Run a command to its end and tell what it took.

    A small process stands in between: the system counts what the parent held when it started a child as the
    child's.

    Raises
    ------
    AssertionError
        It failed; the message is its last line.
    """
    done = subprocess.run([sys.executable, __file__, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
    return Usage(**json.loads(done.stdout))


def _run(command: Sequence[str]) -> int:
    """Run a command, and tell what it took as JSON."""
    begun = perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    taken = Usage(perf_counter() - begun, used.ru_maxrss * unit / MEGABYTE)
    sys.stdout.write(json.dumps(asdict(taken)))
    return process.returncode


def machine() -> dict[str, float]:
    """How many cores this process may use, and gigabytes of memory."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cores": cores, "memory_gb": round(memory / 2**30, 1)}


if __name__ == "__main__":
    sys.exit(_run(sys.argv[1:]))

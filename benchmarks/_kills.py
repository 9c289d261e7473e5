"""Ends runs of `churnlab score` at chosen moments and looks at what a reader then sees."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from _readers import MARKS, Reader, Row, Seen
from _shop import Run, Shop

PUBLISH = "publish"  # the step in which a list becomes visible
MOST_TRIES = 20  # of a command that says that only the moment is wrong
TRY_LATER = 75
COUNTED = (
    "ended",
    "ended_publishing",
    "finished_first",
    "saw_old",
    "saw_new",
    "saw_half",
    "tries_again",
    "rows_lost",
    "rows_doubled",
)


@dataclass(frozen=True)
class Moment:
    """So many seconds after a step began, or after the start (None)."""

    step: str | None
    seconds: float


@dataclass(frozen=True)
class Pace:
    """How long an undisturbed run takes, and its publishing, in seconds."""

    whole: float
    publishing: float


@dataclass
class Tally:
    """What was seen over many ends.

    Attributes
    ----------
    ended, ended_publishing
        Runs ended from outside, and how many of them while they published.
    finished_first
        Runs that were done before their moment came.
    saw_old, saw_new, saw_half
        What a reader saw right after: the list before, the list of the run, anything else.
    tries_again
        How often the next run said to try later.
    rows_lost, rows_doubled
        After the next run: customers who are missing, and rows beyond the first of a customer.
    leftovers
        What lay about after the next run.
    codes
        Exit codes of the ended runs.
    """

    target: str
    fault: str
    ended: int = 0
    ended_publishing: int = 0
    finished_first: int = 0
    saw_old: int = 0
    saw_new: int = 0
    saw_half: int = 0
    tries_again: int = 0
    rows_lost: int = 0
    rows_doubled: int = 0
    leftovers: list[str] = field(default_factory=list)
    codes: dict[int, int] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self) | {"codes": {str(code): n for code, n in sorted(self.codes.items())}}

    def add(self, other: Tally) -> None:
        """Take another tally's figures in."""
        for name in COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.leftovers += other.leftovers
        for code, times in other.codes.items():
            self.codes[code] = self.codes.get(code, 0) + times

    @property
    def is_clean(self) -> bool:
        """Nothing half, lost, doubled or left."""
        return not (self.saw_half or self.rows_lost or self.rows_doubled or self.leftovers)


def moments(pace: Pace, count: int, rng: random.Random) -> Iterator[Moment]:
    """By turns anywhere in the run, and in its publishing."""
    for number in range(count):
        if number % 2:
            yield Moment(PUBLISH, rng.uniform(0.0, 1.2 * pace.publishing))
        else:
            yield Moment(None, rng.uniform(0.0, pace.whole))


@dataclass
class Trial:
    """One target whose list of one date is published again and again, by two models by turns.

    Attributes
    ----------
    expected
        The list of each model, from a run that wrote files instead of publishing.
    """

    shop: Shop
    reader: Reader
    day: date
    expected: tuple[list[Row], list[Row]]
    next_model: int = 0

    def words(self, *more: object) -> list[object]:
        """The command that publishes the next list."""
        return self.shop.score(self.day, self.next_model, "--sink", self.reader.target, "--restate", *more)

    def settle(self) -> tuple[int, Pace]:
        """Run the next command until it is done: how often it had to be tried again, and its pace."""
        for tries in range(MOST_TRIES):
            begun = time.perf_counter()
            run = self.shop.start(*self.words())
            run.wait_for(PUBLISH)
            publishing = time.perf_counter()
            code = run.end()
            ended = time.perf_counter()
            if code == 0:
                self.next_model = 1 - self.next_model
                return tries, Pace(ended - begun, ended - publishing)
            if code != TRY_LATER:
                raise RuntimeError(f"the next run ended with {code}: {run.told[-2000:]}")
            time.sleep(0.2)
        raise RuntimeError(f"the next run was told to try later {MOST_TRIES} times")

    def seen(self) -> Seen:
        """The list of the date in brief."""
        return Seen.of(self.reader.rows(self.day))

    def before_and_after(self) -> tuple[Seen, Seen]:
        """What the reader saw before the next command, and should see after it."""
        return self.seen(), Seen.of(self.expected[self.next_model])


def interrupt(run: Run, moment: Moment, how: signal.Signals) -> bool:
    """Send a signal at a moment; False if the run was done before."""
    if moment.step is not None and not run.wait_for(moment.step):
        return False
    time.sleep(moment.seconds)
    if run.process.poll() is not None:
        return False
    run.process.send_signal(how)
    return True


def end_again_and_again(
    trial: Trial, chosen: Iterable[Moment], how: signal.Signals, *, finish_each: bool = True
) -> Tally:
    """End a run at every moment, look, let the next run finish, look again.

    Parameters
    ----------
    finish_each
        Let a run finish after every end; else only after the last.
    """
    tally = Tally(trial.reader.name, how.name)
    for moment in chosen:
        _end_one(trial, moment, how, tally)
        if finish_each:
            _finish(trial, tally)
    if not finish_each:
        _finish(trial, tally)
    return tally


def _end_one(trial: Trial, moment: Moment, how: signal.Signals, tally: Tally) -> None:
    before, after = trial.before_and_after()
    run = trial.shop.start(*trial.words())
    was_running = interrupt(run, moment, how)
    code = run.end()
    tally.codes[code] = tally.codes.get(code, 0) + 1
    tally.ended += was_running
    tally.ended_publishing += was_running and run.has_begun(PUBLISH)
    tally.finished_first += not was_running
    found = trial.seen()
    tally.saw_old += found == before
    tally.saw_new += found == after
    tally.saw_half += found not in (before, after)


def _finish(trial: Trial, tally: Tally) -> None:
    tally.tries_again += trial.settle()[0]
    count(trial, tally, trial.expected[1 - trial.next_model])


def count(trial: Trial, tally: Tally, expected: list[Row]) -> None:
    """Hold what is there after an undisturbed run against what should be."""
    rows = trial.reader.rows(trial.day)
    wanted = {tuple(row[name] for name in MARKS) for row in expected}
    there = [tuple(row[name] for name in MARKS) for row in rows]
    tally.rows_lost += len(wanted - set(there))
    tally.rows_doubled += len(there) - len(set(there)) + len(set(there) - wanted)
    tally.leftovers += trial.reader.leftovers()
    tally.leftovers += sorted(path.name for path in trial.shop.temporary.iterdir())

"""What a run tells while it works: a progress bar on a terminal, JSON lines for a collector, or nothing."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal

from churnlab.errors import exit_code, is_ending, one_line

Told = Callable[[int, int], None]


class RunLog:
    """Steps and events of one run, on stderr; never a customer.

    Parameters
    ----------
    style
        `bar`, `json` (one object a line: `time` in UTC, `event`, further fields) or `quiet`.
    """

    def __init__(self, style: Literal["bar", "json", "quiet"]) -> None:
        self._style = style

    @classmethod
    def shown(cls) -> RunLog:
        """A bar on a terminal, nothing elsewhere."""
        return cls("bar" if sys.stderr.isatty() else "quiet")

    def tell(self, event: str, **fields: Any) -> None:
        """One event, to a collector only."""
        if self._style == "json":
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            line = json.dumps({"time": now, "event": event, **fields}, default=str, ensure_ascii=False)
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Tell why a run stops; the error goes on."""
        try:
            yield
        except Exception as error:
            if is_ending():
                raise
            message = one_line(error) or f"a defect of churnlab: {type(error).__name__}"
            self.tell("failed", message=message, exit_code=exit_code(error) if one_line(error) else 1)
            raise

    @contextmanager
    def step(self, name: str) -> Iterator[Told]:
        """A step that begins and ends; what it gives takes how many parts are done, and of how many."""
        start = time.perf_counter()
        self.tell("step begun", step=name)
        if self._style == "bar":
            with _bar(name) as told:
                yield told
        else:
            yield lambda done, of: self.tell("step", step=name, done=done, of=of)
        self.tell("step done", step=name, seconds=round(time.perf_counter() - start, 3))


@contextmanager
def _bar(title: str) -> Iterator[Told]:
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
        bar.update(task, total=bar.tasks[0].total or 1, completed=bar.tasks[0].total or 1)

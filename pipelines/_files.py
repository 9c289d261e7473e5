"""What stages read of each other and show while they work."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from churnlab.engine import write_text
from churnlab.errors import DataError
from churnlab.pipelines._run import Workspace


@dataclass(frozen=True)
class Ingested:
    """What ingest found: the summary, and the figures that other stages need."""

    summary: dict[str, Any]
    first_day: date
    as_of: date
    data_version: str


def ingested(work: Workspace) -> Ingested:
    """The summary that ingest wrote."""
    summary = read_json(work.ingest_summary)
    return Ingested(
        summary,
        date.fromisoformat(summary["first_day"]),
        date.fromisoformat(summary["as_of"]),
        summary["data_version"],
    )


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file of an earlier stage.

    Raises
    ------
    DataError
        It is missing or damaged.
    """
    try:
        loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path}: is not there: run the stage that writes it (dvc repro)") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: is damaged: run the stage that writes it again") from error
    return loaded


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write JSON with sorted keys: equal content gives equal bytes."""
    write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", path)


@contextmanager
def progress(title: str, steps: int) -> Iterator[Callable[[str], None]]:
    """A progress bar on a terminal, nothing elsewhere; call what it gives after each step, with its name."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[at]}"), console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=steps, at="")
        yield lambda at: bar.update(task, advance=1, at=at)

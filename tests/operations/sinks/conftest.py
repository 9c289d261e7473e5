"""Lists to publish, and every kind of place with a reader that knows nothing of churnlab."""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from churnlab.operations.scoring import SCORES
from churnlab.operations.sinks.lists import QUARANTINE
from churnlab.operations.sinks.publication import RunIdentity
from churnlab.operations.sinks.retrying import Patience
from churnlab.operations.sinks.targets import open_sink

KINDS = ("folder", "csv", "delta", "sqlite", "duckdb", "postgres")
DATABASES = ("sqlite", "duckdb", "postgres")
DAY = date(2024, 2, 29)
NOW = datetime(2024, 3, 1, 4, 5, 6, 789, tzinfo=UTC)
_schemas = itertools.count(1)


@dataclass(frozen=True)
class MadeList:
    """A finished list on disk, and whose it is."""

    path: Path
    run: RunIdentity

    def job(self) -> dict[str, Any]:
        """For a process of its own, as JSON."""
        return {"scores": str(self.path), "run": asdict(self.run) | {"as_of": self.run.as_of.isoformat()}}


class Lists:
    """Writes lists whose every number is the marker, so that two of them cannot be mixed up."""

    day, now = DAY, NOW

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = itertools.count(1)

    def make(
        self, marker: float, customers: int | list[str] = 3, day: date = DAY, **columns: Any
    ) -> MadeList:
        """A list of so many customers, or of these."""
        names = customers if isinstance(customers, list) else [f"c{n:07d}" for n in range(customers)]
        rows = len(names)
        plain = {
            field.name: [_plain(field.type, marker)] * rows for field in SCORES if field.name not in columns
        }
        whole = plain | {"customer_id": names, "as_of": [day] * rows} | columns
        path = self._folder / f"list-{next(self._count)}.parquet"
        pq.write_table(pa.table({name: whole[name] for name in SCORES.names}, schema=SCORES), path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return MadeList(path, RunIdentity(day, "7", "run", "data", "params", "code", rows, digest))

    def quarantine(self, *details: str, **columns: list[Any]) -> Path:
        """Refused lines with these details."""
        path = self._folder / f"quarantine-{next(self._count)}.parquet"
        plain = {field.name: [1 if field.type == pa.int64() else "x"] * len(details) for field in QUARANTINE}
        whole = plain | {"detail": list(details)} | columns
        pq.write_table(pa.table({name: whole[name] for name in QUARANTINE.names}, schema=QUARANTINE), path)
        return path


def _plain(kind: pa.DataType, marker: float) -> Any:
    if pa.types.is_list(kind):
        return [f"because of {marker}", "ß", "سه"]
    if pa.types.is_date(kind):
        return None
    return {pa.float64(): marker, pa.int64(): int(marker), pa.string(): f"text {marker}"}[kind]


@dataclass(frozen=True)
class Target:
    """A place of publication.

    read     its list of all dates as (as_of, customer_id, clv), by a library that is a peer
    refused  the details of its quarantine
    """

    kind: str
    url: str
    read: Callable[[], list[tuple[date, str, float]]]
    refused: Callable[[], list[str]]

    @property
    def file_format(self) -> Any:
        return self.kind if self.kind in ("csv", "delta") else "parquet"

    def open(self, patience: Patience | None = None) -> Any:
        return open_sink(self.url, self.file_format, patience)

    def publish(self, made: MadeList, *, restate: bool = False, quarantine: Path | None = None) -> Any:
        """By a sink of its own."""
        sink = self.open()
        try:
            return sink.publish(made.path, made.run, NOW, restate=restate, quarantine=quarantine)
        finally:
            sink.close()

    def markers(self) -> list[float]:
        """The numbers in the list, of all rows."""
        return [clv for _, _, clv in self.read()]

    def rows(self, table: str, columns: list[str]) -> list[tuple[Any, ...]]:
        """Of one of its tables, sorted; of a folder, from its journals or files."""
        path = self.url.rpartition(":///")[2]
        sql = f"SELECT {', '.join(columns)} FROM {table}"
        if self.kind in ("folder", "csv"):
            found = [tuple(row[name] for name in columns) for row in _rows_in(Path(path), self.kind, table)]
        elif self.kind == "postgres":
            server, _, schema = self.url.partition("&schema=")
            with psycopg.connect(server, options=f"-c search_path={schema}") as con:
                found = con.execute(sql).fetchall()
        elif self.kind == "sqlite":
            with closing(sqlite3.connect(path)) as file:
                found = file.execute(sql).fetchall()
        else:
            with duckdb.connect(path, read_only=True) as base:
                found = base.execute(sql).fetchall()
        return sorted(found)


def _rows_in(folder: Path, kind: str, table: str) -> list[dict[str, Any]]:
    if table in ("erasures", "publications"):
        journals = [json.loads(path.read_text()) for path in (folder / "publications").glob("*.json")]
        return [row for journal in journals for row in journal.get(table, [])]
    found: list[dict[str, Any]] = []
    for path in (folder / table.removeprefix("scores_")).rglob("[!.]*.*"):
        if kind == "csv":
            found += csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines(keepends=True))
        else:
            found += pq.ParquetFile(path).read().to_pylist()
    return found


SELECT = "SELECT as_of, customer_id, clv FROM scores"
SELECT_REFUSED = "SELECT detail FROM quarantine ORDER BY detail"


def folder_target(folder: Path) -> Target:
    def read() -> list[tuple[date, str, float]]:
        rows = ds.dataset(folder / "scores", partitioning="hive").to_table().to_pylist()
        return [(date.fromisoformat(row["as_of"]), row["customer_id"], row["clv"]) for row in rows]

    def refused() -> list[str]:
        held = ds.dataset(folder / "quarantine", partitioning="hive", format="parquet").to_table()
        return sorted(held["detail"].to_pylist()) if "detail" in held.column_names else []

    return Target("folder", str(folder), read, refused)


def csv_target(folder: Path) -> Target:
    def rows(name: str) -> list[tuple[str, dict[str, str]]]:
        return [
            (path.parent.name.removeprefix("as_of="), row)
            for path in sorted((folder / name).glob(f"as_of=*/{name}.csv"))
            for row in csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines(keepends=True))
        ]

    def read() -> list[tuple[date, str, float]]:
        held = rows("scores")
        return [(date.fromisoformat(day), row["customer_id"], float(row["clv"])) for day, row in held]

    return Target("csv", str(folder), read, lambda: sorted(row["detail"] for _, row in rows("quarantine")))


def delta_target(folder: Path) -> Target:
    def rows(name: str, column: str) -> list[tuple[str, str, Any]]:
        return [
            (day, row.get("customer_id"), row[column])
            for file, day in delta_files(folder / name).items()
            for row in pq.ParquetFile(folder / name / file).read().to_pylist()
        ]

    return Target(
        "delta",
        str(folder),
        lambda: [(date.fromisoformat(day), name, clv) for day, name, clv in rows("scores", "clv")],
        lambda: sorted(detail for _, _, detail in rows("quarantine", "detail")),
    )


def delta_files(table: Path) -> dict[str, str]:
    """File → as_of, by the protocol of Delta: commits in the order of their names, the last word holds."""
    live: dict[str, str] = {}
    for commit in sorted((table / "_delta_log").glob("*.json")):
        actions = [json.loads(line) for line in commit.read_text(encoding="utf-8").splitlines()]
        for action in actions:
            if "remove" in action:
                live.pop(unquote(action["remove"]["path"]), None)
        for action in actions:
            if "add" in action:
                live[unquote(action["add"]["path"])] = action["add"]["partitionValues"]["as_of"]
    return live


def sqlite_target(path: Path) -> Target:
    def rows(sql: str) -> list[Any]:
        con = sqlite3.connect(path)
        try:
            return con.execute(sql).fetchall()
        finally:
            con.close()

    return Target(
        "sqlite",
        f"sqlite:///{path}",
        lambda: [(date.fromisoformat(day), name, clv) for day, name, clv in rows(SELECT)],
        lambda: [detail for (detail,) in rows(SELECT_REFUSED)],
    )


def duckdb_target(path: Path) -> Target:
    def rows(sql: str) -> list[Any]:
        with duckdb.connect(str(path), read_only=True) as con:
            return con.execute(sql).fetchall()

    return Target(
        "duckdb",
        f"duckdb:///{path}",
        lambda: rows(SELECT),
        lambda: [detail for (detail,) in rows(SELECT_REFUSED)],
    )


def postgres_target(server: str) -> Target:
    schema = f"sink_{next(_schemas)}"
    con = psycopg.connect(server, autocommit=True)
    con.execute(f"CREATE SCHEMA {schema}")
    con.close()

    def rows(sql: str) -> list[Any]:
        with psycopg.connect(server, options=f"-c search_path={schema}") as con:
            return con.execute(sql).fetchall()

    return Target(
        "postgres",
        f"{server}&schema={schema}",
        lambda: rows(SELECT),
        lambda: [detail for (detail,) in rows(SELECT_REFUSED)],
    )


@pytest.fixture
def lists(tmp_path: Path) -> Lists:
    folder = tmp_path / "lists"
    folder.mkdir()
    return Lists(folder)


@pytest.fixture
def new_target(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str], Target]:
    """Makes an empty place of a kind."""
    count = itertools.count(1)

    def make(kind: str) -> Target:
        path = tmp_path / f"{kind}-{next(count)}"
        if kind == "postgres":
            return postgres_target(request.getfixturevalue("postgres_url"))
        makers = {
            "folder": folder_target,
            "csv": csv_target,
            "delta": delta_target,
            "sqlite": sqlite_target,
            "duckdb": duckdb_target,
        }
        return makers[kind](path)

    return make


@pytest.fixture
def alike(new_target: Callable[[str], Target]) -> Callable[[str, int, Callable[[Target], Any]], list[Target]]:
    """Makes so many places of a kind, all as `fill` leaves one: of files the others are copies."""

    def make(kind: str, number: int, fill: Callable[[Target], Any]) -> list[Target]:
        targets = [new_target(kind) for _ in range(number)]
        if kind == "postgres":
            for target in targets:
                fill(target)
            return targets
        fill(targets[0])
        first, *others = (Path(target.url.rpartition(":///")[2]) for target in targets)
        for other in others:
            (shutil.copytree if first.is_dir() else shutil.copy2)(first, other)
        return targets

    return make


@pytest.fixture(params=KINDS)
def target(request: pytest.FixtureRequest, new_target: Callable[[str], Target]) -> Target:
    """An empty place of each kind."""
    return new_target(request.param)


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, new_target: Callable[[str], Target]) -> Target:
    """An empty database of each kind."""
    return new_target(request.param)

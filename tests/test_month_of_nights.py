"""Thirty nights of a shop: late lines, restatements, reruns, kills, and a new model in mid-month.

Authority: a ledger that the test keeps itself, of lists that runs wrote as files instead of publishing.
"""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from _kills import Moment, interrupt
from _readers import Folder, Postgres, Reader, Seen
from _shop import Shop
from churnlab.evaluation.backtest import fit_scorer

NIGHTS = 30
PROMOTED = 15  # the night from which the second model scores
LATEST_DAYS = 5  # a line arrives so many days late, at most
LATE_SHARE = 0.2
KILLED_NIGHTS = {4: Moment(None, 1.0), 16: Moment("publish", 0.0), 23: Moment("score", 0.05)}
PUBLISHED = ("model_version", "data_version", "run_id", "churn_probability")

Rows = list[dict[str, Any]]


@dataclass
class Month:
    """The shop, night by night, and the ledger: every list that was published of each day, oldest first."""

    shop: Shop
    drops: Path
    reader: Reader
    run: Any
    ledger: dict[date, list[Rows]] = field(default_factory=dict)

    def model(self, night: int) -> int:
        """Which of the two models scores on a night."""
        return int(night >= PROMOTED)

    def publish(self, day: date, night: int, *words: str) -> None:
        """Run `churnlab score` for a day, and hold what a reader then sees against what was scored."""
        scored = self.scored(day, night)
        code, _, err = self.run(*self.words(day, night, *words))
        assert code == 0, err
        self.enter(day, scored)

    def words(self, day: date, night: int, *words: str) -> list[object]:
        """The command line of a night."""
        return self.shop.score(day, self.model(night), "--sink", self.reader.target, *words)

    def scored(self, day: date, night: int) -> Rows:
        """The list as a run writes it to a folder."""
        out = self.shop.folder / "scored"
        code, _, err = self.run(*self.shop.score(day, self.model(night), "--out", out))
        assert code == 0, err
        rows: Rows = pq.read_table(out / "scores.parquet").to_pylist()
        return rows

    def enter(self, day: date, scored: Rows) -> None:
        """Enter a published list; the same list again is no new entry."""
        assert Seen.of(self.reader.rows(day)) == Seen.of(scored)
        held = self.ledger.setdefault(day, [])
        if not held or Seen.of(held[-1]) != Seen.of(scored):
            held.append(scored)


@pytest.fixture(scope="module")
def shop(
    small_log: Any, small_orders: Any, small_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Shop:
    """The small shop with a source that is a folder of drops, and a second model."""
    folder = tmp_path_factory.mktemp("month")
    second, _ = fit_scorer(
        small_orders, small_log.TRAINED_ON + timedelta(days=30), 60, small_log.params, "second"
    )
    second.save(folder / "second")
    settings = {**small_log.settings, "workspace": str(folder)}
    settings["data"] = {**settings["data"], "path": str(folder / "drops")}
    (folder / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return Shop(folder, folder / "params.yaml", (small_model, folder / "second"), small_log.LAST_DAY)


@pytest.fixture
def month(request: pytest.FixtureRequest, shop: Shop, tmp_path: Path, churnlab: Any) -> Month:
    """Published to a folder or to PostgreSQL."""
    drops = shop.folder / "drops"
    drops.mkdir()
    url = request.param == "postgresql" and request.getfixturevalue("postgres_url")
    return Month(shop, drops, Postgres(url) if url else Folder(tmp_path / "lists"), churnlab)


def arrivals(lines: pd.DataFrame, nights: list[date]) -> Iterator[pd.DataFrame]:
    """The lines that are there before the first night, then those that each night brings."""
    rng = random.Random(5)
    late = [rng.randint(1, LATEST_DAYS) if rng.random() < LATE_SHARE else 0 for _ in range(len(lines))]
    arrived = pd.Series(
        [day + timedelta(days=days) for day, days in zip(lines["ts"], late, strict=True)], lines.index
    )
    yield lines[arrived < nights[0]]
    for night in nights:
        yield lines[arrived == night]


@pytest.mark.parametrize("month", ["folder"], indirect=True)
def test_a_month_of_nights(month, small_log):
    nights = [small_log.LAST_DAY - timedelta(days=back) for back in reversed(range(NIGHTS))]
    brought = arrivals(small_log.frame, nights)
    next(brought).to_csv(month.drops / "before.csv", index=False)
    rng = random.Random(9)
    for number, (night, lines) in enumerate(zip(nights, brought, strict=True)):
        lines.to_csv(month.drops / f"arrived-{night}.csv", index=False)
        if number in KILLED_NIGHTS:
            killed(month, night, number)
        month.publish(night, number)
        if rng.random() < 0.3:  # cron started it twice
            month.publish(night, number)
        if number and rng.random() < 0.4:  # late lines have arrived: an earlier day is told anew
            month.publish(nights[max(0, number - rng.randint(1, LATEST_DAYS))], number, "--restate")
    assert [day for day in nights if len(month.ledger[day]) > 1]
    assert {rows[-1][0]["model_version"] for rows in month.ledger.values()} == {
        month.scored(nights[-1], night)[0]["model_version"] for night in (0, PROMOTED)
    }
    assert month.reader.leftovers() == []
    answered(month, rng)


def killed(month: Month, night: date, number: int) -> None:
    """A run of the night is killed: nothing of it is seen, or all of it."""
    run = month.shop.start(*month.words(night, number))
    interrupt(run, KILLED_NIGHTS[number], signal.SIGKILL)
    run.end()
    assert Seen.of(month.reader.rows(night)) in (Seen.of([]), Seen.of(month.scored(night, number)))


def answered(month: Month, rng: random.Random) -> None:
    """`churnlab audit` tells of any customer and night what the ledger holds, revision by revision."""
    for day, lists in month.ledger.items():
        for name in rng.sample([row["customer_id"] for row in lists[-1]], 2):
            code, out, err = month.run("audit", name, "--date", day, "--sink", month.reader.target, "--json")
            assert code == 0, err
            told = [json.loads(line) for line in out.splitlines()]
            assert [one["publication"]["revision"] for one in told] == list(range(1, len(lists) + 1))
            for one, rows in zip(told, lists, strict=True):
                assert one["publication"]["rows"] == len(rows)
                assert brief(one["row"]) == brief(next((r for r in rows if r["customer_id"] == name), None))


def brief(row: dict[str, Any] | None) -> list[Any] | None:
    """Which model and data, and what they said, exactly."""
    return row and [row[name] for name in PUBLISHED]

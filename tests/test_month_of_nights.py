"""Thirty nights of a shop: late lines, restatements, reruns, kills, and a new model in mid-month.

Authority: a ledger that the test keeps itself, of what a reader saw after each run.
"""

from __future__ import annotations

import json
import random
import signal
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from _kills import Moment, interrupt
from _readers import Folder, Seen
from _shop import Shop
from churnlab.evaluation.backtest import fit_scorer

NIGHTS = 30
PROMOTED = 15  # the night from which the second model scores
LATEST_DAYS = 5  # a line arrives so many days late, at most
LATE_SHARE = 0.2
KILLED = {4: Moment(None, 1.0), 16: Moment("publish", 0.0), 23: Moment("score", 0.05)}
COMPARED = (0, 16)  # nights whose list is held against one that was written to files
PUBLISHED = ("model_version", "data_version", "run_id", "churn_probability")

Rows = list[dict[str, Any]]


@dataclass
class Month:
    """The shop, night by night.

    Attributes
    ----------
    lines
        Every line of the shop, with the day that it `arrived`.
    models
        The versions of the two models.
    ledger
        Every list that a reader has seen of each day, oldest first.
    """

    shop: Shop
    reader: Folder
    run: Any
    lines: pd.DataFrame
    models: tuple[str, str]
    ledger: dict[date, list[Rows]] = field(default_factory=dict)

    def bring(self, night: date) -> None:
        """Put the lines that arrived on a day into the source; on the first night, those before, too."""
        came = self.lines["arrived"] <= night if not self.ledger else self.lines["arrived"] == night
        drop = self.shop.folder / "drops" / f"until-{night}.csv"
        self.lines[came].drop(columns="arrived").to_csv(drop, index=False)

    def words(self, day: date, night: int, *words: object) -> list[object]:
        """The command line for a day on a night."""
        return self.shop.score(day, int(night >= PROMOTED), *words)

    def publish(self, day: date, night: int, today: date, *words: str) -> None:
        """Run `churnlab score` and enter what is to be seen; the same list again is no new entry."""
        code, _, err = self.run(*self.words(day, night, "--sink", self.reader.target, *words))
        assert code == 0, err
        rows = self.reader.rows(day)
        there = self.lines[(self.lines["arrived"] <= today) & (self.lines["ts"] <= day)]
        assert sorted(row["customer_id"] for row in rows) == sorted(there["customer_id"].unique())
        assert {row["model_version"] for row in rows} == {self.models[int(night >= PROMOTED)]}
        held = self.ledger.setdefault(day, [])
        if not held or Seen.of(held[-1]) != Seen.of(rows):
            held.append(rows)

    def written(self, day: date, night: int) -> Rows:
        """The list as a run writes it to files."""
        out = self.shop.folder / "written"
        code, _, err = self.run(*self.words(day, night, "--out", out))
        assert code == 0, err
        rows: Rows = pq.read_table(out / "scores.parquet").to_pylist()
        return rows


@pytest.fixture
def month(
    small_log: Any, small_orders: Any, small_scorer: Any, small_model: Path, tmp_path: Path, churnlab: Any
) -> Month:
    """The small shop with a source that is a folder of drops, and a second model."""
    cutoff = small_log.TRAINED_ON + timedelta(days=30)
    second, _ = fit_scorer(small_orders, cutoff, 60, small_log.params, "second")
    second.save(tmp_path / "second")
    (tmp_path / "drops").mkdir()
    settings = {**small_log.settings, "workspace": str(tmp_path)}
    settings["data"] = {**settings["data"], "path": str(tmp_path / "drops")}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    models = (small_model, tmp_path / "second")
    shop = Shop(tmp_path, tmp_path / "params.yaml", models, small_log.LAST_DAY)
    versions = (small_scorer.digest, second.digest)
    return Month(shop, Folder(tmp_path / "lists"), churnlab, arriving(small_log.frame), versions)


def arriving(lines: pd.DataFrame) -> pd.DataFrame:
    """Each line with the day that it comes to be known."""
    rng = random.Random(5)
    late = [rng.randint(1, LATEST_DAYS) if rng.random() < LATE_SHARE else 0 for _ in range(len(lines))]
    return lines.assign(arrived=[day + timedelta(days=n) for day, n in zip(lines["ts"], late, strict=True)])


def test_a_month_of_nights(month, small_log):
    nights = [small_log.LAST_DAY - timedelta(days=back) for back in reversed(range(NIGHTS))]
    rng = random.Random(9)
    for number, night in enumerate(nights):
        month.bring(night)
        if number in KILLED:
            kill(month, night, number)
        month.publish(night, number, night)
        if rng.random() < 0.2:  # cron started it twice
            month.publish(night, number, night)
        if number and rng.random() < 0.3:  # late lines have arrived: an earlier day is told anew
            month.publish(nights[max(0, number - rng.randint(1, LATEST_DAYS))], number, night, "--restate")
        if number in COMPARED:
            assert Seen.of(month.ledger[night][-1]) == Seen.of(month.written(night, number))
    assert sum(len(lists) > 1 for lists in month.ledger.values()) >= 3
    assert month.reader.leftovers() == []
    ask(month, rng)


def kill(month: Month, night: date, number: int) -> None:
    """A run of the night is killed: nothing of it is seen, or all of it."""
    run = month.shop.start(*month.words(night, number, "--sink", month.reader.target))
    interrupt(run, KILLED[number], signal.SIGKILL)
    run.end()
    rows = month.reader.rows(night)
    if rows:
        assert Seen.of(rows) == Seen.of(month.written(night, number))


def ask(month: Month, rng: random.Random) -> None:
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

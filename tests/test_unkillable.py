"""`churnlab score` killed, ended and deprived of what it needs, as benchmarks/faults.py does at length.

Real processes, a real folder, a real PostgreSQL server. Authority: the lists of runs that nobody disturbed.
"""

from __future__ import annotations

import signal
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from _kills import PUBLISH, Moment, Trial, end_again_and_again
from _outages import IMPATIENT, end_sessions, suffered
from _readers import Folder, Postgres, Reader
from _shop import Shop
from churnlab.evaluation.backtest import fit_scorer


@pytest.fixture(scope="module")
def shop(
    small_log: Any, small_orders: Any, small_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Shop:
    """The small shop, with a second model."""
    folder = tmp_path_factory.mktemp("unkillable")
    second, _ = fit_scorer(small_orders, small_log.FIRST_DAY.replace(year=2023), 60, small_log.params, "2")
    second.save(folder / "second")
    settings = {**small_log.settings, "workspace": str(folder)}
    (folder / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return Shop(folder, folder / "params.yaml", (small_model, folder / "second"), small_log.LAST_DAY)


@pytest.fixture(scope="module")
def expected(shop: Shop) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return shop.listed(shop.last_day, 0), shop.listed(shop.last_day, 1)


@pytest.fixture(scope="module")
def own_database(postgres_url: str) -> str:
    """The URL of a database that no other test uses."""
    with closing(psycopg.connect(postgres_url, autocommit=True)) as connection:
        connection.execute("CREATE DATABASE unkillable")
    return postgres_url.replace("/postgres?", "/unkillable?")


@pytest.fixture(scope="module", params=["folder", "postgresql"])
def trial(request: pytest.FixtureRequest, shop: Shop, expected: Any) -> Trial:
    """A place of publication, used by all tests one after the other."""
    reader: Reader = Folder(shop.folder / "lists")
    if request.param == "postgresql":
        reader = Postgres(request.getfixturevalue("own_database"))
    return Trial(shop, reader, shop.last_day, expected)


def test_the_two_lists_differ(expected):
    first, second = expected
    assert {row["customer_id"] for row in first} == {row["customer_id"] for row in second}
    assert first[0]["model_version"] != second[0]["model_version"]


def test_killed_at_any_moment(trial):
    """Before anything is published, while it is, and with a list of before in its place."""
    moments = [
        Moment(PUBLISH, 0.0),
        Moment(PUBLISH, 0.02),
        Moment("score", 0.1),
        Moment(PUBLISH, 0.005),
        Moment(PUBLISH, 0.05),
    ]
    tally = end_again_and_again(trial, iter(moments), signal.SIGKILL)
    assert tally.ended >= 3
    assert tally.is_clean, tally


def test_ended_by_sigterm(trial):
    moments = [Moment("ingest", 0.0), Moment(PUBLISH, 0.01)]
    tally = end_again_and_again(trial, iter(moments), signal.SIGTERM)
    assert set(tally.codes) <= {
        143,
        -signal.SIGTERM,
    }  # the second before churnlab's first line, as the first for a shell
    assert tally.is_clean, tally


def test_a_full_disk(trial):
    found = suffered(trial, "disk full", (2,), limit=20_000)
    assert found.is_clean, found


def test_sessions_that_are_ended(trial):
    """Those of PostgreSQL while a list is loaded; a folder has none."""
    if isinstance(trial.reader, Postgres):
        found = suffered(trial, "sessions ended", (0, 75), partial(end_sessions, trial), more=IMPATIENT)
        assert found.is_clean, found


def test_two_runs_at_once(trial):
    """The one that comes second is told to come later."""
    codes = []

    def rival(run: Any) -> None:
        run.wait_for("ingest")
        second = trial.shop.start(*trial.words())
        codes.append(second.end())

    found = suffered(trial, "two at once", (0,), rival)
    assert found.is_clean, found
    assert codes in ([0], [75])

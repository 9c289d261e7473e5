"""`churnlab score` killed, ended and deprived of what it needs, as benchmarks/faults.py does at length.

Real processes, a real folder, a real PostgreSQL server. Authority: the lists of runs that nobody disturbed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from _kills import PUBLISH, Moment, Trial, end_again_and_again
from _outages import IMPATIENT, end_sessions, suffered
from _readers import Folder, Postgres, Reader, Seen
from _shop import SOURCE, Shop
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
    """Before anything is published and while it is; the run after the last finds nothing in its way."""
    moments = [Moment("score", 0.1), *(Moment(PUBLISH, seconds) for seconds in (0.0, 0.01, 0.03))]
    tally = end_again_and_again(trial, moments, signal.SIGKILL, finish_each=False)
    assert tally.ended >= 2
    assert tally.is_clean, tally


def test_ended_by_sigterm(trial):
    tally = end_again_and_again(trial, [Moment("ingest", 0.0)], signal.SIGTERM)
    assert tally.codes == {143: 1}
    assert tally.is_clean, tally


def test_a_signal_in_the_midst_of_a_query_is_no_defect(tmp_path):
    """DuckDB makes an error of its own of what interrupts it."""
    program = tmp_path / "asks.py"
    program.write_text(
        "import duckdb\n"
        "from churnlab import cli\n"
        "def ask():\n"
        "    print('asked', flush=True)\n"
        "    duckdb.sql('SELECT sum(a.range % 7) FROM range(1000000) a, range(1000000) b').fetchall()\n"
        "cli.app = ask\n"
        "cli.main()\n"
    )
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    command = [sys.executable, program]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout is not None and run.stdout.readline() == b"asked\n"
        time.sleep(0.5)
        run.terminate()
        assert (run.wait(timeout=60), run.stderr.read()) == (143, b"")


IN_AN_IMPORT = """\
import signal, sys, time
from concurrent.futures import ThreadPoolExecutor
from churnlab import cli

def arrive(frame, event, called):
    if event == "c_return" and called.__name__ == "acquire_lock":
        sys.setprofile(None)
        signal.getsignal(signal.SIGTERM)(signal.SIGTERM, frame)

def score():
    with ThreadPoolExecutor(1) as beside:
        sys.setprofile(arrive)
        try:
            import colorsys
            time.sleep(20)
        finally:
            beside.submit(__import__, "wave")

cli.app = score
cli.main()
"""
IN_A_FINALIZER = """\
import os, signal, time
from churnlab import cli

class Held:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)

def score():
    held = Held()
    del held
    time.sleep(20)

cli.app = score
cli.main()
"""


@pytest.mark.parametrize("program", [IN_AN_IMPORT, IN_A_FINALIZER], ids=["import", "finalizer"])
def test_a_signal_at_a_bad_moment_ends_the_run(tmp_path, program):
    """Threads that import would wait for the lock that an import keeps; a finalizer raises nothing."""
    file = tmp_path / "run.py"
    file.write_text(program)
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    ended = subprocess.run(
        [sys.executable, file], env=environment, capture_output=True, timeout=120, check=False
    )
    assert (ended.returncode, ended.stderr) == (143, b"")


def test_a_full_disk(trial):
    """The same limit stops a run that publishes elsewhere before it has anything to publish."""
    if isinstance(trial.reader, Folder):
        found = suffered(trial, "disk full", (2,), limit=20_000)
        assert found.is_clean, found


def test_sessions_that_are_ended(trial):
    """While a list is loaded; a folder has none."""
    if isinstance(trial.reader, Postgres):
        found = suffered(trial, "sessions ended", (0, 75), partial(end_sessions, trial), more=IMPATIENT)
        assert found.is_clean, found


def test_two_runs_at_once(trial):
    """The one that comes second is told to come later, or comes when the first is done."""
    run = trial.shop.start(*trial.words())
    run.wait_for("ingest")
    second = trial.shop.start(*trial.words()).end()
    assert run.end() == 0
    assert second in (0, 75)
    trial.next_model = 1 - trial.next_model
    assert trial.seen() == Seen.of(trial.expected[1 - trial.next_model])

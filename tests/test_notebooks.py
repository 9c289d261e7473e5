"""Every notebook runs top to bottom on a small run; notebooks show, they define nothing."""

from __future__ import annotations

import ast
import copy
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def command(folder: Path, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "churnlab.cli", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def finished_run(small_log: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two runs of the small log, the second with half the budget."""
    folder = tmp_path_factory.mktemp("workspace")
    settings = copy.deepcopy(small_log.settings) | {"workspace": "."}
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        (folder / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        command(folder, "run")
        settings["decisions"]["budget"] /= 2
        (folder / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        command(folder, "prioritise")
    return folder


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    notebook = nbformat.read(path, as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_is_a_notebook() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_committed_without_outputs(path: Path) -> None:
    for cell in code_cells(path):
        assert not cell.outputs
        assert cell.execution_count is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_defines_nothing(path: Path) -> None:
    """The design's rule: notebooks import churnlab and define nothing. Python's own parser tells."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    for cell in code_cells(path):
        assert not [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, kinds)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_runs_top_to_bottom(
    path: Path, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jupyter's own client raises if a cell does; the last table must hold both runs."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(finished_run)}}
    NotebookClient(notebook, timeout=60, kernel_name="python3", resources=resources).execute()
    last = [cell for cell in notebook.cells if cell.cell_type == "code"][-1]
    shown = next(output.data["text/html"] for output in last.outputs if "data" in output)
    assert "metrics.plan.cost" in shown
    assert len(re.findall(r"<th>[0-9a-f]{32}</th>", shown)) == 2

"""dvc.yaml says the truth. Authority: the imports, the parameters and the files of the code itself."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from churnlab.cli.stages import ORDER
from churnlab.config import read_params
from churnlab.pipelines._run import Workspace

ROOT = Path(__file__).parents[1]
PIPELINE: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
STAGES: dict[str, dict[str, Any]] = PIPELINE["stages"]
SHIPPED = ROOT / "params.yaml"
PARAMS_FILES = [SHIPPED, *sorted({*(ROOT / "params").glob("*.yaml")} - {ROOT / "params" / "playbook.yaml"})]
LISTS = {"params/forgotten.csv", "params/playbook.yaml", "params/templates"}  # read where params.yaml says so
# read by churnlab measure, loyalty and score, which are no stages: a stage knows of no list before its own
COMMANDS = {"decisions.effect_prior_sd", "decisions.labels.hysteresis", "loyalty"}
CACHES = {"data/landing"}  # what is in it changes no result
RUN_RECORD = {"reports/manifest.json"}  # times and peak memory: different on every run, so no output of DVC


def names(entries: list[str | dict[str, Any]]) -> list[str]:
    """Paths of a list of outputs, with or without settings."""
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def written(stage: dict[str, Any]) -> list[str]:
    return names([*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])])


def settings(stage: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """Path to settings of those outputs that have any."""
    merged: dict[str, dict[str, Any]] = {}
    for entry in stage.get(kind, []):
        merged |= entry if isinstance(entry, dict) else {}
    return merged


def lies_under(path: str, entries: list[str]) -> bool:
    return any(path == entry or path.startswith(f"{entry}/") for entry in entries)


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def file_of(module: str) -> Path | None:
    path = ROOT / "src" / Path(*module.split("."))
    found = next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)
    return found and found.resolve()  # pipelines is a link


def imported(file: Path) -> Iterator[Path]:
    """Files of churnlab that a file imports, at its top or inside a function."""
    for node in ast.walk(tree_of(file)):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{file}: relative import"
            modules = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        parents = {m.rsplit(".", n)[0] for m in modules for n in range(m.count(".") + 1)}
        yield from filter(None, (file_of(m) for m in parents if m.split(".")[0] == "churnlab"))


def closure(name: str) -> set[Path]:
    """Every file of this project that runs in a stage."""
    seen: set[Path] = set()
    found = [ROOT / "pipelines" / f"{name}.py"]
    while found:
        file = found.pop()
        if file not in seen:
            seen.add(file)
            found += imported(file)
    return {file for file in seen if file.name != "__init__.py" or does_something(file)}


def does_something(package: Path) -> bool:
    """Whether an __init__.py holds more than its description and constants."""
    return any(not isinstance(node, ast.Expr | ast.Assign) for node in tree_of(package).body)


def workspace_files(file: Path, functions: list[str] | None = None) -> set[str]:
    """Attributes of the workspace that a script uses, itself and by what it imports from pipelines."""
    nodes: list[ast.AST] = [tree_of(file)]
    if functions is not None:
        nodes = [n for n in tree_of(file).body if isinstance(n, ast.FunctionDef) and n.name in functions]
    used, called = set(), set()
    for node in (inner for outer in nodes for inner in ast.walk(outer)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "work":
            used.add(node.attr)
        if isinstance(node, ast.Name):
            called.add(node.id)
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("churnlab.pipelines._"):
            inner = file_of(node.module or "")
            assert inner
            used |= workspace_files(inner, [alias.name for alias in node.names if alias.name in called])
    others = called - set(functions or [])
    return used | (workspace_files(file, sorted(others)) if functions and others else set())


def leaves(section: dict[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in section.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{at}{key}.")
        else:
            yield f"{at}{key}", value


def test_stages_are_those_of_the_command_line_in_its_order():
    assert tuple(STAGES) == ORDER
    assert {name: stage["cmd"] for name, stage in STAGES.items()} == {
        name: f"python pipelines/{name}.py" for name in ORDER
    }


@pytest.mark.parametrize("name", STAGES)
def test_code_that_runs_in_a_stage_is_among_its_deps(name):
    deps = STAGES[name]["deps"]
    code = [file.relative_to(ROOT).as_posix() for file in closure(name)]
    assert not [file for file in sorted(code) if not lies_under(file, deps)]


@pytest.mark.parametrize("name", STAGES)
def test_no_dep_is_idle(name):
    code = [file.relative_to(ROOT).as_posix() for file in closure(name)]
    made = [path for stage in STAGES.values() for path in written(stage)]
    idle = [
        dep
        for dep in STAGES[name]["deps"]
        if not any(lies_under(path, [dep]) for path in [*code, *made, *LISTS])
    ]
    assert not idle


@pytest.mark.parametrize("name", STAGES)
def test_files_that_a_stage_touches_are_its_deps_or_outs(name):
    work = Workspace(Path())
    used = workspace_files(ROOT / "pipelines" / f"{name}.py")
    files = {getattr(work, attribute).as_posix() for attribute in used} - RUN_RECORD - CACHES
    known = [*STAGES[name]["deps"], *written(STAGES[name])]
    assert files
    assert not {
        file for file in files if not lies_under(file, known) and not any(k.startswith(file) for k in known)
    }


@pytest.mark.parametrize("name", STAGES)
def test_params_of_a_stage_exist(name):
    shipped = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    keys = STAGES[name]["params"]
    assert keys == list(dict.fromkeys(keys))
    for key in keys:
        section = shipped
        for part in key.split("."):
            assert part in section, key
            section = section[part]


def test_every_value_of_params_is_read_by_a_stage():
    listed = [key for stage in STAGES.values() for key in stage["params"]]
    shipped = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    unread = [
        key for key, _ in leaves(shipped) if not any(key == k or key.startswith(f"{k}.") for k in listed)
    ]
    assert {name if name in COMMANDS else name.partition(".")[0] for name in unread} == COMMANDS


@pytest.mark.parametrize("file", PARAMS_FILES, ids=lambda file: file.name)
def test_params_are_of_kinds_that_dvc_compares(file):
    """DVC refuses dates: they are written as text, in quotes."""
    for key, value in leaves(yaml.safe_load(file.read_text(encoding="utf-8"))):
        parts = value if isinstance(value, list) else [value]
        assert all(part is None or isinstance(part, str | int | float) for part in parts), key
    read_params(file)


def test_git_keeps_metrics_and_plots_and_dvc_keeps_the_rest():
    small = [
        path for stage in STAGES.values() for kind in ("metrics", "plots") for path in settings(stage, kind)
    ]
    large = [path for stage in STAGES.values() for path in names(stage.get("outs", []))]
    assert all(
        s["cache"] is False
        for st in STAGES.values()
        for k in ("metrics", "plots")
        for s in settings(st, k).values()
    )
    assert ignored(small) == []
    assert ignored([*large, *RUN_RECORD, "mlflow.db"]) == [*large, *RUN_RECORD, "mlflow.db"]


def ignored(paths: list[str]) -> list[str]:
    """Those of the paths that git leaves alone."""
    command = ["git", "-C", str(ROOT), "check-ignore", "--no-index", *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.splitlines()


def test_templates_of_the_plots_are_there():
    used = {drawn["template"] for drawn in settings(STAGES["evaluate"], "plots").values()}
    assert used == {path.stem for path in (ROOT / ".dvc" / "plots").glob("*.json")}

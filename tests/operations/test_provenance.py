"""Authority: DVC itself for where its temporary copies are, git for commits."""

import subprocess
import sys
from pathlib import Path

import pytest

from churnlab.operations.provenance import commit, project_root, training_id


def run(folder: Path, *words: str) -> str:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    run(folder, "git", "init", "-q")
    run(folder, "git", "config", "user.email", "a@example.org")
    run(folder, "git", "config", "user.name", "A")
    return folder


def test_nearest_folder_with_dvc_yaml(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert project_root(tmp_path / "a" / "b") == tmp_path.resolve()


def test_without_dvc_yaml_it_is_the_start(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert project_root(tmp_path / "a") == (tmp_path / "a").resolve()


@pytest.mark.parametrize("queue", [".", "standalone"])
@pytest.mark.parametrize("inside", [".", "services/churn"])
def test_copies_lead_back_to_the_project(tmp_path: Path, queue: str, inside: str) -> None:
    """DVC copies the whole repository into the project's .dvc/tmp/exps, subfolders included."""
    copy = tmp_path / ".dvc/tmp/exps" / queue / "tmpabc"
    (copy / ".dvc").mkdir(parents=True)
    (copy / inside).mkdir(parents=True, exist_ok=True)
    (copy / inside / "dvc.yaml").touch()
    assert project_root(copy / inside) == (tmp_path / inside).resolve()


def test_in_a_real_temporary_experiment(repository: Path) -> None:
    run(repository, sys.executable, "-m", "dvc", "init", "-q")
    script = (
        "import pathlib\n"
        "from churnlab.operations.provenance import project_root\n"
        "pathlib.Path('root.txt').write_text(f'{project_root()}\\n{pathlib.Path.cwd()}')\n"
    )
    (repository / "root.py").write_text(script)
    stage = (
        f"stages:\n  root:\n    cmd: {sys.executable} root.py\n    deps: [root.py]\n    outs: [root.txt]\n"
    )
    (repository / "dvc.yaml").write_text(stage)
    run(repository, "git", "add", ".")
    run(repository, "git", "commit", "-qm", "one")
    run(repository, sys.executable, "-m", "dvc", "exp", "run", "--temp", "-n", "elsewhere")
    run(repository, sys.executable, "-m", "dvc", "exp", "apply", "elsewhere")
    found, worked_in = (repository / "root.txt").read_text().splitlines()
    assert Path(worked_in) != repository.resolve()  # DVC did work in a copy
    assert Path(found) == repository.resolve()


def test_commit_is_what_git_says(repository: Path) -> None:
    assert commit(repository) is None  # no commit yet
    (repository / "stage.py").write_text("1\n")
    (repository / "dvc.lock").write_text("1\n")
    run(repository, "git", "add", ".")
    run(repository, "git", "commit", "-qm", "one")
    found = commit(repository)
    assert found is not None
    assert found.sha == run(repository, "git", "rev-parse", "HEAD")
    assert not found.dirty
    (repository / "dvc.lock").write_text("2\n")
    assert commit(repository) == found  # results of the pipeline are not its code
    (repository / "stage.py").write_text("2\n")
    changed = commit(repository)
    assert changed is not None
    assert changed.dirty


def test_no_commit_outside_a_repository_or_without_git(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "plain").mkdir()
    assert commit(tmp_path / "plain") is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit(repository) is None


def test_training_id_is_content():
    assert training_id("m", "d") == training_id("m", "d")
    assert len({training_id("m", "d"), training_id("m", "e"), training_id("n", "d")}) == 3
    assert len(training_id("m", "d")) == 32

"""Which project a process runs for, which commit of it, and the identity of a training."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

_DVC_COPIES = (".dvc", "tmp", "exps")
_SOURCES = ("*.py", "*.toml", "*.yaml", "*.cfg")


@dataclass(frozen=True)
class Commit:
    """A git commit, and whether tracked code or configuration differs from it."""

    sha: str
    dirty: bool


def project_root(start: Path | None = None) -> Path:
    """The folder of dvc.yaml, which holds mlflow.db beside it.

    Parameters
    ----------
    start
        Where to look first; the current working directory if None.

    Returns
    -------
    Path
        The nearest folder from `start` upwards that holds dvc.yaml, or `start` itself if none does.
        `dvc exp run --temp` and `--queue` work in a copy below `.dvc/tmp/exps` that is deleted
        afterwards: inside such a copy it is the project copied from.
    """
    start = (start or Path.cwd()).resolve()
    found = next((folder for folder in (start, *start.parents) if (folder / "dvc.yaml").is_file()), start)
    return _copied_from(found)


def _copied_from(folder: Path) -> Path:
    """The project of which `folder` is DVC's temporary copy, or `folder` itself."""
    outermost_first = reversed((folder, *folder.parents))
    copies = next((path for path in outermost_first if path.parts[-3:] == _DVC_COPIES), None)
    if copies is None:
        return folder
    inside = [path for path in (folder, *folder.parents) if copies in path.parents]
    top = next((path for path in inside if (path / ".dvc").is_dir()), folder)
    return copies.parents[2] / folder.relative_to(top)


def commit(folder: Path) -> Commit | None:
    """The commit checked out around `folder`; None without git or outside a repository.

    Only code and configuration count as changes: DVC rewrites dvc.lock and metrics while it runs.
    """
    sha = _git(folder, "rev-parse", "HEAD")
    if not sha:
        return None
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", *_SOURCES)
    return Commit(sha, dirty=bool(changed))


def training_id(model_digest: str, data_version: str) -> str:
    """A run's identity by content: equal data and equal models have equal ids on every machine."""
    return hashlib.sha256(f"{model_digest} {data_version}".encode()).hexdigest()[:32]


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, check=False, timeout=30
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None

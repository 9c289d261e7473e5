"""Where everything is that churnlab, DVC and MLflow keep for a project."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from churnlab.config import Data, Params
from churnlab.operations.erasure.dvc_cache import DvcStore
from churnlab.operations.tracking_store import artifact_folder

ROOMS = ("data", "models", "reports", "outputs", "nightly")
UNFINISHED = re.compile(r"\..+\.(\d+)\.tmp")  # as engine.write_atomically names what is not yet in its place


@dataclass
class Places:
    """Every file that may name a customer, by what may be done to it."""

    written: list[Path]  # taken out row by row
    objects: list[Path] = field(default_factory=list)  # named by their content: deleted
    recorded: list[Path] = field(default_factory=list)  # MLflow's: only searched

    @property
    def all(self) -> list[Path]:
        return [*self.written, *self.objects, *self.recorded]


def find_places(params: Params, root: Path, also: Sequence[Path], store: DvcStore) -> Places:
    """Everything that churnlab, DVC and MLflow keep for the project."""
    workspace = Path(params.workspace).expanduser()
    homes = [workspace, *(copy / workspace for copy in store.copies if not workspace.is_absolute())]
    folders = [home / room for home in homes for room in ROOMS] + [folder.expanduser() for folder in also]
    written = dict.fromkeys(file for folder in folders for file in _files(folder))
    sources, objects = set(_sources(params.data)), set(store.objects)
    artifacts = artifact_folder(root) or root / "mlartifacts"
    recorded = [*root.glob("mlflow.db*"), *_files(artifacts), *_files(root / "mlruns")]
    return Places(
        [file for file in written if file.resolve() not in sources and _absolute(file) not in objects],
        [file for file in store.objects if file.is_file()],
        recorded,
    )


def _files(folder: Path) -> list[Path]:
    """The files in a folder, but not what git and DVC keep there for themselves."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.is_file() and not {".git", ".dvc"} & set(file.relative_to(folder).parts)
    )


def _sources(data: Data) -> Iterator[Path]:
    """The files that the user keeps, wherever they are."""
    tables = (data, data.customers, data.interactions, data.contacts)
    named = [*(table.path for table in tables if table), data.rates, data.exclude_customers]
    for name in filter(None, named):
        found = [Path(file) for file in glob.glob(str(Path(name).expanduser()), recursive=True)]  # noqa: PTH207
        for path in [Path(name).expanduser(), *found]:
            yield path.resolve()
            yield from (file.resolve() for file in _files(path))


def is_left_over(path: Path) -> bool:
    """Whether a file was never finished, its process having ended before."""
    unfinished = UNFINISHED.fullmatch(path.name)
    return unfinished is not None and not _is_running(int(unfinished[1]))


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)  # signal 0 only asks
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True


def _absolute(path: Path) -> Path:
    """A link stays what it is called: those of DVC lead to its objects."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def shown_name(path: Path, root: Path) -> str:
    """The path from the project's folder, or the whole where it lies elsewhere."""
    whole = _absolute(path)
    return str(whole.relative_to(root)) if whole.is_relative_to(root) else str(whole)

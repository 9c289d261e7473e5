"""Where DVC keeps older versions of what the stages wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churnlab.errors import DataError

if TYPE_CHECKING:
    from dvc.repo import Repo

_COPIES = Path("exps")  # of DVC's tmp: the project's copies that `dvc exp run --temp` and `--queue` work in
_FOLDER = ".dir"  # ending of the object that lists a folder's files


@dataclass(frozen=True)
class DvcStore:
    """Cached objects that stages wrote, copies of the project, and names of the remotes."""

    objects: tuple[Path, ...] = ()
    copies: tuple[Path, ...] = ()
    remotes: tuple[str, ...] = ()


@contextmanager
def held(root: Path) -> Iterator[DvcStore]:
    """What DVC stores for the project at `root`, with DVC's lock held; nothing where DVC is not set up.

    Objects of data that is tracked by itself (`dvc add`) are the user's sources and left out.

    Raises
    ------
    DataError
        DVC is running, or its files are damaged.
    """
    from dvc.exceptions import DvcException, NotDvcRepoError  # noqa: PLC0415 - DVC takes a second to import
    from dvc.lock import LockError  # noqa: PLC0415
    from dvc.repo import Repo  # noqa: PLC0415

    try:
        repo = Repo(str(root))
    except NotDvcRepoError:
        yield DvcStore()
        return
    try:
        with repo, repo.lock:
            yield _store(repo)
    except LockError as error:
        raise DataError(f"{root}: DVC is running here: wait until it has ended") from error
    except DvcException as error:
        raise DataError(
            f"{root}: DVC cannot read its files ({error}): mend them, dvc status shows"
        ) from error


def _store(repo: Repo) -> DvcStore:
    cache = Path(repo.cache.local_cache_dir)
    sources = _sources(repo, cache)
    objects = (file for file in sorted(cache.rglob("*")) if file.is_file() and _digest(file) not in sources)
    copies = sorted((Path(repo.tmp_dir) / _COPIES).rglob("dvc.yaml"))
    return DvcStore(
        tuple(file for file in objects if "runs" not in file.relative_to(cache).parts),
        tuple(file.parent for file in copies),
        tuple(sorted(repo.config["remote"])),
    )


def _digest(file: Path) -> str:
    """DVC names an object by its digest: two digits for the folder, the others for the file."""
    return file.parent.name + file.name


def _sources(repo: Repo, cache: Path) -> set[str]:
    """The digests of what `dvc add` and `dvc import` track, the files in folders included."""
    added = (stage for stage in repo.index.stages if stage.is_data_source)
    tracked = {out.hash_info.value for stage in added for out in stage.outs}
    listed = (file for file in cache.rglob(f"*{_FOLDER}") if _digest(file) in tracked)
    inside: list[dict[str, Any]] = [entry for file in listed for entry in json.loads(file.read_bytes())]
    return tracked | {entry["md5"] for entry in inside}

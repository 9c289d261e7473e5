"""`churnlab forget`: erases customers from every file that churnlab wrote, then searches again."""

from __future__ import annotations

import csv
import glob
import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from churnlab.config import Data, Params
from churnlab.data.forgotten import remember_forgotten
from churnlab.data.pseudonyms import pseudonym, read_key
from churnlab.engine import write_text
from churnlab.errors import DataError
from churnlab.operations import erased_tables, erased_texts
from churnlab.operations.dvc_cache import DvcStore, held
from churnlab.operations.provenance import project_root
from churnlab.operations.traces import OWNER, Hits, Wanted
from churnlab.operations.tracking_store import artifact_folder, place

ROOMS = ("data", "models", "reports", "outputs", "nightly")
UNREADABLE = (OSError, ValueError, pa.ArrowException, csv.Error, sqlite3.Error)
LONGEST_HEADER = 1 << 20
UNFINISHED = re.compile(r"\..+\.(\d+)\.tmp")  # as engine.write_atomically names what is not yet in its place


class Kind(NamedTuple):
    """How a kind of file is searched, and how the wanted are taken out; None: only with the whole file."""

    search: Callable[[Path, Wanted], Hits]
    erase: Callable[[Path, Wanted], None] | None = None
    is_made_again: bool = False  # the whole file may go


KINDS = {
    "parquet": Kind(erased_tables.search, erased_tables.erase),
    "csv": Kind(erased_texts.search_csv, erased_texts.erase_csv),
    "json lines": Kind(erased_texts.search_json_lines, erased_texts.erase_json_lines),
    "page": Kind(erased_texts.search_page, is_made_again=True),
    "json": Kind(erased_texts.search_json),
    "sqlite": Kind(erased_texts.search_sqlite),
    "text": Kind(erased_texts.search_text),
}


@dataclass(frozen=True)
class FileRecord:
    """What was done to one file: rows removed, cells of others' rows emptied, or the whole file deleted."""

    file: str
    rows: int
    cells: int
    deleted: bool
    sha256_before: str
    sha256_after: str | None


@dataclass(frozen=True)
class Erasure:
    """What was done, and what the second search found.

    `remaining`: file → what is still in it; `beyond`: sentences on what cannot be reached from here.
    """

    marks: tuple[str, ...]
    files: tuple[FileRecord, ...]
    remaining: dict[str, str]
    searched: int
    beyond: tuple[str, ...]


@dataclass
class Places:
    """Every file that may name a customer, by what may be done to it."""

    written: list[Path]  # taken out row by row
    objects: list[Path] = field(default_factory=list)  # named by their content: deleted
    recorded: list[Path] = field(default_factory=list)  # MLflow's: only searched

    @property
    def all(self) -> list[Path]:
        return [*self.written, *self.objects, *self.recorded]


def forget(
    params: Params,
    ids: Sequence[str],
    moment: datetime,
    also: Sequence[Path] = (),
    spellings: Callable[[str], set[str]] = lambda name: {name},
    dry_run: bool = False,
) -> Erasure:
    """Erase customers from what churnlab wrote, put them on the list of the forgotten, and search again.

    The list comes first: an erasure that is cut short is finished by the next, and ingest already refuses
    the customers. Sources are the user's and stay as they are.

    Parameters
    ----------
    ids
        Ids as orders have them before any hashing.
    moment
        When, for the record `reports/erasure.json`.
    also
        Further folders that churnlab wrote to, such as those of nightly runs.
    spellings
        Every way in which raw lines may spell an id, itself included.
    dry_run
        Only search; `files` then says what would be done.

    Raises
    ------
    ConfigError
        Ids are hashed and the key is not there.
    DataError
        An id is blank, a folder is not there, the list of the forgotten is damaged or cannot be written, or
        DVC is running.
    """
    root, workspace = project_root(), Path(params.workspace).expanduser()
    if not all(name.strip() for name in ids):
        raise DataError("forget: one of the ids is blank: name customers as orders.parquet does")
    for folder in also:
        if not folder.expanduser().is_dir():
            raise DataError(f"--also: {folder} is not there: name a folder that churnlab wrote to")
    wanted = _wanted(params, ids, spellings)
    with held(root) as store:
        places = find_places(params, root, also, store)
        if dry_run:
            files = [record for path in places.all if (record := _would_be(path, wanted, root))]
            return Erasure((), tuple(files), {}, len(places.all), _beyond(root, store))
        marks = remember_forgotten(Path(params.data.privacy.forgotten), ids, moment.date())
        troubles: dict[Path, str] = {}
        files = [record for record in _erased(places, wanted, root, troubles) if record]
        searched = find_places(params, root, also, store).all
        remaining = {_name(path, root): left for path in searched if (left := _left(path, wanted, troubles))}
        done = Erasure(tuple(marks), tuple(files), remaining, len(searched), _beyond(root, store))
    _record(done, moment, workspace / "reports" / "erasure.json")
    return done


def _wanted(params: Params, ids: Sequence[str], spellings: Callable[[str], set[str]]) -> Wanted:
    spelled = {form for name in ids for form in {name, *spellings(name)}}
    if params.data.privacy.hash_ids:
        key = read_key(params.data.privacy)
        spelled |= {pseudonym(key, name) for name in spelled}
    return Wanted(frozenset(spelled))


def find_places(params: Params, root: Path, also: Sequence[Path], store: DvcStore) -> Places:
    """Everything that churnlab, DVC and MLflow keep for the project."""
    workspace = Path(params.workspace).expanduser()
    homes = [workspace, *(copy / workspace for copy in store.copies if not workspace.is_absolute())]
    folders = [home / room for home in homes for room in ROOMS] + [folder.expanduser() for folder in also]
    written = dict.fromkeys(file for folder in folders for file in _files(folder))
    sources = set(_sources(params.data))
    artifacts = artifact_folder(root) or root / "mlartifacts"
    recorded = [*root.glob("mlflow.db*"), *_files(artifacts), *_files(root / "mlruns")]
    return Places(
        [file for file in written if file.resolve() not in sources],
        [file for file in store.objects if file.is_file()],
        recorded,
    )


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def _sources(data: Data) -> Iterator[Path]:
    """The files that the user keeps, wherever they are."""
    tables = (data, data.customers, data.interactions, data.contacts)
    named = [*(table.path for table in tables if table), data.rates, data.exclude_customers]
    for name in filter(None, named):
        found = [Path(file) for file in glob.glob(str(Path(name).expanduser()), recursive=True)]  # noqa: PTH207
        for path in [Path(name).expanduser(), *found]:
            yield path.resolve()
            yield from (file.resolve() for file in _files(path))


def _erased(
    places: Places, wanted: Wanted, root: Path, troubles: dict[Path, str]
) -> Iterator[FileRecord | None]:
    """Erase file after file; one that resists is noted and does not keep the others from being erased."""
    by_row, whole = ((path, False) for path in places.written), ((path, True) for path in places.objects)
    for path, goes_whole in (*by_row, *whole):
        try:
            if _is_left_over(path):
                _delete(path)
            else:
                yield _erase(path, wanted, root, goes_whole)
        except DataError as error:
            troubles[path] = str(error)
        except FileNotFoundError:
            pass  # gone meanwhile
        except UNREADABLE as error:
            troubles[path] = _unreadable(error)


def _erase(path: Path, wanted: Wanted, root: Path, whole: bool) -> FileRecord | None:
    kind = kind_of(path)
    hits = kind.search(path, wanted)
    whole = bool(hits.total) and (whole or kind.is_made_again)
    if not whole and not (kind.erase and hits.rows + hits.cells):
        return None
    before = _sha256(path)
    if whole:
        _delete(path)
    else:
        assert kind.erase is not None
        kind.erase(path, wanted)
    return FileRecord(
        _name(path, root), hits.rows, hits.cells, whole, before, None if whole else _sha256(path)
    )


def _would_be(path: Path, wanted: Wanted, root: Path) -> FileRecord | None:
    try:
        hits = kind_of(path).search(path, wanted)
    except UNREADABLE:
        return None
    return FileRecord(_name(path, root), hits.rows, hits.cells, False, "", None) if hits.total else None


def _left(path: Path, wanted: Wanted, troubles: dict[Path, str]) -> str | None:
    """What the second search finds in a file; None: nothing."""
    try:
        found = kind_of(path).search(path, wanted).total
    except FileNotFoundError:
        return None
    except UNREADABLE as error:
        return _unreadable(error)
    if not found:
        return None
    return f"{found} left" + (f", {troubles[path]}" if path in troubles else "")


def _unreadable(error: Exception) -> str:
    return f"cannot be read ({getattr(error, 'strerror', None) or type(error).__name__})"


def kind_of(path: Path) -> Kind:
    """What a file is, by how it begins: DVC's objects have no endings."""
    with path.open("rb") as handle:
        line = handle.readline(LONGEST_HEADER)
    if line.startswith(b"PAR1"):
        return KINDS["parquet"]
    if line.startswith(b"SQLite format 3\x00"):
        return KINDS["sqlite"]
    head = line.decode("utf-8", errors="replace").strip("\ufeff \t\r\n")
    if head.lower().startswith(("<!doctype html", "<html")):
        return KINDS["page"]
    if head.startswith(("{", "[")):
        return KINDS["json lines" if _is_object(head) else "json"]
    return KINDS["csv" if _is_header(head) else "text"]


def _is_object(line: str) -> bool:
    """Whether a line is the whole of a JSON object about a customer."""
    try:
        record = json.loads(line)
    except ValueError:
        return False
    return isinstance(record, dict) and OWNER in record


def _is_header(line: str) -> bool:
    """Whether a line is the header of a list of customers."""
    try:
        return OWNER in next(csv.reader([line]), [])
    except csv.Error:
        return False


def _is_left_over(path: Path) -> bool:
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


def _delete(path: Path) -> None:
    try:
        path.unlink()
    except OSError as error:
        raise DataError(f"cannot be deleted ({error.strerror}): check the rights of its folder") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _name(path: Path, root: Path) -> str:
    """The path from the project's folder, or the whole where it lies elsewhere."""
    whole = Path(os.path.abspath(path))  # noqa: PTH100 - a link by its own name, not by where it leads
    return str(whole.relative_to(root)) if whole.is_relative_to(root) else str(whole)


def _beyond(root: Path, store: DvcStore) -> tuple[str, ...]:
    """What holds copies and cannot be searched from here."""
    said = [
        f"Copies pushed to the DVC remote {name} cannot be reached from here: after the next dvc repro, "
        f"run dvc gc --workspace --cloud --remote {name}."
        for name in store.remotes
    ]
    if artifact_folder(root) is None:
        said.append(f"The MLflow server {place(root)} was not searched: churnlab records no ids there.")
    return tuple(said)


def _record(done: Erasure, moment: datetime, path: Path) -> None:
    """Add to the record of erasures, which names nobody: marks, files, rows, checksums."""
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))["erasures"] if path.is_file() else []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: is damaged: restore it or move it away, then run forget again") from error
    entry = {"at": moment.isoformat(timespec="seconds"), **asdict(done)}
    write_text(json.dumps({"erasures": [*earlier, entry]}, indent=1, sort_keys=True) + "\n", path)


def shown_remaining(remaining: dict[str, str], most: int = 3) -> str:
    """What is left, as part of a sentence."""
    parts: Iterable[str] = [f"{name} ({left})" for name, left in list(remaining.items())[:most]]
    return "; ".join(parts) + (f"; and {len(remaining) - most} more files" if len(remaining) > most else "")

"""`churnlab forget`: erases customers from every file that churnlab wrote, then searches again."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from churnlab.config import Params
from churnlab.data.forgotten import remember_forgotten
from churnlab.data.pseudonyms import pseudonym, read_key
from churnlab.engine import write_text
from churnlab.errors import DataError
from churnlab.operations.erasure import published
from churnlab.operations.erasure.dvc_cache import DvcStore, held
from churnlab.operations.erasure.file_kinds import UNREADABLE, kind_of, unreadable
from churnlab.operations.erasure.spellings import by_policy, found_spellings
from churnlab.operations.erasure.traces import Wanted
from churnlab.operations.erasure.written_files import Places, find_places, is_left_over, shown_name
from churnlab.operations.provenance import project_root
from churnlab.operations.sinks.publication import Sink, Trace
from churnlab.operations.tracking_store import artifact_folder, place


@dataclass(frozen=True)
class FileRecord:
    """What was done to one file: rows removed, cells of others' rows emptied, or the whole file deleted.

    Or to one published list, of which no checksums are told: their journal is where they are.
    """

    file: str
    rows: int
    cells: int
    deleted: bool
    sha256_before: str | None
    sha256_after: str | None

    @classmethod
    def of_list(cls, trace: Trace) -> FileRecord:
        """What was found in a published list."""
        return cls(trace.place, trace.hits.rows, trace.hits.cells, False, None, None)


@dataclass(frozen=True)
class Erasure:
    """What was done, and what the second search found.

    `remaining`: file or list → what is still in it; `beyond`: sentences on what cannot be reached from here;
    `sinks`: whose lists were searched, too.
    """

    marks: tuple[str, ...]
    files: tuple[FileRecord, ...]
    remaining: dict[str, str]
    searched: int
    beyond: tuple[str, ...]
    sinks: tuple[str, ...] = ()


def forget(
    params: Params,
    ids: Sequence[str],
    moment: datetime,
    also: Sequence[Path] = (),
    dry_run: bool = False,
    sinks: Sequence[Sink] = (),
) -> Erasure:
    """Erase customers from what churnlab wrote, put them on the list of the forgotten, and search again.

    The list comes first: an erasure that is cut short is finished by the next, and ingest already refuses
    the customers. Sources are the user's and stay as they are.

    Parameters
    ----------
    ids
        Ids as the source has them.
    moment
        When, for the record `reports/erasure.json`.
    also
        Further folders that churnlab wrote to, such as those of nightly runs.
    dry_run
        Only search; `files` is then what names them, and `remaining` what cannot be read.
    sinks
        Where lists were published.

    Raises
    ------
    ConfigError
        Ids are hashed and the key is not there.
    DataError
        An id is none, a folder is not there, the list or the record is damaged or cannot be written, or DVC
        is running.
    SinkError, TryLaterError
        A sink refuses or cannot be reached.
    """
    root, workspace = project_root(), Path(params.workspace).expanduser()
    names = by_policy(ids, params)
    for folder in also:
        if not folder.expanduser().is_dir():
            raise DataError(f"--also: {folder} is not there: name a folder that churnlab wrote to")
    record = workspace / "reports" / "erasure.json"
    earlier = _earlier(record)
    with held(root) as store:
        places = find_places(params, root, also, store)
        wanted = _wanted(params, [*names, *found_spellings(names, places.all, params, sinks)])
        found_in = published.search(sinks, wanted)
        lists = [trace for traces in found_in.values() for trace in traces]
        if dry_run:
            would_be = _what_would_be(places, lists, wanted, root, _beyond(root, store))
            return replace(would_be, sinks=_shown(sinks))
        listed = Path(params.data.privacy.forgotten).expanduser()
        marks = remember_forgotten(listed, names, moment.date())
        resisting = published.erase(found_in, wanted, moment)
        troubles: dict[Path, str] = {}
        files = tuple(filter(None, _erased(places, wanted, root, troubles)))
        searched = find_places(params, root, also, store).all
        found = ((shown_name(path, root), _left(path, wanted, troubles)) for path in searched)
        remaining = published.left(sinks, wanted, resisting) | {name: left for name, left in found if left}
        files = (*_from_lists(lists), *files)
        done = Erasure(tuple(marks), files, remaining, len(searched), _beyond(root, store), _shown(sinks))
    entry = {"at": moment.isoformat(timespec="seconds"), **asdict(done)}
    write_text(json.dumps({"erasures": [*earlier, entry]}, indent=1, sort_keys=True) + "\n", record)
    return done


def _wanted(params: Params, spelled: list[str]) -> Wanted:
    hashed: list[str] = []
    if params.data.privacy.hash_ids:
        key = read_key(params.data.privacy)
        hashed = [pseudonym(key, name) for name in spelled]
    return Wanted(frozenset([*spelled, *hashed]))


def _erased(
    places: Places, wanted: Wanted, root: Path, troubles: dict[Path, str]
) -> Iterator[FileRecord | None]:
    """Erase file after file; one that resists is noted and does not keep the others from being erased."""
    by_row, whole = ((path, False) for path in places.written), ((path, True) for path in places.objects)
    for path, goes_whole in (*by_row, *whole):
        try:
            if is_left_over(path):
                _delete(path)
            else:
                yield _erase(path, wanted, root, goes_whole)
        except DataError as error:
            troubles[path] = str(error)
        except FileNotFoundError:
            pass  # gone meanwhile
        except UNREADABLE as error:
            troubles[path] = unreadable(error)


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
        shown_name(path, root), hits.rows, hits.cells, whole, before, None if whole else _sha256(path)
    )


def _shown(sinks: Sequence[Sink]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(sink.shown for sink in sinks))


def _from_lists(lists: Sequence[Trace]) -> list[FileRecord]:
    return [FileRecord.of_list(trace) for trace in lists if trace.hits.total]


def _what_would_be(
    places: Places, lists: Sequence[Trace], wanted: Wanted, root: Path, beyond: tuple[str, ...]
) -> Erasure:
    """What names the wanted now, and what cannot be read."""
    files = _from_lists(lists)
    closed = {trace.place: trace.unreadable for trace in lists if trace.unreadable}
    for path in places.all:
        name = shown_name(path, root)
        try:
            hits = kind_of(path).search(path, wanted)
            if hits.total:
                files.append(FileRecord(name, hits.rows, hits.cells, False, _sha256(path), None))
        except UNREADABLE as error:
            closed[name] = unreadable(error)
    return Erasure((), tuple(files), closed, len(places.all), beyond)


def _left(path: Path, wanted: Wanted, troubles: dict[Path, str]) -> str | None:
    """What the second search finds in a file; None: nothing."""
    try:
        found = kind_of(path).search(path, wanted).total
    except FileNotFoundError:
        return None
    except UNREADABLE as error:
        return unreadable(error)
    if not found:
        return None
    return f"{found} left" + (f", {troubles[path]}" if path in troubles else "")


def _delete(path: Path) -> None:
    try:
        path.unlink()
    except OSError as error:
        raise DataError(f"cannot be deleted ({error.strerror}): check the rights of its folder") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _beyond(root: Path, store: DvcStore) -> tuple[str, ...]:
    """What holds copies and cannot be searched from here."""
    said = [
        f"Copies pushed to the DVC remote {name} cannot be reached from here: after the next dvc repro, "
        f"run dvc gc --workspace --cloud --remote {name}."
        for name in store.remotes
    ]
    if artifact_folder(root) is None:
        said.append(f"The MLflow server {place(root)} was not searched: churnlab records no ids there.")
    temporary = Path(tempfile.gettempdir())
    if n := len(list(temporary.glob("churnlab-*"))):
        said.append(
            f"In {temporary} are {n} temporary folders churnlab-*: if no run is going on, killed ones left "
            "them, with raw lines inside: delete them."
        )
    return tuple(said)


def _earlier(path: Path) -> list[Any]:
    """What the record of erasures holds, which names nobody: marks, files, rows, checksums."""
    try:
        return [*json.loads(path.read_text(encoding="utf-8"))["erasures"]] if path.is_file() else []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: is damaged: restore it or move it away, then run forget again") from error


def shown_remaining(remaining: dict[str, str], most: int = 3) -> str:
    """What is left, as part of a sentence."""
    parts = [f"{name} ({left})" for name, left in list(remaining.items())[:most]]
    return "; ".join(parts) + (f"; and {len(remaining) - most} more files" if len(remaining) > most else "")

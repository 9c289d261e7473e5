"""Publishes to a folder: one file per date, in the layout that Arrow, DuckDB and Spark read as one table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar, get_args

import pyarrow as pa

from churnlab.data.readers import delta
from churnlab.engine import cause
from churnlab.errors import SinkError
from churnlab.operations.erasure.file_kinds import UNREADABLE, kind_of, search, unreadable
from churnlab.operations.erasure.traces import Hits, Wanted
from churnlab.operations.scoring import SCORES
from churnlab.operations.sinks.list_files import FileFormat, count, narrow, raw_lines, rows, write
from churnlab.operations.sinks.lists import QUARANTINE, check
from churnlab.operations.sinks.locks import LockedByDate, exclusive
from churnlab.operations.sinks.placing import (
    duplicate,
    hidden,
    make_folder,
    place,
    place_text,
    remove,
    synced,
)
from churnlab.operations.sinks.publication import Publication, RunIdentity, Trace

T = TypeVar("T")
# the folder's name says it; Arrow refuses to read a table that says it twice
COLUMNS = SCORES.remove(SCORES.get_field_index("as_of"))
SCORES_FOLDER, QUARANTINE_FOLDER, SUPERSEDED_FOLDER = "scores", "quarantine", "superseded"


class FolderSink(LockedByDate):
    """A Sink in a folder.

    scores/as_of=DATE/scores.parquet           the current list, without the column as_of
    quarantine/as_of=DATE/quarantine.parquet   its refused lines
    superseded/as_of=DATE/revision=N/…         lists kept by --restate
    publications/as_of=DATE.json               what was published, oldest first
    manifests/as_of=DATE.json                  of the run that published the current list

    Hidden files (a leading dot) concern nobody but the run that holds the lock. A new list is visible from
    the moment that its file is moved into place. What the journal then gets is ready in a hidden file
    before, so that the next run, or a reader, can tell how far a killed run came.
    """

    def __init__(self, folder: Path, file_format: FileFormat) -> None:
        super().__init__()
        self.shown = str(folder)
        self._folder = folder.absolute()
        self.manifests: Path | None = self._folder / "manifests"
        self._format = file_format

    def _exclusively(self, day: date) -> AbstractContextManager[None]:
        lock = self._folder / ".locks" / f"as_of={day}.lock"
        return exclusive(lock, f"{self.shown}: {day} is being published")

    def publish(
        self, scores: Path, run: RunIdentity, now: datetime, *, restate: bool, quarantine: Path | None
    ) -> Publication:
        """See `Sink.publish`."""
        check(scores, run)
        with self._holding(run.as_of), self._told():
            self._settle(run.as_of)
            current = self._current(run.as_of)
            if current is not None and current.is_of(run):
                return current
            made = Publication.of(run, current.revision + 1 if current else 1, now)
            self._refuse_strangers(made)
            self._prepare(made, scores, quarantine)
            if restate and current is not None:
                self._keep(current)
            self._land(made)
            self._settle(run.as_of)
            return made

    def _prepare(self, made: Publication, scores: Path, quarantine: Path | None) -> None:
        """Write everything that the new list consists of, nothing of it visible yet."""
        self._write(scores, COLUMNS, self._scores(made))
        if quarantine is not None:
            self._write(quarantine, QUARANTINE, self._quarantine(made))
        note = {"publication": made.record(), "quarantine": quarantine is not None}
        place_text(json.dumps(note), self._pending(made.as_of))

    def _write(self, source: Path, schema: pa.Schema, target: Path) -> None:
        make_folder(target.parent)
        write(source, schema, hidden(target), self._format)
        synced(hidden(target))
        synced(target.parent)

    def _keep(self, current: Publication) -> None:
        """Set the current list aside."""
        duplicate(self._scores(current), self._kept(current) / f"scores.{self._format}")

    def _land(self, made: Publication) -> None:
        """Make the prepared list visible, at one blow."""
        place(hidden(self._scores(made)), self._scores(made))

    def _has_landed(self, made: Publication) -> bool:
        """Whether the list of a noted publication, in either format, is visible."""
        names = (self._scores(made).with_suffix(f".{ending}") for ending in get_args(FileFormat))
        return not any(hidden(name).exists() for name in names)

    def _settle(self, day: date) -> None:
        """Complete what is visible, and clear away what never became so."""
        note = self._landed(day)
        if note is not None:
            self._settle_quarantine(Publication.from_record(note["publication"]), note["quarantine"])
            self._enter(day, publications=[publication.record() for publication in self._history(day)])
        remove(self._pending(day))  # first: without its hidden file it would tell of a list that landed
        for folder in (self._lists(day), self._refused(day)):
            for file in folder.glob(".*.tmp"):
                remove(file)
        current = self._current(day)
        for kept in self._all_kept(day):
            if current is None or _revision(kept) >= current.revision:  # its run died before its list landed
                self._drop(kept)

    def _settle_quarantine(self, made: Publication, expected: bool) -> None:
        target = self._quarantine(made)
        if not expected:
            remove(target)
        elif hidden(target).exists():
            place(hidden(target), target)

    def _drop(self, kept: Path) -> None:
        """Remove a kept list."""
        remove(kept)

    def _enter(self, day: date, **entries: list[dict[str, Any]]) -> None:
        """Put entries of the journal into the place of those of their kind."""
        whole = (_read(self._journal(day)) or {}) | entries
        place_text(json.dumps(whole, indent=1) + "\n", self._journal(day))

    def _landed(self, day: date) -> dict[str, Any] | None:
        """What a run noted that moved its list into place, but has not entered it into the journal.

        The note is read twice: that of a run which died before goes first, and its hidden file after it.
        """
        while (note := self._noted(day)) and self._has_landed(Publication.from_record(note["publication"])):
            if self._noted(day) == note:
                return note
        return None

    def _noted(self, day: date) -> dict[str, Any] | None:
        """What a run is about to publish, or was when it died."""
        return _read(self._pending(day))

    def _refuse_strangers(self, made: Publication) -> None:
        """Readers take every visible file for a part of the list."""
        for table in (SCORES_FOLDER, QUARANTINE_FOLDER):
            if delta.is_table(self._folder / table):
                raise SinkError(f"{self.shown}: holds Delta tables: name --format delta or another folder")
        for file in (self._scores(made), self._quarantine(made)):
            for path in file.parent.glob("[!._]*"):
                if path != file:
                    raise SinkError(
                        f"{path}: is none of this sink's files: move it away or choose another folder"
                    )

    def history(self, day: date | None = None) -> list[Publication]:
        """See `Sink.history`."""
        with self._told():
            return [past for one in ([day] if day else self._days()) for past in self._history(one)]

    def _days(self) -> list[date]:
        found = (self._folder / "publications").glob("as_of=*.json")
        noted = (self._folder / ".pending").glob("as_of=*.json")
        return sorted({date.fromisoformat(path.stem.partition("=")[2]) for path in (*found, *noted)})

    def _history(self, day: date) -> list[Publication]:
        note = self._landed(day)  # read before the journal, which may get it meanwhile
        records = (_read(self._journal(day)) or {"publications": []})["publications"]
        if note is not None and note["publication"] not in records:
            records.append(note["publication"])
        return [Publication.from_record(record) for record in records]

    def _current(self, day: date) -> Publication | None:
        return next(reversed(self._history(day)), None)

    def rows_of(self, customer_id: str, day: date) -> list[tuple[Publication, dict[str, Any]]]:
        """See `Sink.rows_of`."""
        with self._told():
            while True:
                before = self._history(day)
                found = self._rows_of(customer_id, before)
                if self._history(day) == before:  # else a list was published while files were read
                    return found

    def _rows_of(
        self, customer_id: str, published: list[Publication]
    ) -> list[tuple[Publication, dict[str, Any]]]:
        return [
            (past, {name: ({"as_of": past.as_of} | row)[name] for name in SCORES.names})
            for past in published
            for path in self._files(past, is_current=past == published[-1])
            for row in rows(path, COLUMNS, customer_id)
        ]

    def _files(self, past: Publication, *, is_current: bool) -> list[Path]:
        """What holds the list of a publication; nothing if it was replaced without being kept."""
        path = self._scores(past) if is_current else self._kept(past) / f"scores.{self._format}"
        return [path] if path.exists() else []

    def read_list(self, day: date, columns: Sequence[str], read: Callable[[pa.RecordBatch], T]) -> list[T]:
        """See `Sink.read_list`."""
        with self._told():
            current = self._current(day)
            files = [] if current is None else self._files(current, is_current=True)
            return [read(batch) for path in files for batch in _columns(path, columns)]

    def traces(self, wanted: Wanted) -> list[Trace]:
        """See `Sink.traces`; hidden files, which may be of killed runs, are searched as well."""
        with self._told():
            found = (
                _trace(day, path, wanted)
                for day, path in self._dated_files(SCORES_FOLDER, SUPERSEDED_FOLDER, QUARANTINE_FOLDER)
            )
            return [trace for trace in found if trace is not None]

    def among_refused(self, read: Callable[[pa.RecordBatch], set[str]]) -> set[str]:
        """See `Sink.among_refused`."""
        with self._told():
            files = [
                path for _, path in self._dated_files(QUARANTINE_FOLDER) if not path.name.startswith(".")
            ]
            return set().union(*(_read_by(read, path) for path in files))

    def _dated_files(self, *rooms: str) -> Iterator[tuple[date, Path]]:
        """Files of this format, hidden ones too, and the dates that they are of."""
        for room in rooms:
            for folder in sorted((self._folder / room).glob("as_of=????-??-??")):
                day = date.fromisoformat(folder.name.partition("=")[2])
                yield from ((day, path) for path in sorted(folder.rglob(f"*.{self._format}*")))

    def erase(self, wanted: Wanted, day: date, now: datetime) -> None:
        """See `Sink.erase`; what is left of a list is entered before its file takes its place.

        So the journal may be ahead of a run that is killed, and is right when the command has been repeated.
        """
        with self._holding(day), self._told():
            self._settle(day)
            for past, path in self._published_files(day):
                for left in _unfinished(path):
                    remove(left)
                if gone := _hits(path, wanted).rows:
                    self._note_erasure(past, count(path, COLUMNS) - gone, now)
                    _erase(path, wanted)
            current = self._current(day)
            refused = current and self._quarantine(current)
            if refused and refused.exists() and _hits(refused, wanted).cells:
                _erase(refused, wanted)

    def _note_erasure(self, past: Publication, rows_left: int, now: datetime) -> None:
        noted = (_read(self._journal(past.as_of)) or {}).get("erasures", [])
        if any((one["revision"], one["rows_left"]) == (past.revision, rows_left) for one in noted):
            return
        moment = now.astimezone(UTC).isoformat()
        entry = {"revision": past.revision, "rows_left": rows_left, "erased_at": moment}
        self._enter(past.as_of, erasures=[*noted, entry])

    def _published_files(self, day: date) -> Iterator[tuple[Publication, Path]]:
        published = self._history(day)
        for past in published:
            yield from ((past, path) for path in self._files(past, is_current=past == published[-1]))

    def _all_kept(self, day: date) -> list[Path]:
        return list((self._folder / SUPERSEDED_FOLDER / f"as_of={day}").glob("revision=*"))

    def _kept(self, past: Publication) -> Path:
        return self._folder / SUPERSEDED_FOLDER / f"as_of={past.as_of}" / f"revision={past.revision}"

    def _lists(self, day: date) -> Path:
        return self._folder / SCORES_FOLDER / f"as_of={day}"

    def _refused(self, day: date) -> Path:
        return self._folder / QUARANTINE_FOLDER / f"as_of={day}"

    def _scores(self, made: Publication) -> Path:
        return self._lists(made.as_of) / f"scores.{self._format}"

    def _quarantine(self, made: Publication) -> Path:
        return self._refused(made.as_of) / f"quarantine.{self._format}"

    def _journal(self, day: date) -> Path:
        return self._folder / "publications" / f"as_of={day}.json"

    def _pending(self, day: date) -> Path:
        return self._folder / ".pending" / f"as_of={day}.json"

    @contextmanager
    def _told(self) -> Iterator[None]:
        """A disk that fails is one line; what was visible stays so."""
        try:
            yield
        except OSError as error:
            raise SinkError(
                f"{self.shown}: cannot be written or read ({cause(error)}): check the folder and the disk"
            ) from None

    def close(self) -> None:
        """See `Sink.close`: nothing stays open."""


def _read(path: Path) -> dict[str, Any] | None:
    """A note or a journal; None where there is none."""
    try:
        whole: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return whole


def _unfinished(file: Path) -> list[Path]:
    """What killed erasures left of a file."""
    return sorted(file.parent.glob(f".{file.name}.*.tmp"))


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """A damaged file is one line."""
    try:
        yield
    except UNREADABLE as error:
        raise SinkError(f"{path}: {unreadable(error)}: restore it or move it away") from None


def _columns(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with _readable(path):
        yield from narrow(path, COLUMNS, columns)


def _read_by(read: Callable[[pa.RecordBatch], set[str]], path: Path) -> set[str]:
    with _readable(path):
        return set().union(*map(read, raw_lines(path, QUARANTINE)))


def _hits(path: Path, wanted: Wanted) -> Hits:
    with _readable(path):
        return search(path, wanted)


def _erase(path: Path, wanted: Wanted) -> None:
    erase = kind_of(path).erase
    assert erase is not None  # as for every kind that has rows
    erase(path, wanted)
    synced(path.parent)


def _trace(day: date, path: Path, wanted: Wanted) -> Trace | None:
    try:
        hits = search(path, wanted)
    except FileNotFoundError:  # gone meanwhile
        return None
    except UNREADABLE as error:
        return Trace(day, str(path), Hits(), unreadable(error))
    return Trace(day, str(path), hits) if hits.total else None


def _revision(kept: Path) -> int:
    return int(kept.name.partition("=")[2])

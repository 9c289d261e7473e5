"""Publishes to a folder: one file per date, in the layout that Arrow, DuckDB and Spark read as one table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from churnlab.data.readers import delta
from churnlab.engine import cause
from churnlab.errors import SinkError
from churnlab.operations.scoring import SCORES
from churnlab.operations.sinks.list_files import FileFormat, rows, write
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
from churnlab.operations.sinks.publication import Publication, RunIdentity

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
        """Whether the list of a noted publication is visible."""
        return not hidden(self._scores(made)).exists()

    def _settle(self, day: date) -> None:
        """Complete what is visible, and clear away what never became so."""
        note = self._landed(day)
        if note is not None:
            self._settle_quarantine(Publication.from_record(note["publication"]), note["quarantine"])
            past = [publication.record() for publication in self._history(day)]
            place_text(json.dumps({"publications": past}, indent=1) + "\n", self._journal(day))
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

    def _noted(self, day: date) -> dict[str, Any] | None:
        """What a run is about to publish, or was when it died."""
        try:
            note: dict[str, Any] = json.loads(self._pending(day).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return note

    def _landed(self, day: date) -> dict[str, Any] | None:
        """What a run noted that moved its list into place, but has not entered it into the journal."""
        note = self._noted(day)
        return note if note and self._has_landed(Publication.from_record(note["publication"])) else None

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
        try:
            records = json.loads(self._journal(day).read_text(encoding="utf-8"))["publications"]
        except FileNotFoundError:
            records = []
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


def _revision(kept: Path) -> int:
    return int(kept.name.partition("=")[2])

"""Publishes to a folder: one file per date, in the layout that Arrow, DuckDB and Spark read as one table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

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
            self._refuse_strangers(run.as_of)
            made = Publication.of(run, current.revision + 1 if current else 1, now)
            self._prepare(made, scores, quarantine)
            if restate and current is not None:
                duplicate(self._scores(run.as_of), self._kept(run.as_of, current.revision))
            place(hidden(self._scores(run.as_of)), self._scores(run.as_of))
            self._settle(run.as_of)
            return made

    def _prepare(self, made: Publication, scores: Path, quarantine: Path | None) -> None:
        """Write everything that the new list consists of, nothing of it visible yet."""
        self._write(scores, COLUMNS, self._scores(made.as_of))
        if quarantine is not None:
            self._write(quarantine, QUARANTINE, self._quarantine(made.as_of))
        note = {"publication": made.record(), "quarantine": quarantine is not None}
        place_text(json.dumps(note), self._pending(made.as_of))

    def _write(self, source: Path, schema: pa.Schema, target: Path) -> None:
        make_folder(target.parent)
        write(source, schema, hidden(target), self._format)
        synced(hidden(target))
        synced(target.parent)

    def _settle(self, day: date) -> None:
        """Complete what is visible, and clear away what never became so."""
        note = self._landed(day)
        if note is not None:
            self._settle_quarantine(day, expected=note["quarantine"])
            past = [publication.record() for publication in self._history(day)]
            place_text(json.dumps({"publications": past}, indent=1) + "\n", self._journal(day))
        remove(self._pending(day))  # first: without its hidden file it would tell of a list that landed
        for file in (self._scores(day), self._quarantine(day)):
            remove(hidden(file))
        current = self._current(day)
        for kept in self._kept_revisions(day):
            if current is None or kept >= current.revision:  # of a run that died before its list landed
                remove(self._kept(day, kept).parent)

    def _settle_quarantine(self, day: date, *, expected: bool) -> None:
        target = self._quarantine(day)
        if not expected:
            remove(target)
        elif hidden(target).exists():
            place(hidden(target), target)

    def _landed(self, day: date) -> dict[str, Any] | None:
        """What a run noted that moved its list into place, but has not entered it into the journal."""
        try:
            note: dict[str, Any] = json.loads(self._pending(day).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return None if hidden(self._scores(day)).exists() else note

    def _refuse_strangers(self, day: date) -> None:
        """Readers take every visible file for a part of the list."""
        mine = {self._scores(day).name, self._quarantine(day).name}
        for folder in (self._scores(day).parent, self._quarantine(day).parent):
            for path in folder.glob("[!._]*"):
                if path.name not in mine:
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
        files = [(past, self._kept(past.as_of, past.revision)) for past in published[:-1]]
        files += [(past, self._scores(past.as_of)) for past in published[-1:]]
        return [
            (past, {name: ({"as_of": past.as_of} | row)[name] for name in SCORES.names})
            for past, path in files
            if path.exists()
            for row in rows(path, COLUMNS, customer_id)
        ]

    def _kept_revisions(self, day: date) -> list[int]:
        folder = self._folder / "superseded" / f"as_of={day}"
        return [int(path.name.partition("=")[2]) for path in folder.glob("revision=*")]

    def _kept(self, day: date, revision: int) -> Path:
        folder = self._folder / "superseded" / f"as_of={day}" / f"revision={revision}"
        return folder / f"scores.{self._format}"

    def _scores(self, day: date) -> Path:
        return self._folder / "scores" / f"as_of={day}" / f"scores.{self._format}"

    def _quarantine(self, day: date) -> Path:
        return self._folder / "quarantine" / f"as_of={day}" / f"quarantine.{self._format}"

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

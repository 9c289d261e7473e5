"""Publishes to Delta tables in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa

from churnlab.data.readers.delta import UNBEARABLE
from churnlab.errors import SinkError, TryLaterError
from churnlab.operations.scoring import SCORES
from churnlab.operations.sinks.delta_table import PartitionedTable
from churnlab.operations.sinks.folder import QUARANTINE_FOLDER, SCORES_FOLDER, SUPERSEDED_FOLDER, FolderSink
from churnlab.operations.sinks.lists import dated_schema
from churnlab.operations.sinks.locks import LONGEST_TURN_SECONDS, exclusive
from churnlab.operations.sinks.placing import duplicate, hidden, place, remove
from churnlab.operations.sinks.publication import Publication

REVISION = pa.field("revision", pa.int64())


class DeltaSink(FolderSink):
    """A Sink of three Delta tables, whose journal and manifests are those of a FolderSink.

    scores       the current lists, partitioned by as_of
    quarantine   their refused lines, partitioned by as_of
    superseded   lists kept by --restate, partitioned by as_of and revision

    A new list is visible from the moment that its one commit is in the log of scores, which also bears the
    revision: so the next run, or a reader, can tell how far a killed run came.
    """

    def __init__(self, folder: Path) -> None:
        if find_spec("deltalake") is None:
            raise SinkError(
                '--format: the library for Delta tables is not installed: pip install "churnlab[delta]"'
            )
        super().__init__(folder, "parquet")
        if UNBEARABLE & set(str(self._folder)):
            raise SinkError(
                f"{self.shown}: Delta tables cannot be kept below a name with one of [ ] ^ | %: rename it"
            )
        self._lists_table = PartitionedTable(self._folder / SCORES_FOLDER, SCORES, ["as_of"])
        self._refused_table = PartitionedTable(self._folder / QUARANTINE_FOLDER, dated_schema(), ["as_of"])
        self._kept_table = PartitionedTable(
            self._folder / SUPERSEDED_FOLDER, SCORES.append(REVISION), ["as_of", "revision"]
        )

    def _scores(self, made: Publication) -> Path:
        """Named so that no other list ever takes its place, which readers of earlier versions may read."""
        return self._lists(made.as_of) / _name(made)

    def _quarantine(self, made: Publication) -> Path:
        return self._refused(made.as_of) / _name(made)

    def _land(self, made: Publication) -> None:
        super()._land(made)
        self._commit(self._lists_table, _day(made), [self._scores(made)], made)

    def _has_landed(self, made: Publication) -> bool:
        return self._lists_table.number(_series(made)) == made.revision

    def _settle(self, day: date) -> None:
        note = self._noted(day)
        if note is not None:
            made = Publication.from_record(note["publication"])
            if not self._has_landed(made):
                remove(self._scores(made))
        super()._settle(day)

    def _settle_quarantine(self, made: Publication, expected: bool) -> None:
        target = self._quarantine(made)
        if hidden(target).exists():
            place(hidden(target), target)
        wanted = [target] if expected else []
        if self._refused_table.files(_day(made)) != wanted:
            self._commit(self._refused_table, _day(made), wanted)

    def _keep(self, current: Publication) -> None:
        kept = self._kept(current)
        files = self._files(current, is_current=True)
        for file in files:
            duplicate(file, kept / file.name)
        self._commit(self._kept_table, _revision(current), [kept / file.name for file in files])

    def _drop(self, kept: Path) -> None:
        partition = dict(part.split("=") for part in kept.parts[-2:])
        if self._kept_table.files(partition):
            self._commit(self._kept_table, partition, [])
        super()._drop(kept)

    def _files(self, past: Publication, *, is_current: bool) -> list[Path]:
        if is_current:
            return self._lists_table.files(_day(past))
        return self._kept_table.files(_revision(past))

    def _commit(
        self,
        table: PartitionedTable,
        partition: dict[str, str],
        files: list[Path],
        made: Publication | None = None,
    ) -> None:
        """One process at a time, whatever its date."""
        lock = self._folder / ".locks" / "writing.lock"
        with exclusive(lock, f"{self.shown}: is being written", LONGEST_TURN_SECONDS):
            table.replace(partition, files, (_series(made), made.revision) if made else None)

    def _refuse_strangers(self, made: Publication) -> None:
        for table in (self._lists_table, self._refused_table, self._kept_table):
            table.require_own()

    @contextmanager
    def _told(self) -> Iterator[None]:
        from deltalake.exceptions import CommitFailedError, DeltaError  # noqa: PLC0415 - an extra

        try:
            with super()._told():
                yield
        except CommitFailedError:
            raise TryLaterError(
                f"{self.shown}: another writer changed its tables: run the same command again later"
            ) from None
        except DeltaError:
            raise SinkError(
                f"{self.shown}: a Delta table in it cannot be written or read: check its folders _delta_log "
                "and the disk"
            ) from None


def _name(made: Publication) -> str:
    return f"{made.revision}-{made.sha256[:12]}.parquet"


def _series(made: Publication) -> str:
    return f"churnlab as_of={made.as_of}"


def _day(made: Publication) -> dict[str, str]:
    return {"as_of": str(made.as_of)}


def _revision(made: Publication) -> dict[str, str]:
    return _day(made) | {"revision": str(made.revision)}

"""What was published, and what every place of publication can do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    import pyarrow as pa

    from churnlab.operations.erasure.traces import Hits, Wanted

T = TypeVar("T")


@dataclass(frozen=True)
class RunIdentity:
    """What was scored and by what; equal identities publish equal lists.

    Attributes
    ----------
    as_of
        The date of the list.
    rows
        Customers on it.
    sha256
        Digest of the file of scores.
    """

    as_of: date
    model_version: str
    run_id: str
    data_version: str
    params_version: str
    code_version: str
    rows: int
    sha256: str


@dataclass(frozen=True)
class Publication(RunIdentity):
    """A list that was put in place: the how-manieth of its date, from 1, and when (UTC)."""

    revision: int
    published_at: datetime

    @classmethod
    def of(cls, run: RunIdentity, revision: int, now: datetime) -> Publication:
        """The publication of a run; `now` with any offset."""
        return cls(**asdict(run), revision=revision, published_at=now.astimezone(UTC))

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Publication:
        """From what `record` gave, or from a row with dates and moments."""
        day, moment = record["as_of"], record["published_at"]
        values = {field.name: record[field.name] for field in fields(cls)}
        values["as_of"] = date.fromisoformat(day) if isinstance(day, str) else day
        moment = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        return cls(**values | {"published_at": moment.astimezone(UTC)})

    def record(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self) | {
            "as_of": self.as_of.isoformat(),
            "published_at": self.published_at.isoformat(),
        }

    def is_of(self, run: RunIdentity) -> bool:
        """Whether this is the very list of the run."""
        return all(getattr(self, field.name) == getattr(run, field.name) for field in fields(RunIdentity))


@dataclass(frozen=True)
class Trace:
    """How often the list of a date, or its refused lines, name customers who are looked for.

    Attributes
    ----------
    place
        The file or table, for people.
    unreadable
        Why it could not be searched.
    """

    as_of: date
    place: str
    hits: Hits
    unreadable: str | None = None


class Sink(Protocol):
    """Where the lists of all dates are published: at any moment a reader finds one whole list per date.

    Attributes
    ----------
    shown
        Its name for people and logs, without user and password.
    manifests
        Folder for the manifests of the runs; None where the sink is no folder.
    """

    shown: str
    manifests: Path | None

    def lock(self, day: date) -> AbstractContextManager[None]:
        """Keep other runs from publishing this date; a dead run's lock is free.

        Raises
        ------
        TryLaterError
            A live run holds it; the message says which.
        """

    def publish(
        self, scores: Path, run: RunIdentity, now: datetime, *, restate: bool, quarantine: Path | None
    ) -> Publication:
        """Put the list of `run.as_of` in the place of the date's earlier one, if there is one.

        Parameters
        ----------
        scores
            Parquet file with the columns of `SCORES`, every row of `run.as_of`, every customer once.
        run
            If the current publication is of this very run, nothing is changed.
        now
            Becomes `published_at`.
        restate
            Keep the rows of the earlier list, under its revision.
        quarantine
            Parquet file with the columns of `QUARANTINE`; replaces the date's earlier one, as None does.

        Returns
        -------
        Publication
            The current one of the date.

        Raises
        ------
        TryLaterError
            Another run publishes this date, or the place could not be reached for as long as was tried.
        SinkError
            The place refuses, or the file is not what `run` says.
        """

    def history(self, day: date | None = None) -> list[Publication]:
        """All publications of one date, or of all, by date and revision."""

    def rows_of(self, customer_id: str, day: date) -> list[tuple[Publication, dict[str, Any]]]:
        """What was published of a customer for a date, kept revisions first, the current one last."""

    def read_list(self, day: date, columns: Sequence[str], read: Callable[[pa.RecordBatch], T]) -> list[T]:
        """What `read` makes of these columns of a date's current list, passed a batch at a time.

        In no certain order; empty where there is no list.

        Raises
        ------
        SinkError, TryLaterError
            As `publish`.
        """

    def traces(self, wanted: Wanted) -> list[Trace]:
        """Where lists of all dates, kept revisions and refused lines among them, name customers.

        Raises
        ------
        SinkError, TryLaterError
            As `publish`.
        """

    def among_refused(self, read: Callable[[pa.RecordBatch], set[str]]) -> set[str]:
        """All that `read` finds in the column raw of refused lines, passed a batch at a time."""

    def erase(self, wanted: Wanted, day: date, now: datetime) -> None:
        """Take customers out of the lists of a date, and the text of their refused lines away.

        What the journal says of a publication stays, for it tells which run it was of; how many rows are left
        of it is entered beside that.

        Raises
        ------
        TryLaterError, SinkError
            As `publish`; DataError too, where the sink is a folder that cannot be written.
        """

    def close(self) -> None:
        """Let go of connections."""

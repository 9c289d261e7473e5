"""Everything churnlab raises on purpose.

ChurnlabError            a user can mend it: one line, exit code 2
├── ConfigError          params.yaml: an unknown, missing or out-of-range key
├── DataError            a source cannot be read, or breaks the contract as a whole
├── ModelError           a model cannot be fitted, loaded or applied
├── TrackingError        MLflow cannot be reached or refuses
├── SinkError            scores cannot be published where --sink says
└── TryLaterError        nothing is wrong but the moment: another run, an outage; exit code 75
    ├── SilentError      MLflow does not answer (a TrackingError too)
    └── AwayError        the database of a source is away (a DataError too)
"""

import signal
import traceback
from collections.abc import Iterator


class ChurnlabError(Exception):
    """A mistake the user can mend. The message is one line: what, where, how to mend it."""

    exit_code = 2


def one_line(error: Exception) -> str | None:
    """What to tell of an error that the user can mend; None if it is a mistake of the program."""
    if isinstance(error, ChurnlabError):
        return " ".join(str(error).split())
    if type(error).__name__ == "OutOfMemoryException":  # DuckDB's, by name: it may not have been imported
        return "engine.memory_limit: too little for this source: raise it in the file of parameters"
    return None


def exit_code(error: Exception) -> int:
    """How a process ends that was stopped by an error of which :func:`one_line` tells."""
    return error.exit_code if isinstance(error, ChurnlabError) else ChurnlabError.exit_code


def is_ending() -> bool:
    """Whether SIGTERM is being obeyed: it is ignored from then on. Libraries may turn it into an error."""
    return signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


class ConfigError(ChurnlabError):
    """A key of params.yaml is unknown, missing or out of range."""


class DataError(ChurnlabError):
    """A source cannot be read, or what it holds cannot be used at all."""


class ModelError(ChurnlabError):
    """A model cannot be fitted, loaded or applied to these features."""


class TrackingError(ChurnlabError):
    """The MLflow server or store cannot be reached, or refuses what is asked."""


class SinkError(ChurnlabError):
    """Scores cannot be published where --sink says, whenever it is tried."""


class TryLaterError(ChurnlabError):
    """The same command may succeed later: another run holds the lock, or a server is away."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h


class SilentError(TryLaterError, TrackingError):
    """The MLflow server or store does not answer."""


class AwayError(TryLaterError, DataError):
    """The database of a source cannot be reached at the moment."""


def quotes_data(error: BaseException) -> bool:
    """Whether the message of a defect, or of what led to it, may hold cells of a table.

    Libraries put keys and values into theirs, and so do Python's own errors of value and key.
    """
    return any(
        type(one).__module__ != "builtins" or isinstance(one, ValueError | LookupError)
        for one in _chain(error)
    )


def withheld(error: BaseException) -> str:
    """The traceback of a defect for a log that must name no customer: where it arose, without any message."""
    where = "".join(traceback.format_tb(error.__traceback__))
    kinds = " from ".join(type(one).__name__ for one in _chain(error))
    return (
        f"{where}{kinds}: a defect of churnlab; the message is withheld, for it may quote customers' data\n"
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)

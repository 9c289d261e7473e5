"""What databases in one file share: where they are, and the locks beside them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path

from churnlab.operations.sinks.databases import DatabaseSink
from churnlab.operations.sinks.locks import publishing
from churnlab.operations.sinks.retrying import Patience


class DatabaseFileSink(DatabaseSink):
    """A Sink in one file."""

    def __init__(self, path: Path, shown: str, patience: Patience) -> None:
        super().__init__(shown, patience)
        self._path = path.absolute()

    def _exclusively(self, day: date) -> AbstractContextManager[None]:
        return publishing(self._path, self.shown, day)

    def _is_there(self) -> bool:
        return self._path.exists()

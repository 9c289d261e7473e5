"""A Delta table whose partitions are replaced, each by files that are written already, in one commit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from churnlab.data.readers import delta
from churnlab.errors import SinkError
from churnlab.operations.sinks.placing import synced

if TYPE_CHECKING:
    from deltalake import DeltaTable

Partition = Mapping[str, str]
"""Values of the columns that the table is partitioned by."""

# Nobody's id in the log: it keeps the least and the greatest value of a column that it has an index of.
CONFIGURATION = {"delta.dataSkippingNumIndexedCols": "0"}


class PartitionedTable:
    """A Delta table in a folder, made with the first commit.

    Parameters
    ----------
    folder
        Of the table.
    schema
        Of its rows, the columns of the partitions included.
    keys
        Those columns. They are not in the files.
    """

    def __init__(self, folder: Path, schema: pa.Schema, keys: Sequence[str]) -> None:
        self.folder = folder
        self._schema = schema
        self._keys = list(keys)

    def files(self, partition: Partition) -> list[Path]:
        """Those that hold the rows of a partition now."""
        if not delta.is_table(self.folder):
            return []
        table = pa.table(self._opened().get_add_actions(flatten=True))
        return sorted(
            self.folder / unquote(action["path"])
            for action in table.to_pylist()
            if all(str(action[f"partition.{key}"]) == value for key, value in partition.items())
        )

    def number(self, series: str) -> int | None:
        """The one that the newest commit of the series bore; None: there is no commit."""
        return self._opened().transaction_version(series) if delta.is_table(self.folder) else None

    def replace(
        self, partition: Partition, files: Sequence[Path], mark: tuple[str, int] | None = None
    ) -> None:
        """Make these files, which lie in the folder of the partition, all that it has.

        The files that they replace stay for the readers of earlier versions, for a week at least.

        Parameters
        ----------
        mark
            A series and a number, kept with the commit: see :meth:`number`.
        """
        from deltalake import CommitProperties, Transaction  # noqa: PLC0415 - an extra

        marks = None if mark is None else [Transaction(*mark)]
        self._created().create_write_transaction(
            [self._added(file, partition) for file in files],
            "overwrite",
            self._schema,
            self._keys,
            [(key, "=", value) for key, value in partition.items()],
            commit_properties=CommitProperties(app_transactions=marks),
        )
        table = self._opened()
        log = self.folder / delta.LOG
        for path in (log / f"{table.version():020}.json", log, self.folder):
            synced(path)
        table.vacuum(dry_run=False)

    def require_own(self) -> None:
        """Refuse a folder that others use.

        Raises
        ------
        SinkError
            It holds another table, or other files.
        """
        if delta.is_table(self.folder):
            table = self._opened()
            found = [field.name for field in table.schema().fields]
            if found != self._schema.names or table.metadata().partition_columns != self._keys:
                raise SinkError(f"{self.folder}: is another Delta table: choose another folder")
            return
        for path in self.folder.rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                raise SinkError(
                    f"{path}: is none of this sink's files: move it away or choose another folder"
                )

    def _opened(self) -> DeltaTable:
        from deltalake import DeltaTable  # noqa: PLC0415 - an extra

        return DeltaTable(self.folder)

    def _created(self) -> DeltaTable:
        from deltalake import DeltaTable  # noqa: PLC0415 - an extra

        return DeltaTable.create(
            self.folder,
            self._schema,
            mode="ignore",
            partition_by=self._keys,
            configuration=CONFIGURATION,
        )

    def _added(self, file: Path, partition: Partition) -> Any:
        from deltalake.transaction import AddAction  # noqa: PLC0415 - an extra

        found = file.stat()
        return AddAction(
            path=file.relative_to(self.folder).as_posix(),
            size=found.st_size,
            partition_values=dict(partition),
            modification_time=found.st_mtime_ns // 1_000_000,
            data_change=True,
            stats=json.dumps({"numRecords": pq.read_metadata(file).num_rows}),
        )

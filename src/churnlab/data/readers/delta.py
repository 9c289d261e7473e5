"""Finds the Parquet files that hold the rows of a Delta Lake table as it is now."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from churnlab.errors import ConfigError, DataError

LOG = "_delta_log"
UNBEARABLE = frozenset("[]^|%")
"""delta-rs takes % for an escape, and stops the whole process at a path with one of the others."""

PLAIN = {
    "timestampNtz",
    "vacuumProtocolCheck",
    "v2Checkpoint",
    "variantType",
    "typeWidening",
    "deletionVectors",
}
"""Features of tables whose files are read as any other Parquet file, as long as no row is marked in them."""


def is_table(folder: Path) -> bool:
    """Whether the folder is a Delta table."""
    return (folder / LOG).is_dir()


def live_files(folder: Path) -> list[Path]:
    """The files of the newest version. Those of deleted and rewritten rows are not among them.

    Raises
    ------
    ConfigError
        The reader of Delta tables is not installed.
    DataError
        The folder is no Delta table, its log is damaged, or its files alone do not tell its rows.
    """
    name = folder.name
    if not is_table(folder):
        raise DataError(f"{name}: is no Delta table (it has no {LOG}): name its folder in data.path")
    if find_spec("deltalake") is None:
        raise ConfigError(
            f'{name}: is a Delta table, whose reader is not installed: pip install "churnlab[delta]"'
        )
    from deltalake import DeltaTable  # noqa: PLC0415 - an extra
    from deltalake.exceptions import DeltaError  # noqa: PLC0415

    if UNBEARABLE & set(str(folder)):
        raise DataError(f"{name}: Delta tables cannot be read below a name with one of [ ] ^ | %: rename it")
    try:
        table = DeltaTable(folder)
        _require_plain(table, name)
        places = pa.table(table.get_add_actions())["path"].to_pylist()
    except (DeltaError, OSError) as error:
        raise DataError(
            f"{name}: the log of this Delta table cannot be read: check its folder {LOG}"
        ) from error
    if any("://" in place for place in places):
        raise DataError(f"{name}: files of this Delta table lie outside its folder: copy it whole")
    return [folder / unquote(place) for place in places]


def _require_plain(table: Any, name: str) -> None:
    features = set(table.protocol().reader_features or ())
    mapped = table.metadata().configuration.get("delta.columnMapping.mode", "none") != "none"
    if features - PLAIN or mapped:
        odd = ", ".join(sorted(features - PLAIN)) or "columnMapping"
        raise DataError(
            f"{name}: this Delta table uses {odd}, which cannot be read from its files: write it anew without"
        )
    if pa.RecordBatchReader.from_stream(table.deletion_vectors()).read_all().num_rows:
        raise DataError(
            f"{name}: rows of this Delta table are marked as deleted within its files: rewrite them first, "
            "with REORG TABLE ... APPLY (PURGE)"
        )

"""Where Ibis connects, and the one way tables reach the disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from churnlab.config import Engine
from churnlab.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow.compute as pc
    from ibis.backends.duckdb import Backend


ROWS_PER_GROUP = 1_048_576  # as pyarrow cuts a table that it is given whole
ROWS_PER_CHUNK = 122_880  # as DuckDB cuts one: pages end where a chunk does


def connect(settings: Engine) -> Backend:
    """An in-memory DuckDB with the given thread and memory limits, or a session of Spark.

    Raises
    ------
    ConfigError
        Spark is asked for and does not start.
    TryLaterError
        Nobody answers at engine.spark_master.
    """
    if settings.backend == "spark":
        return _spark(settings)
    import ibis  # noqa: PLC0415 - Ibis is slow to import; `churnlab --help` does without

    return ibis.duckdb.connect(
        threads=settings.threads,
        memory_limit=settings.memory_limit.replace(" ", ""),
        temp_directory=str(Path(tempfile.gettempdir()) / f"churnlab-{os.getpid()}"),
        preserve_insertion_order=True,
    )


@contextmanager
def steps_left_apart() -> Iterator[None]:
    """Ibis may not join the steps of an expression into one: for many steps that takes longer than the rest.

    The engine joins them itself: to read a million lines of text takes as long either way.
    """
    import ibis  # noqa: PLC0415 - as above

    joined = ibis.options.sql.fuse_selects
    ibis.options.sql.fuse_selects = False
    try:
        yield
    finally:
        ibis.options.sql.fuse_selects = joined


def _spark(settings: Engine) -> Backend:
    from churnlab.spark.session import session  # noqa: PLC0415 - an extra

    own = session(settings)
    from churnlab.spark.backend import connected  # noqa: PLC0415 - there only if PySpark is

    return connected(own)


def write_parquet(table: pd.DataFrame | pa.Table | pa.RecordBatchReader, path: Path) -> None:
    """Write a table so that a reader sees the old file or the new one, and equal rows give equal bytes.

    Library versions that pandas would record in the file are left out. Of a reader of record batches, one
    row group is in memory at a time.
    """
    if isinstance(table, pa.RecordBatchReader):
        write_atomically(path, lambda temporary: _write_batches(table, temporary))
        return
    if not isinstance(table, pa.Table):
        table = pa.Table.from_pandas(table, preserve_index=False)
    table = table.replace_schema_metadata(None)
    write_atomically(path, lambda temporary: pq.write_table(table, temporary, compression="zstd"))


def _write_batches(batches: pa.RecordBatchReader, path: Path) -> None:
    schema = batches.schema.remove_metadata()
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in _row_groups(batches):
            chunks = group.combine_chunks().to_batches(max_chunksize=ROWS_PER_CHUNK)
            table = pa.Table.from_batches(chunks, group.schema).replace_schema_metadata(None)
            writer.write_table(table, row_group_size=ROWS_PER_GROUP)


def _row_groups(batches: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """Tables of ROWS_PER_GROUP rows and one of the rest, whatever the batches; at least one."""
    table = batches.schema.empty_table()
    for batch in batches:
        table = pa.concat_tables([table, pa.Table.from_batches([batch])])
        while len(table) > ROWS_PER_GROUP:
            yield table.slice(0, ROWS_PER_GROUP)
            table = table.slice(ROWS_PER_GROUP)
    yield table


def write_text(text: str, path: Path) -> None:
    """Write UTF-8 text so that a reader sees the old file or the new one."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_atomically(path: Path, write: Any) -> None:
    """Let `write` fill a temporary neighbour of `path`, then move it into place."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):  # what could not be written may not be removable either
            temporary.unlink(missing_ok=True)
        raise DataError(
            f"{path}: cannot be written ({cause(error)}): check the folder and the disk"
        ) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def cause(error: OSError) -> str:
    """What the system says of it; Arrow's own words tell the number only."""
    return os.strerror(error.errno) if error.errno else str(error)


def read_parquet(
    path: Path, columns: Sequence[str] | None = None, rows: pc.Expression | None = None
) -> pd.DataFrame:
    """Read one Parquet file into pandas.

    Parameters
    ----------
    columns
        Those to read, in the file's order; one that the file lacks is left out. None: all.
    rows
        Which rows to read; the file is passed through piece by piece. None: all.

    Raises
    ------
    DataError
        The file is missing or damaged.
    """
    try:
        kept = [name for name in pq.read_schema(path).names if columns is None or name in columns]
        return pq.read_table(path, columns=kept, filters=rows).to_pandas()
    except FileNotFoundError as error:
        raise DataError(f"{path}: is not there: run the stage that writes it (dvc repro)") from error
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: is damaged: run the stage that writes it again") from error

"""Files for the time of a connection."""

from __future__ import annotations

import glob
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from churnlab.engine import cause
from churnlab.errors import DataError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.duckdb import Backend


def place(con: Backend) -> Path:
    """A place for one Parquet file, which goes when the connection does."""
    folder = tempfile.mkdtemp(prefix="churnlab-")
    weakref.finalize(con, shutil.rmtree, folder, ignore_errors=True)
    return Path(folder) / "rows.parquet"


def read(con: Backend, paths: list[Path]) -> ir.Table:
    """The rows of files that churnlab wrote."""
    return con.read_parquet([glob.escape(str(path)) for path in paths], hive_partitioning=False)


def kept(con: Backend, table: ir.Table) -> ir.Table:
    """The rows of an expression, computed once and kept in their order outside memory.

    Raises
    ------
    DataError
        The folder of temporary files cannot be written.
    """
    try:
        target = place(con)
        con.to_parquet(table, target)
    except OSError as error:
        raise not_written(cause(error)) from error
    except duckdb.IOException as error:
        said = str(error).splitlines()[0]
        if target.parent.name not in said:  # of reading: whoever reads tells it
            raise
        raise not_written(said.rpartition(": ")[2]) from error
    return read(con, [target])


def not_written(why: str) -> DataError:
    """What to say where the folder of temporary files is full, or not ours."""
    return DataError(
        f"{tempfile.gettempdir()}: cannot be written ({why}): free space there, or name another "
        "folder in the environment variable TMPDIR"
    )

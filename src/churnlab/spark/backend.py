"""The Ibis backend for Spark, with DuckDB's temporary tables and Parquet options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends import pyspark
from ibis.backends.duckdb.converter import DuckDBPandasData
from ibis.backends.pyspark.datatypes import PySparkType
from ibis.formats.pyarrow import PyArrowSchema
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import TimestampNTZType, TimestampType

from churnlab.spark.dialect import compiler
from churnlab.spark.faults import told
from churnlab.spark.functions import registered
from churnlab.spark.streaming import batches, cut

MOMENTS = {
    TimestampNTZType: dt.Timestamp(scale=6),
    TimestampType: dt.Timestamp(timezone="UTC", scale=6),
}
HADOOP_SPECIAL = re.compile(r"([\\*?\[\]{},])")


class Backend(pyspark.Backend):  # type: ignore[misc]
    """Ibis on a Spark session.

    Tables are temporary views of persisted frames: nothing is written into a warehouse, and all goes with
    the session.
    """

    compiler = compiler

    @cached_property
    def con(self) -> duckdb.DuckDBPyConnection:
        """DuckDB, which judges time zones and patterns of dates for Spark as well."""
        return duckdb.connect()

    def create_table(self, name: str, /, obj: Any = None, *, schema: Any = None, **_options: Any) -> ir.Table:
        """A table for the time of the session, of an expression or an Arrow table, or empty."""
        if isinstance(obj, ir.Table):
            frame = self.frame(obj).persist()
        else:
            rows = PyArrowSchema.from_ibis(ibis.schema(schema)).empty_table() if obj is None else obj
            if not isinstance(rows, pa.Table):
                rows = pa.Table.from_pandas(rows, preserve_index=False)
            frame = self._session.createDataFrame(rows, self.schema_of(rows.schema))
        frame.createOrReplaceTempView(name)
        return self.table(name)

    def get_schema(self, name: str, /, **_place: Any) -> Any:
        """Moments and instants to the microsecond, as DuckDB has them."""
        fields = self._session.table(name).schema.fields
        kinds = {field.name: MOMENTS.get(type(field.dataType)) for field in fields}
        return ibis.schema(
            {field.name: kinds[field.name] or PySparkType.to_ibis(field.dataType) for field in fields}
        )

    def frame(self, table: ir.Table) -> Any:
        """The expression as a Spark DataFrame."""
        self._run_pre_execute_hooks(table)
        return self._session.sql(self.compile(table))

    def schema_of(self, schema: pa.Schema) -> Any:
        """Arrow's schema as Spark's."""
        return from_arrow_schema(schema, prefer_timestamp_ntz=True)

    def table_of(self, frame: Any) -> ir.Table:
        """A Spark DataFrame as a table of this backend."""
        name = ibis.util.gen_name("frame")
        frame.createOrReplaceTempView(name)
        return self.table(name)

    def read_parquet(
        self,
        path: Any,
        /,
        *,
        table_name: str | None = None,
        filename: str | None = None,
        file_row_number: bool = False,
        **_options: Any,
    ) -> ir.Table:
        """One table of all files; paths are DuckDB's glob patterns.

        Parameters
        ----------
        filename
            Name of a column with the path of each row's file.
        file_row_number
            Adds a column of that name: the row's place in its file, from 0.
        """
        paths = [path] if isinstance(path, str | Path) else list(path)
        with told():
            frame = self._session.read.parquet(*(_hadoop_path(str(one)) for one in paths))
        added = {}
        if filename is not None:
            plain = "regexp_replace(replace(_metadata.file_path, '+', '%2B'), '^file:(//)?', '')"
            added[filename] = f"url_decode({plain})"
        if file_row_number:
            added["file_row_number"] = "_metadata.row_index"
        frame = frame.selectExpr("*", *(f"{of} AS `{name}`" for name, of in added.items()))
        name = table_name or ibis.util.gen_name("read_parquet")
        frame.createOrReplaceTempView(name)
        return self.table(name)

    def to_pyarrow(self, expr: ir.Expr, /, *, params: Any = None, limit: Any = None, **options: Any) -> Any:
        """By Arrow from end to end: by way of pandas a column of whole numbers with nulls becomes floats."""
        table = expr.as_table()
        self._run_pre_execute_hooks(table)
        with told():
            rows = self._session.sql(self.compile(table, params=params, limit=limit, **options)).toArrow()
        return expr.__pyarrow_result__(rows.cast(PyArrowSchema.from_ibis(table.schema())))

    def to_pyarrow_batches(
        self,
        expr: ir.Expr,
        /,
        *,
        params: Any = None,
        limit: Any = None,
        chunk_size: int = 1_000_000,
        **options: Any,
    ) -> pa.RecordBatchReader:
        """So many rows at a time; what does not fit into memory as a whole stays on the workers."""
        table = expr.as_table()
        self._run_pre_execute_hooks(table)
        frame = self._session.sql(self.compile(table, params=params, limit=limit, **options))
        schema = PyArrowSchema.from_ibis(table.schema())
        return pa.RecordBatchReader.from_batches(schema, cut(batches(frame), schema, chunk_size))

    def execute(
        self, expr: ir.Expr, /, *, params: Mapping[Any, Any] | None = None, limit: Any = None, **options: Any
    ) -> Any:
        """As pandas, in the types that DuckDB gives."""
        table = expr.as_table()
        rows = self.to_pyarrow(table, params=params, limit=limit, **options)
        frame = DuckDBPandasData.convert_table(rows.to_pandas(), table.schema())
        return expr.__pandas_result__(frame)

    def to_parquet(self, expr: ir.Table, /, path: Any, **_options: Any) -> None:
        """One local file, as DuckDB writes it."""
        pq.write_table(self.to_pyarrow(expr), path, compression="zstd")


def connected(session: Any) -> Backend:
    """The backend of a Spark session."""
    Backend.register_options()
    con = Backend()
    con.do_connect(session)
    registered(session)
    return con


def _hadoop_path(pattern: str) -> str:
    """DuckDB's `[*]` as Hadoop's `\\*`: a plain path, whatever signs are in it."""
    plain = re.sub(r"\[([*?\[])\]", r"\1", pattern)
    return HADOOP_SPECIAL.sub(r"\\\1", plain)

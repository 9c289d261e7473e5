"""One list as one file, Parquet or CSV: writes it in a stream, finds a customer in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from churnlab.operations.sinks.csv_files import as_written, safe_cell, stream_csv
from churnlab.operations.sinks.lists import BATCH_ROWS, batches

FileFormat = Literal["parquet", "csv"]


def write(source: Path, schema: pa.Schema, target: Path, file_format: FileFormat) -> None:
    """Write the columns of `schema` of a Parquet file to `target`; equal rows give equal bytes.

    Raises
    ------
    OSError
        The disk is full, or the file cannot be written.
    """
    if file_format == "csv":
        stream_csv(batches(source, schema), schema, target)
        return
    with pq.ParquetWriter(target, schema, compression="zstd") as file:
        for batch in batches(source, schema):
            file.write_batch(batch, row_group_size=BATCH_ROWS)


def rows(path: Path, schema: pa.Schema, customer_id: str) -> list[dict[str, Any]]:
    """The rows of a customer, as they were before they were written.

    In CSV, an id that a spreadsheet would run stands behind an apostrophe, as does the id that begins with
    that apostrophe itself: asked for either, both are found.
    """
    if path.suffix == ".parquet":
        held = ds.dataset(path, format="parquet", partitioning=None)
        return held.to_table(filter=ds.field("customer_id") == customer_id).select(schema.names).to_pylist()
    cell = safe_cell(customer_id)
    found = (batch.filter(pc.equal(batch["customer_id"], cell)) for batch in _csv_batches(path, schema))
    return [
        _as_scored(row, schema) | {"customer_id": customer_id} for batch in found for row in batch.to_pylist()
    ]


def narrow(path: Path, schema: pa.Schema, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Some columns of a list, a batch at a time; in CSV, ids without the apostrophe that keeps them safe."""
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            yield from (
                batch.select(columns) for batch in file.iter_batches(BATCH_ROWS, columns=list(columns))
            )
        return
    for batch in _csv_batches(path, schema):
        place = batch.schema.get_field_index("customer_id")
        ids = pa.array(map(as_written, batch["customer_id"].to_pylist()), pa.string())
        yield batch.set_column(place, "customer_id", ids).select(columns)


def count(path: Path, schema: pa.Schema) -> int:
    """How many rows a file has."""
    if path.suffix == ".parquet":
        return pq.read_metadata(path).num_rows
    return sum(len(batch) for batch in _csv_batches(path, schema))


def raw_lines(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The column raw of a file of refused lines."""
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(BATCH_ROWS, columns=["raw"])
    else:
        yield from (batch.select(["raw"]) for batch in _csv_batches(path, schema))


def _csv_batches(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    types = {field.name: pa.string() if pa.types.is_list(field.type) else field.type for field in schema}
    yield from pa_csv.open_csv(
        path,
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types=types, strings_can_be_null=False, quoted_strings_can_be_null=True, null_values=[""]
        ),
    )


def _as_scored(row: dict[str, Any], schema: pa.Schema) -> dict[str, Any]:
    return {field.name: _cell(row[field.name], field.type) for field in schema}


def _cell(value: Any, kind: pa.DataType) -> Any:
    value = as_written(value) if isinstance(value, str) else value
    return json.loads(value) if pa.types.is_list(kind) and value is not None else value

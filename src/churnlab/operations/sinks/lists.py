"""Reads a finished list batch by batch, in the shape that a place of publication stores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from churnlab.errors import SinkError
from churnlab.operations.scoring import SCORES
from churnlab.operations.sinks.publication import RunIdentity

BATCH_ROWS = 65_536
QUARANTINE = pa.schema(
    {
        "table": pa.string(),
        "source_file": pa.string(),
        "source_row": pa.int64(),
        "reason": pa.string(),
        "column": pa.string(),
        "detail": pa.string(),
        "raw": pa.string(),
    }
)


def check(scores: Path, run: RunIdentity) -> None:
    """Hold a file of scores against the run that it is said to be of.

    Raises
    ------
    SinkError
        It cannot be read, lacks a column, or has other rows or dates.
    """
    try:
        file = pq.ParquetFile(scores)
        missing = [name for name in SCORES.names if name not in file.schema_arrow.names]
        if missing:
            raise SinkError(f"{scores}: has no column {missing[0]}: score again")
        days = {day for batch in file.iter_batches(columns=["as_of"]) for day in batch["as_of"].unique()}
    except (OSError, pa.ArrowInvalid):
        raise SinkError(f"{scores}: cannot be read as Parquet: score again") from None
    if file.metadata.num_rows != run.rows or {day.as_py() for day in days} - {run.as_of}:
        raise SinkError(f"{scores}: is not the list of {run.rows} customers as of {run.as_of}: score again")


def batches(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The columns of `schema`, a bounded number of rows at a time."""
    for batch in pq.ParquetFile(path).iter_batches(BATCH_ROWS, columns=schema.names):
        yield batch.select(schema.names).cast(schema)


def stored_schema(schema: pa.Schema, *, dates_as_text: bool) -> pa.Schema:
    """A schema as databases keep it: lists as JSON; dates as ISO text where there is no type for them."""
    return pa.schema([(field.name, _stored_type(field.type, dates_as_text)) for field in schema])


def stored(path: Path, schema: pa.Schema, *, dates_as_text: bool) -> pa.RecordBatchReader:
    """The rows of a file in the shape of `stored_schema`."""
    target = stored_schema(schema, dates_as_text=dates_as_text)
    return pa.RecordBatchReader.from_batches(
        target, (_stored(batch, target) for batch in batches(path, schema))
    )


def dated(path: Path, day: date, *, dates_as_text: bool) -> pa.RecordBatchReader:
    """The rows of a quarantine, each with the date of its list before the other columns."""
    target = stored_schema(dated_schema(), dates_as_text=dates_as_text)
    value = pa.scalar(day, pa.date32()).cast(target.field("as_of").type)
    return pa.RecordBatchReader.from_batches(
        target,
        (
            pa.record_batch([pa.repeat(value, len(batch)), *batch.columns], schema=target)
            for batch in batches(path, QUARANTINE)
        ),
    )


def dated_schema() -> pa.Schema:
    """The quarantine of all dates as one table."""
    return QUARANTINE.insert(0, pa.field("as_of", pa.date32()))


def _stored_type(kind: pa.DataType, dates_as_text: bool) -> pa.DataType:
    as_text = pa.types.is_list(kind) or (dates_as_text and pa.types.is_date(kind))
    return pa.string() if as_text else kind


def _stored(batch: pa.RecordBatch, target: pa.Schema) -> pa.RecordBatch:
    columns = [
        _as_json(column) if pa.types.is_list(column.type) else pc.cast(column, field.type)
        for column, field in zip(batch.columns, target, strict=True)
    ]
    return pa.record_batch(columns, schema=target)


def _as_json(lists: pa.Array) -> pa.Array:
    return pa.array(
        [None if value is None else json.dumps(value, ensure_ascii=False) for value in lists.to_pylist()],
        pa.string(),
    )

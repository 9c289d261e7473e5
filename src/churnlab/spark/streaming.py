"""Rows of a Spark DataFrame on their way to the driver, a partition at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from churnlab.spark.faults import told


def batches(frame: Any) -> Iterator[pa.RecordBatch]:
    """The rows in their order; the driver holds those of one partition."""
    with told():
        for row in frame.mapInArrow(_packed, "batch binary").toLocalIterator():
            with pa.ipc.open_stream(row["batch"]) as packed:
                yield from packed


def _packed(rows: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Each batch as one cell: what passes cells to the driver knows no Arrow."""
    for batch in rows:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        yield pa.record_batch({"batch": [sink.getvalue().to_pybytes()]})


def cut(arriving: Iterable[pa.RecordBatch], schema: pa.Schema, rows: int) -> Iterator[pa.RecordBatch]:
    """The same rows in the types of `schema`, so many in every batch but the last."""
    held: list[pa.RecordBatch] = []
    for batch in arriving:
        held.append(batch.cast(schema))
        while (count := sum(map(len, held))) >= rows:
            kept = len(held[-1]) - (count - rows)
            yield pa.concat_batches([*held[:-1], held[-1].slice(0, kept)])
            held = [held[-1].slice(kept)]
    if any(map(len, held)):
        yield pa.concat_batches(held)

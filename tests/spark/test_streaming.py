"""Rows on their way to the driver. Authority: the same rows gathered at once."""

from __future__ import annotations

import ibis
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from churnlab.spark.streaming import cut

SCHEMA = pa.schema({"n": pa.int64()})


@given(sizes=st.lists(st.integers(0, 7), max_size=9), rows=st.integers(1, 9))
def test_batches_are_cut_to_size_and_no_row_is_lost(sizes, rows):
    count = sum(sizes)
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    arriving = [
        pa.record_batch({"n": pa.array(range(start, start + size), pa.int32())})
        for start, size in zip(starts, sizes, strict=True)
    ]
    found = list(cut(arriving, SCHEMA, rows))
    assert [n for batch in found for n in batch["n"].to_pylist()] == list(range(count))
    assert [len(batch) for batch in found] == [rows] * (count // rows) + [count % rows] * bool(count % rows)
    assert all(batch.schema == SCHEMA for batch in found)


def test_a_sorted_table_streams_in_its_order_and_types(spark):
    """More rows than one of Spark's own batches has, in more than one partition."""
    numbers = spark.create_table("numbers", pa.table({"n": [n * 7 % 25_000 for n in range(25_000)]}))
    moment = ibis.literal("2024-01-01").cast("timestamp")
    table = numbers.mutate(name=numbers.n.cast("string"), at=moment, gap=ibis.null("int64")).order_by("n")
    with table.to_pyarrow_batches(chunk_size=12_000) as arriving:
        found = list(arriving)
    assert [len(batch) for batch in found] == [12_000, 12_000, 1_000]
    assert pa.Table.from_batches(found).equals(table.to_pyarrow())


def test_a_table_without_rows_streams_nothing(spark):
    empty = spark.create_table("nothing", schema={"n": "int64"})
    assert empty.to_pyarrow_batches().read_all().equals(SCHEMA.empty_table())

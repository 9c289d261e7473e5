"""Describes customers on Spark's workers, each customer's days together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from churnlab.features.histories import whole_customers

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd


def is_on_spark(table: ir.Table) -> bool:
    """Whether Spark works the table out."""
    return bool(table.get_backend().name == "pyspark")


def mapped_by_customer(
    days: ir.Table, describe: Callable[[pa.Table], pd.DataFrame], names: Sequence[str]
) -> ir.Table:
    """What `describe` makes of customers' days, a few thousand rows at a time.

    Parameters
    ----------
    days
        A table on Spark, with customer_id and day.
    describe
        Called on a worker, where churnlab has to be installed, with all rows of some customers, sorted by
        customer_id and day; gives customer_id and float64 columns of those names.
    """
    con = days.get_backend()
    schema = pa.schema([("customer_id", pa.string()), *((name, pa.float64()) for name in names)])

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for rows in whole_customers(batches):
            yield from pa.Table.from_pandas(describe(rows), schema, preserve_index=False).to_batches()

    together = con.frame(days).repartition("customer_id").sortWithinPartitions("customer_id", "day")
    return con.table_of(together.mapInArrow(work, con.schema_of(schema)))

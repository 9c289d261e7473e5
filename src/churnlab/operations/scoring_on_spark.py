"""Applies the packaged model on Spark's workers, partition by partition."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from churnlab.models.scorer import Scorer

if TYPE_CHECKING:
    import ibis.expr.types as ir

Files = tuple[tuple[str, bytes], ...]
"""Names and contents of the files of a packaged model."""

CUSTOMERS_PER_PARTITION = 20_000
Apply = Callable[[pd.DataFrame, Scorer], pa.Table]


def mapped(rows: ir.Table, scorer: Scorer, apply: Apply, schema: pa.Schema) -> ir.Table:
    """What `apply` makes of the rows, so many at a time.

    Parameters
    ----------
    rows
        A table on Spark; no row may need another, for they are cut anywhere.
    scorer
        Each worker loads it once, from the files that :meth:`Scorer.save` writes.
    apply
        Called on a worker, where churnlab has to be installed.
    schema
        Of what `apply` gives.
    """
    con = rows.get_backend()
    files = packed(scorer)

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.num_rows:
                yield from apply(_frame(batch), unpacked(files)).to_batches()

    return con.table_of(con.frame(rows).mapInArrow(work, con.schema_of(schema)))


def in_order(scores: ir.Table, customers: int) -> ir.Table:
    """The rows sorted by customer_id, in partitions that the driver can gather one by one.

    A plain sort would have as few partitions as Spark likes, and the driver would hold each as a whole.
    """
    con = scores.get_backend()
    partitions = -(-customers // CUSTOMERS_PER_PARTITION)
    ranges = con.frame(scores).repartitionByRange(max(partitions, 1), "customer_id")
    return con.table_of(ranges.sortWithinPartitions("customer_id"))


def packed(scorer: Scorer) -> Files:
    """The model as the content of its files."""
    with TemporaryDirectory(prefix="churnlab-") as folder:
        scorer.save(Path(folder))
        return tuple((file.name, file.read_bytes()) for file in sorted(Path(folder).iterdir()))


@lru_cache(maxsize=2)
def unpacked(files: Files) -> Scorer:
    """The inverse of :func:`packed`; a worker that goes on to the next partition has it already."""
    with TemporaryDirectory(prefix="churnlab-") as folder:
        for name, content in files:
            (Path(folder) / name).write_bytes(content)
        return Scorer.load(Path(folder))


def _frame(batch: pa.RecordBatch) -> Any:
    """In the types that a snapshot has."""
    return batch.to_pandas().astype({"customer_id": "str"})

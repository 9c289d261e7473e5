"""Customers by ranges of their ids, so that as many are worked on at a time as memory bears."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

if TYPE_CHECKING:
    import ibis.expr.types as ir

Bucket = tuple[str, str]


def customer_buckets(table: ir.Table, customers: int) -> list[Bucket]:
    """The first and the last id of every so many customers, in ascending order; each customer is in one.

    Parameters
    ----------
    table
        customer_id, any number of rows each. Ids are compared by their code points.
    customers
        In a bucket, at most.
    """
    ids = table.select("customer_id").distinct()
    place = ibis.row_number().over(order_by=ids.customer_id)
    ids = ids.mutate(bucket=place // customers)
    ends = ids.group_by("bucket").aggregate(first=ids.customer_id.min(), last=ids.customer_id.max())
    rows = ends.order_by("bucket").to_pyarrow().to_pylist()
    return [(row["first"], row["last"]) for row in rows]


def within(table: ir.Table, bucket: Bucket) -> ir.Table:
    """The rows of a bucket's customers."""
    return table.filter(table.customer_id.between(*bucket))

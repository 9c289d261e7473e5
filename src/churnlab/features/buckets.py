"""Ranges of customers small enough to be described and scored one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis

if TYPE_CHECKING:
    import ibis.expr.types as ir


@dataclass(frozen=True)
class Bucket:
    """The customers from `first` to `last`, both included, in the order of their ids' UTF-8 bytes."""

    first: str
    last: str
    customers: int

    def of(self, table: ir.Table) -> ir.Table:
        """The rows of a table that are the bucket's own.

        Of orders, interactions and contacts nothing else is needed; who a customer referred may be in another
        bucket: see :meth:`churnlab.features.signals.Signals.within`.
        """
        return table.filter(table.customer_id.between(self.first, self.last))


def customer_buckets(orders: ir.Table, customers_per_bucket: int) -> list[Bucket]:
    """Every customer in exactly one bucket, in ascending order.

    Features of a bucket's orders, one bucket after the other, are those of all orders, as long as
    :func:`churnlab.features.snapshots.snapshot` is told the money_scale.

    Parameters
    ----------
    orders
        customer_id, in any number of rows; null in none.
    customers_per_bucket
        All buckets but the last hold so many.
    """
    ids = orders.select("customer_id").distinct()
    places = ids.mutate(place=ibis.row_number().over(ibis.window(order_by=ids.customer_id)))
    rows = places.group_by(bucket=places.place // customers_per_bucket).aggregate(
        first=places.customer_id.min(), last=places.customer_id.max(), customers=places.count()
    )
    found = rows.order_by("bucket").drop("bucket").to_pyarrow().to_pylist()
    return [Bucket(**row) for row in found]

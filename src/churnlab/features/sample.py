"""Which customers are learned from where there are more than memory and time bear: a sample by their ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import ibis.expr.types as ir

DIGITS = 4  # of the digest: the sample is as large as the budget to a 65,536th of the base


@dataclass(frozen=True)
class Sample:
    """The customers whose ids have a low digest: the same ones on every engine, whoever else is there.

    A sample with a higher bound holds all customers of one with a lower bound.

    Attributes
    ----------
    below
        Bound of the first hexadecimal digits of the id's MD5 digest, compared as text.
    customers
        In the sample at the plan's cutoff.
    known
        In the whole base there.
    """

    below: str
    customers: int
    known: int

    def of(self, table: ir.Table) -> ir.Table:
        """The rows of the sample's customers.

        Parameters
        ----------
        table
            customer_id, any number of rows each.
        """
        return table.filter(_digest(table.customer_id) < self.below)

    @property
    def note(self) -> str:
        """What a reader should know."""
        return (
            f"learned from a sample of {self.customers:,} of {self.known:,} customers, by a digest of their "
            "ids: raise features.max_training_rows to learn from more"
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return asdict(self)


def sample_within(orders: ir.Table, cutoffs: Sequence[date], max_rows: int) -> Sample | None:
    """The largest sample whose snapshots at `cutoffs` have `max_rows` rows together; None: everybody fits in.

    Parameters
    ----------
    orders
        customer_id, day, is_purchase; at least one purchase by the last of the cutoffs.
    cutoffs
        At each of them a customer with an earlier purchase, or one on that day, is a row.
    max_rows
        Even where one digest's customers have more, the sample is not empty.
    """
    places = _rows_by_digits(orders, cutoffs)
    rows, customers = (np.cumsum(places[name].to_numpy()) for name in ("rows", "customers"))
    if rows[-1] <= max_rows:
        return None
    kept = min(max(int(np.searchsorted(rows, max_rows, side="right")), 1), len(rows) - 1)
    return Sample(places["digits"][kept].as_py(), int(customers[kept - 1]), int(customers[-1]))


def _rows_by_digits(orders: ir.Table, cutoffs: Sequence[date]) -> Any:
    """digits, rows of all snapshots, customers at the last cutoff; sorted by digits."""
    bought = orders.filter(orders.is_purchase & (orders.day <= max(cutoffs)))
    buyers = bought.group_by("customer_id").aggregate(first=bought.day.min())
    known_at = [(buyers["first"] <= cutoff).cast("int64") for cutoff in cutoffs]
    buyers = buyers.select(
        digits=_digest(buyers.customer_id).left(DIGITS), rows=sum(known_at[1:], known_at[0])
    )
    places = buyers.group_by("digits").aggregate(rows=buyers.rows.sum(), customers=buyers.count())
    return places.order_by("digits").to_pyarrow()


def _digest(customer_id: Any) -> Any:
    return customer_id.hexdigest("md5")

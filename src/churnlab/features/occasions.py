"""From orders to purchase occasions: one row per customer and purchase day."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING

import ibis
import pyarrow as pa
import pyarrow.compute as pc

from churnlab.errors import DataError
from churnlab.features.exact import CENTS, MONEY, are_cents, in_cents

if TYPE_CHECKING:
    import ibis.expr.types as ir

REQUIRED = ("customer_id", "order_id", "ts", "day", "amount", "gross", "returned", "is_purchase")
TYPES = {
    "customer_id": "string",
    "order_id": "string",
    "ts": "timestamp",
    "day": "date",
    "is_purchase": "boolean",
    "channel": "string",
}  # of the columns that are not numbers
AMOUNTS = ("gross", "returned", "discount", "items")
COUNTS = ("n_products", "new_products", "n_categories", "new_categories")
OPTIONAL = (*AMOUNTS, *COUNTS, "channel")


def purchase_days(orders: ir.Table, cutoff: date) -> ir.Table:
    """The purchase days of :func:`customer_days`, and

    - value: max(net, 0)
    - age_days: cutoff - day
    """
    days = customer_days(orders, cutoff)
    bought = days.filter(days.is_purchase).drop("is_purchase")
    return bought.mutate(
        value=ibis.greatest(bought.net, ibis.literal(0).cast(bought.net.type())),
        age_days=ibis.literal(cutoff).delta(bought.day, unit="day"),
    )


def fetched_days(orders: ir.Table, cutoff: date, optional: Collection[str], with_returns: bool) -> pa.Table:
    """The rows of :func:`as_rows`, sorted by customer_id and day.

    Sums are worked out in decimals of 64 bits where these hold all that those of 128 bits would.
    """
    for cents in (True, False):
        rows = as_rows(customer_days(orders, cutoff, optional, cents=cents), with_returns)
        fetched = rows.order_by(["customer_id", "day"]).to_pyarrow()
        if not cents or pc.all(fetched["are_cents"]).as_py() is not False:
            break
    return fetched


def as_rows(days: ir.Table, with_returns: bool) -> ir.Table:
    """Days as :func:`churnlab.features.histories.histories_of` takes them: decimals as float64.

    Parameters
    ----------
    days
        See :func:`customer_days`.
    with_returns
        Whether days with returns only are wanted too.
    """
    kept = days if with_returns else days.filter(days.is_purchase)
    return kept.mutate(
        **{name: kept[name].cast("float64") for name in kept.columns if kept[name].type().is_decimal()}
    )


def customer_days(
    orders: ir.Table, cutoff: date, optional: Collection[str] = OPTIONAL, cents: bool = False
) -> ir.Table:
    """One row per customer and day up to the cutoff, days with returns only included.

    Parameters
    ----------
    orders, cutoff
        As in :func:`occasions`.
    optional
        The columns that are wanted besides the sum of amount; those that orders lacks are left out.
    cents
        Whether sums are decimals of 64 bits with 2 places.

    Returns
    -------
    customer_id, day, is_purchase, n_orders (orders with a sale), and the sums of :func:`occasions`; of
    `cents`, are_cents: whether the sums are those that decimals of 128 bits with 12 places would give.
    """
    missing = [name for name in REQUIRED if name not in orders.columns]
    if missing:
        raise DataError(f"orders: lacks {', '.join(missing)}: write it again with `churnlab ingest`")
    known = orders.filter(orders.day <= cutoff)
    names = [name for name in OPTIONAL if name in optional and name in known.columns]
    if "channel" in names:
        known = known.mutate(channel=_channel_of_first_order(known))
    amounts = {"net": known.amount} | {name: known[name] for name in names if name in AMOUNTS}
    sums = _in_64_bits(amounts) if cents else {name: x.cast(MONEY).sum() for name, x in amounts.items()}
    sums |= {name: known[name].sum() for name in names if name in COUNTS}
    sums |= {"channel": known.channel.max()} if "channel" in names else {}
    return known.group_by(["customer_id", "day"]).aggregate(
        is_purchase=known.is_purchase.any(), n_orders=known.count(where=known.is_purchase), **sums
    )


def _in_64_bits(amounts: dict[str, ir.NumericValue]) -> dict[str, ir.Value]:
    sums: dict[str, ir.Value] = {name: in_cents(x).sum().cast(CENTS) for name, x in amounts.items()}
    same = [are_cents(x) | x.isnull() for x in amounts.values()]
    return sums | {"are_cents": reduce(and_, same).all()}


def _channel_of_first_order(orders: ir.Table) -> ir.StringValue:
    """The channel on the first purchase of each customer and day, null on the others."""
    place = ibis.row_number().over(
        ibis.window(
            group_by=["customer_id", "day"],
            order_by=[orders.is_purchase.desc(), orders.ts.asc(), orders.order_id.asc()],
        )
    )
    return (place == 0).ifelse(orders.channel, ibis.null("string"))

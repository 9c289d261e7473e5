"""From orders to purchase occasions: one row per customer and purchase day."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING

import ibis

from churnlab.errors import DataError
from churnlab.features.exact import CENTS, FRACTION, MONEY, are_cents, in_cents

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


def occasions(orders: ir.Table, cutoff: date) -> ir.Table:
    """One row per customer and day with a purchase, up to and including the cutoff.

    Parameters
    ----------
    orders
        customer_id, order_id, ts, day, amount, gross, returned, is_purchase, and of items, discount,
        n_products, new_products, n_categories, new_categories, channel those the source has.
    cutoff
        Rows of later days are not looked at.

    Returns
    -------
    customer_id, day, n_orders, net, gross, returned [, discount, items] (decimal, 12 places, summed
    over the day) [, n_products, ..., channel] and

    - value: max(net, 0)
    - number: 0 for the customer's first purchase day, 1 for the next, ...
    - n_days: how many purchase days the customer has
    - age_days: cutoff - day
    - hiatus_days: cutoff - the customer's last purchase day
    - gap_days: days since the previous purchase day (null for the first)
    - deviation_squared: ((value - mean value) / greatest value)^2, the mean and the greatest being the
      customer's own
    - channel_last: the channel of the customer's last purchase day

    Raises
    ------
    DataError
        orders lacks a column.
    """
    return with_history(customer_days(orders, cutoff), cutoff)


def purchase_days(orders: ir.Table, cutoff: date) -> ir.Table:
    """The columns of :func:`occasions` that need no look at the customer's other days."""
    return _bought(customer_days(orders, cutoff), cutoff)


def cached_days(orders: ir.Table, cutoff: date, optional: Collection[str] = OPTIONAL) -> ir.Table:
    """:func:`customer_days`, worked out once, with decimals of 64 bits where they hold all the same sums."""
    kept = customer_days(orders, cutoff, optional, cents=True).cache()
    if kept.are_cents.all().to_pyarrow().as_py() is False:
        kept = customer_days(orders, cutoff, optional).cache()
    return kept


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


def with_history(days: ir.Table, cutoff: date) -> ir.Table:
    """The purchase days of :func:`customer_days`, each beside the customer's other ones.

    All looks at the other days share one order of rows: a second one would sort them all again.
    """
    bought = _bought(days, cutoff)
    in_order = ibis.window(group_by="customer_id", order_by=bought.day)
    whole = ibis.window(group_by="customer_id", order_by=bought.day, rows=(None, None))
    bought = bought.mutate(
        number=ibis.row_number().over(in_order),
        n_days=bought.count().over(whole),
        hiatus_days=bought.age_days.min().over(whole),
        gap_days=bought.age_days.lag().over(in_order) - bought.age_days,
        value_sum=bought.value.sum().over(whole),
        value_max=bought.value.max().over(whole),
    )
    bought = bought.mutate(deviation_squared=_deviation_squared(bought)).drop("value_sum")
    if "channel" not in bought.columns:
        return bought
    last = (bought.age_days == bought.hiatus_days).ifelse(bought.channel, ibis.null("string"))
    return bought.mutate(channel_last=last.max().over(ibis.window(group_by="customer_id")))


def _bought(days: ir.Table, cutoff: date) -> ir.Table:
    bought = days.filter(days.is_purchase).drop("is_purchase", *set(days.columns) & {"are_cents"})
    return bought.mutate(
        value=ibis.greatest(bought.net, ibis.literal(0).cast(bought.net.type())),
        age_days=ibis.literal(cutoff).delta(bought.day, unit="day"),
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


def _deviation_squared(bought: ir.Table) -> ir.DecimalValue:
    """The difference is taken in decimals: in floating point equal values would leave a remainder."""
    apart = (bought.value * bought.n_days - bought.value_sum).cast("float64")
    share = apart / (bought.value_max.cast("float64") * bought.n_days).nullif(0.0)
    return (share * share).cast(FRACTION)

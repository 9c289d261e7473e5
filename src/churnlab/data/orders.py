"""Gathers accepted lines into orders."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import ibis
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterator

    import ibis.expr.types as ir

ORDER = ["customer_id", "order_id", "day"]


def order_table(lines: ir.Table) -> ir.Table:
    """Gather accepted lines into :data:`churnlab.data.contract.ORDERS`, unsorted.

    One order is one order id of one customer on one day; a line without an order id belongs to the order of
    its customer at its moment. Sums are exact, hence the same whatever the order of the lines.

    Parameters
    ----------
    lines
        customer_id, ts, amount (negative on return lines), is_return and, where the source has them,
        order_id, quantity, discount, product_id, category, channel.
    """
    lines = _identified(lines)
    orders = lines.group_by(ORDER).aggregate(**_sums(lines))
    if "product_id" in lines.columns:
        orders = _with_variety(orders, lines, "product_id", "products")
    if "category" in lines.columns:
        orders = _with_variety(orders, lines, "category", "categories")
    if "channel" in lines.columns:
        orders = _with_channel(orders, lines)
    return orders.relocate("ts", after="order_id")


def _identified(lines: ir.Table) -> ir.Table:
    moment = lines["customer_id"] + "@" + lines["ts"].cast("string").replace(" ", "T")
    known = lines["order_id"].coalesce(moment) if "order_id" in lines.columns else moment
    return lines.mutate(order_id=known, day=lines["ts"].date())


def _sums(lines: ir.Table) -> dict[str, ir.Value]:
    sale = ~lines["is_return"]
    size = _exact(lines["amount"].abs())
    gross = size.sum(where=sale).fill_null(0)
    returned = size.sum(where=lines["is_return"]).fill_null(0)
    sums = {
        "ts": lines["ts"].min(),
        "amount": _as_float(gross - returned),
        "gross": _as_float(gross),
        "returned": _as_float(returned),
        "is_purchase": sale.any(),
        "n_lines": lines.count(),
    }
    for column, name in (("quantity", "items"), ("discount", "discount")):
        if column in lines.columns:
            sums[name] = _as_float(_exact(lines[column]).sum(where=sale).fill_null(0))
    return sums


def _exact(number: ir.FloatingValue) -> ir.DecimalValue:
    """The decimal that a float is printed as: 0.1 becomes one tenth, and sums of such cents are exact."""
    return number.cast("string").cast("decimal(38, 12)")


def _as_float(number: ir.DecimalValue) -> ir.FloatingValue:
    """The float nearest to a decimal; the engine's own cast rounds twice."""
    return number.cast("string").cast("float64")


def _with_variety(orders: ir.Table, lines: ir.Table, column: str, name: str) -> ir.Table:
    """Adds how many distinct values an order's sale lines have, and how many of them were new that day."""
    bought = lines.filter(~lines["is_return"], lines[column].notnull()).select(*ORDER, column).distinct()
    first_day = bought["day"].min().over(group_by=["customer_id", column])
    bought = bought.mutate(is_new=bought["day"] == first_day)
    counts = bought.group_by(ORDER).aggregate(
        **{f"n_{name}": bought.count(), f"new_{name}": bought["is_new"].sum()}
    )
    joined = orders.left_join(counts, ORDER).select(orders, f"n_{name}", f"new_{name}")
    return joined.fill_null({f"n_{name}": 0, f"new_{name}": 0})


def _with_channel(orders: ir.Table, lines: ir.Table) -> ir.Table:
    """Adds the channel of the first line; of several at that moment, the first in the alphabet."""
    first = lines["ts"].min().over(group_by=ORDER)
    channels = lines.mutate(is_first=lines["ts"] == first).group_by(ORDER)
    channels = channels.aggregate(channel=ibis._.channel.min(where=ibis._.is_first))
    return orders.left_join(channels, ORDER).select(orders, "channel")


def data_version(orders: pa.Table) -> str:
    """SHA-256 of the content of sorted orders: equal rows give equal versions, from any format."""
    digests: dict[tuple[str, str], Any] = defaultdict(hashlib.sha256)
    for batch in orders.to_batches():
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            for part, content in _content(column):
                digests[name, part].update(content)
    whole = "\n".join(
        f"{name} {part} {digest.hexdigest()}" for (name, part), digest in sorted(digests.items())
    )
    return hashlib.sha256(whole.encode()).hexdigest()


def _content(column: pa.Array) -> Iterator[tuple[str, bytes]]:
    """A column's content as bytes that do not depend on how rows are cut into batches."""
    yield "known", column.is_valid().to_numpy(zero_copy_only=False).tobytes()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        texts = pc.fill_null(column, "").cast(pa.large_binary())
        yield "lengths", pc.binary_length(texts).to_numpy().tobytes()
        yield "texts", b"".join(texts.to_pylist())
    elif pa.types.is_temporal(column.type):
        whole = column.cast(pa.int64() if pa.types.is_timestamp(column.type) else pa.int32())
        yield "values", pc.fill_null(whole, 0).to_numpy().tobytes()
    else:
        if pa.types.is_boolean(column.type):
            column = pc.fill_null(column, False)  # as null, its bytes would be an address
        yield "values", column.to_numpy(zero_copy_only=False).tobytes()

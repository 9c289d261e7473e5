"""Gathers accepted lines into orders."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churnlab.data.exact_sums import total

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import ibis.expr.types as ir

ORDER = ["customer_id", "order_id", "day"]
ROWS_PER_BATCH = 131_072
VARIED = {"product_id": "products", "category": "categories"}
KEYS = ("customer_id", "order_id", "ts", "day")


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
    lines, keys = _keyed(lines)
    varied = {column: name for column, name in VARIED.items() if column in lines.columns}
    for column, name in varied.items():
        lines = _with_firsts(lines, keys, column, name)
    orders = lines.group_by(keys).aggregate(**_sums(lines, keys), **_variety(lines, varied.values()))
    if "channel" in lines.columns:
        orders = _with_channel(orders, lines, keys)
    if "order_id" not in keys:
        orders = orders.mutate(order_id=_by_moment(orders), day=orders["ts"].date())
    return orders.select("customer_id", "order_id", "ts", "day", *orders.drop(*KEYS).columns)


def _keyed(lines: ir.Table) -> tuple[ir.Table, list[str]]:
    """The lines with their day, and what their orders go by: without order ids, the moment alone."""
    lines = lines.mutate(day=lines["ts"].date())
    if "order_id" not in lines.columns:
        return lines, ["customer_id", "ts"]
    return lines.mutate(order_id=lines["order_id"].coalesce(_by_moment(lines))), ORDER


def _by_moment(table: ir.Table) -> ir.StringValue:
    return table["customer_id"] + "@" + table["ts"].cast("string").replace(" ", "T")


def _sums(lines: ir.Table, keys: list[str]) -> dict[str, ir.Value]:
    sale = ~lines["is_return"]
    size = lines["amount"].abs()
    gross, returned = total(size, sale), total(size, lines["is_return"])
    sums = {
        "amount": (gross - returned).as_float(),
        "gross": gross.as_float(),
        "returned": returned.as_float(),
        "is_purchase": sale.any(),
        "n_lines": lines.count(),
    }
    for column, name in (("quantity", "items"), ("discount", "discount")):
        if column in lines.columns:
            sums[name] = total(lines[column], sale).as_float()
    return sums if "ts" in keys else {"ts": lines["ts"].min(), **sums}


def _with_firsts(lines: ir.Table, keys: list[str], column: str, name: str) -> ir.Table:
    """Marks the first sale line of each value in its order, and which of those values were new that day.

    The ranks take one sort of each customer's lines, after which lines of an order are gathered faster too.
    """
    value = lines["is_return"].ifelse(ibis.null("string"), lines[column])

    def among(*by: str) -> ibis.expr.builders.WindowBuilder:
        return ibis.window(group_by=lines["customer_id"], order_by=[value, *(lines[key] for key in by)])

    in_order = among("day", *(key for key in keys if key not in ("customer_id", "day")))
    is_first = value.notnull() & (ibis.row_number().over(in_order) == ibis.rank().over(in_order))
    is_new = is_first & (ibis.rank().over(among()) == ibis.rank().over(among("day")))
    return lines.mutate(**{f"first_of_{name}": is_first, f"new_of_{name}": is_new})


def _variety(lines: ir.Table, names: Iterable[str]) -> dict[str, ir.Value]:
    """How many distinct values an order's sale lines have, and how many of them were new that day."""
    counts = {}
    for name in names:
        counts[f"n_{name}"] = lines.count(where=lines[f"first_of_{name}"])
        counts[f"new_{name}"] = lines.count(where=lines[f"new_of_{name}"])
    return counts


def _with_channel(orders: ir.Table, lines: ir.Table, keys: list[str]) -> ir.Table:
    """Adds the channel of the first line; of several at that moment, the first in the alphabet."""
    first = lines["ts"].min().over(group_by=keys)
    channels = lines.mutate(is_first=lines["ts"] == first).group_by(keys)
    channels = channels.aggregate(channel=ibis._.channel.min(where=ibis._.is_first))
    return orders.left_join(channels, keys).select(orders, "channel")


def data_version(orders: pa.Table | pa.RecordBatchReader) -> str:
    """SHA-256 of the content of sorted orders: equal rows give equal versions, from any format.

    A reader is read to its end, batch by batch.
    """
    digests: dict[tuple[str, str], Any] = defaultdict(hashlib.sha256)
    for batch in orders.to_batches() if isinstance(orders, pa.Table) else orders:
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            for part, content in _content(column):
                digests[name, part].update(content)
    whole = "\n".join(
        f"{name} {part} {digest.hexdigest()}" for (name, part), digest in sorted(digests.items())
    )
    return hashlib.sha256(whole.encode()).hexdigest()


def _content(column: pa.Array) -> Iterator[tuple[str, Any]]:
    """A column's content as bytes that do not depend on how rows are cut into batches."""
    yield "known", column.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        texts = pc.fill_null(column, "").cast(pa.large_binary())
        yield "lengths", pc.binary_length(texts).to_numpy()
        yield "texts", _bytes(texts)
    elif pa.types.is_temporal(column.type):
        whole = column.cast(pa.int64() if pa.types.is_timestamp(column.type) else pa.int32())
        yield "values", pc.fill_null(whole, 0).to_numpy()
    else:
        if pa.types.is_boolean(column.type):
            column = pc.fill_null(column, False)  # as null, its bytes would be an address
        yield "values", column.to_numpy(zero_copy_only=False)


def _bytes(texts: pa.LargeBinaryArray) -> memoryview:
    """The bytes of texts without nulls one after the other, as Arrow holds them."""
    _, ends, content = texts.buffers()
    first, last = (int(np.frombuffer(ends, np.int64)[texts.offset + n]) for n in (0, len(texts)))
    return memoryview(content or b"")[first:last]

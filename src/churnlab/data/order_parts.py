"""Gathers orders so many lines at a time: what fits into memory need not be spilled and read again."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import ibis
import numpy as np

from churnlab.data.orders import order_table

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.duckdb import Backend

LINES_PER_PART = 12_000_000  # gathered and sorted within the memory_limit that is shipped
SAMPLED = 500  # one customer of so many is looked at to see how the lines are spread


def sorted_orders(con: Backend, lines: ir.Table, keys: tuple[str, ...], most: int) -> ir.Table:
    """:func:`churnlab.data.orders.order_table` as a table of the engine, which keeps its order.

    Parameters
    ----------
    lines
        As `order_table` takes them.
    keys
        What orders are sorted by, customer_id first.
    most
        No fewer than the lines are.
    """
    name = ibis.util.gen_name("orders")
    for number, part in enumerate(_parts(con, lines, most)):
        rows = order_table(part).order_by(*keys)
        if number:
            con.insert(name, rows)
        else:
            con.create_table(name, rows, temp=True)
    return con.table(name)


def _parts(con: Backend, lines: ir.Table, most: int) -> Iterator[ir.Table]:
    """The lines of one range of customers after the other; all at once on Spark, which cuts them itself."""
    cuts = _cuts(lines) if most > LINES_PER_PART and con.name == "duckdb" else []
    for low, high in pairwise([None, *cuts, None]):
        part = lines
        if low is not None:
            part = part.filter(part["customer_id"] >= low)
        if high is not None:
            part = part.filter(part["customer_id"] < high)
        yield part


def _cuts(lines: ir.Table) -> list[str]:
    """Customers at whom the parts begin, the first part's left out; where they lie changes no order."""
    ids = lines.filter(lines["customer_id"].hash() % SAMPLED == 0).select("customer_id")
    found = ids.order_by("customer_id").to_pyarrow()["customer_id"]
    parts = -(-len(found) * SAMPLED // LINES_PER_PART)
    places = np.linspace(0, len(found), max(parts, 1) + 1)[1:-1].astype(int)
    return list(dict.fromkeys(found[place].as_py() for place in places.tolist()))

"""What looks wrong about whole tables: things written twice, ids that match nothing, too much refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis

from churnlab.config import Data
from churnlab.data import parsing
from churnlab.data.tally import Tally

if TYPE_CHECKING:
    import ibis.expr.types as ir

STALE_DAYS = 30
MANY_REFUSED = 0.05
KNOWN_SHARE = 0.5  # of a table's customers, from which their ids look like those of the orders


def likenesses(lines: ir.Table, told: Tally, orders: ir.Table, data: Data) -> list[str]:
    """Sentences about ids, rows and orders that may be one; empty where nothing looks so.

    Parameters
    ----------
    lines
        Accepted lines: customer_id, source_file, and order_id and likeness if the source has them.
    told
        Their tally.
    orders
        What was gathered from them.
    """
    found = []
    if data.customer_ids != "integer" and not data.privacy.hash_ids:
        found += _spelt_twice(orders)
    if data.overlapping_rows == "keep" and "likeness" in lines.columns:
        found += _in_two_files(lines, told)
    if data.order_conflicts == "keep" and "order_id" in lines.columns:
        found += _of_two_customers(lines, told, orders)
    return found


def _spelt_twice(orders: ir.Table) -> list[str]:
    """123, 00123 and 123.0."""
    ids = orders.select("customer_id").distinct().cache()  # or the id of each order would be read
    whole = ids.mutate(whole=parsing.whole_number(ids["customer_id"])).filter(ibis._.whole.notnull())
    n = _count(whole.group_by("whole").aggregate(n=ibis._.count()).filter(ibis._.n > 1))
    if not n:
        return []
    return [
        f"{n:,} customer ids are the same whole number written in several ways (123, 00123, 123.0): if "
        f"they are "
        "one customer each, set data.customer_ids: integer"
    ]


def _in_two_files(lines: ir.Table, told: Tally) -> list[str]:
    days = told.days_in_two_files()  # equal rows are of the same day
    if not days:
        return []
    shared = lines.mutate(day=lines["ts"].date()).semi_join(ibis.memtable({"day": days}), "day")
    rows = shared.group_by("likeness").aggregate(
        first=shared["source_file"].min(), last=shared["source_file"].max()
    )
    n = _count(rows.filter(rows["first"] < rows["last"]))
    if not n:
        return []
    return [
        f"{n:,} rows stand in several files and count once for each: if the files overlap, set "
        "data.overlapping_rows: quarantine"
    ]


def _of_two_customers(lines: ir.Table, told: Tally, orders: ir.Table) -> list[str]:
    # orders are far fewer, but where ids are lacking there are made up ones among them
    named = lines.filter(lines["order_id"].notnull()) if told.unnamed else orders
    owners = named.group_by("order_id").aggregate(
        least=named["customer_id"].min(), greatest=named["customer_id"].max()
    )
    n = _count(owners.filter(owners["least"] < owners["greatest"]))
    if not n:
        return []
    return [
        f"{n:,} order ids belong to several customers and count as an order of each: if an order id is "
        f"unique in "
        "the shop, set data.order_conflicts: quarantine"
    ]


def many_refused(name: str, summary: dict[str, Any]) -> list[str]:
    """Says if so many lines of a table are refused that what is left may mislead."""
    refused = summary.get("rows_quarantined", 0)
    if not refused or refused < MANY_REFUSED * summary["rows_read"]:
        return []
    reason, rows = max(summary["quarantined_by_reason"].items(), key=lambda item: item[1])
    return [
        f"{refused / summary['rows_read']:.0%} of the {summary['rows_read']:,} lines of {name} are refused, "
        f"{rows:,} of them as {reason}: see the quarantine before you trust the totals"
    ]


def strangers(table: ir.Table, orders: ir.Table, name: str) -> list[str]:
    """Says if most customers of an optional table have no order: their ids may be spelt differently."""
    ids = table.select("customer_id").distinct()
    total = _count(ids)
    known = _count(ids.semi_join(orders, "customer_id")) if total else 0
    if not total or known >= KNOWN_SHARE * total:
        return []
    return [
        f"of {total:,} customers in the table {name} only {known:,} have an order: see that both write "
        f"ids alike "
        "(data.customer_ids)"
    ]


def stale(table: ir.Table, orders: ir.Table, name: str) -> list[str]:
    """Says if a table of events ends long before the orders: afterwards silence is no news."""
    if "ts" not in table.columns:
        return []
    last = table["ts"].max().to_pyarrow().as_py()
    newest = None if last is None else orders["ts"].max().to_pyarrow().as_py()
    if newest is None or (newest - last).days < STALE_DAYS:
        return []
    return [
        f"the table {name} ends on {last:%Y-%m-%d} and the orders on {newest:%Y-%m-%d}: what happened in "
        "between is not known to the models, so see that its export goes on"
    ]


def _count(table: ir.Table) -> int:
    return int(table.count().to_pyarrow().as_py())

"""What looks wrong about whole tables: things written twice, ids that match nothing, too much refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis

from churnlab.config import Data
from churnlab.data import parsing

if TYPE_CHECKING:
    import ibis.expr.types as ir

MANY_REFUSED = 0.05
KNOWN_SHARE = 0.5  # of a table's customers, from which their ids look like those of the orders


def likenesses(lines: ir.Table, data: Data) -> list[str]:
    """Sentences about ids, rows and orders that may be one; empty where nothing looks so.

    Parameters
    ----------
    lines
        Accepted lines: customer_id, source_file, and order_id and likeness if the source has them.
    """
    found = []
    if data.customer_ids != "integer" and not data.privacy.hash_ids:
        found += _spelt_twice(lines)
    if data.overlapping_rows == "keep" and "likeness" in lines.columns:
        found += _in_two_files(lines)
    if data.order_conflicts == "keep" and "order_id" in lines.columns:
        found += _of_two_customers(lines)
    return found


def _spelt_twice(lines: ir.Table) -> list[str]:
    """123, 00123 and 123.0."""
    ids = lines.select("customer_id").distinct().cache()  # or each line's id would be looked at, not each id
    whole = ids.mutate(whole=parsing.whole_number(ids["customer_id"])).filter(ibis._.whole.notnull())
    n = _count(whole.group_by("whole").aggregate(n=ibis._.count()).filter(ibis._.n > 1))
    if not n:
        return []
    return [
        f"{n:,} customer ids are the same whole number written in several ways (123, 00123, 123.0): if "
        f"they are "
        "one customer each, set data.customer_ids: integer"
    ]


def _in_two_files(lines: ir.Table) -> list[str]:
    if _count(lines.select("source_file").distinct()) < 2:
        return []
    rows = lines.group_by("likeness").aggregate(files=lines["source_file"].nunique())
    n = _count(rows.filter(rows["files"] > 1))
    if not n:
        return []
    return [
        f"{n:,} rows stand in several files and count once for each: if the files overlap, set "
        "data.overlapping_rows: quarantine"
    ]


def _of_two_customers(lines: ir.Table) -> list[str]:
    orders = lines.filter(lines["order_id"].notnull()).group_by("order_id")
    n = _count(orders.aggregate(n=ibis._.customer_id.nunique()).filter(ibis._.n > 1))
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


def _count(table: ir.Table) -> int:
    return int(table.count().to_pyarrow().as_py())

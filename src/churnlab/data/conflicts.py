"""What shows only when lines stand side by side: repeats, overlaps, restated orders, odd returns."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING

import ibis

from churnlab.config import Data
from churnlab.data.judging import PLACE, refuse, refuse_mixed
from churnlab.data.reasons import CONFLICT, DATE_FAR, DUPLICATE, EXCESS_RETURN, OVERLAP, RESTATED

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandera.ibis as pa

DEAREST_TIMES = 10  # a log that has just begun has not seen the dearest yet
LONG_GAP_DAYS, FEW = 366, 0.01  # a year without an order, and a hundredth of the lines after it
LONGER_GAP_DAYS, HALF = 3653, 0.5  # ten years


def compared(lines: ir.Table, schema: pa.DataFrameSchema, data: Data) -> ir.Table:
    """Refuses lines for what other lines say: mixed spellings, far dates, repeats, overlaps, orders, returns.

    Parameters
    ----------
    lines
        Lines judged one by one, as :func:`churnlab.data.judging.set_down` leaves them.

    Returns
    -------
    ibis table
        `lines` itself if no check calls for more.
    """
    if data.ambiguous_cells == "quarantine":
        lines = refuse_mixed(lines, schema)
    if data.as_of is None:
        lines = _far_ahead(lines)
    lines = repeated(lines, data)
    if "order_id" in lines.columns and data.order_conflicts == "newest_file":
        lines = refuse(lines, _restated(lines), RESTATED.code, "order_id")
    if "order_id" in lines.columns and data.order_conflicts == "quarantine":
        lines = refuse(lines, _contradicted(lines), CONFLICT.code, "order_id")
    if data.excess_returns == "quarantine" and lines["is_return"].any().to_pyarrow().as_py():
        lines = refuse(lines, _beyond_purchases(lines), EXCESS_RETURN.code, "amount")
    return lines


def repeated(lines: ir.Table, data: Data) -> ir.Table:
    """Refuses lines that stand in the table already, as far as `data` asks for it."""
    if data.exact_duplicates == "quarantine":
        lines = refuse(lines, _repeats(lines), DUPLICATE.code)
    if data.overlapping_rows == "quarantine":
        lines = _numbered(lines)
        lines = refuse(lines, _overlaps(lines), OVERLAP.code)
    return lines


def _repeats(lines: ir.Table) -> ir.BooleanValue:
    """Equal to an accepted line before it in all mapped columns."""
    group = [lines["reason"].isnull(), lines["likeness"]]
    return ibis.row_number().over(group_by=group, order_by=[lines[name] for name in PLACE]) > 0


def _numbered(lines: ir.Table) -> ir.Table:
    """Adds `copy`: 0 for the first of equal rows in its file, 1 for the next."""
    same = [lines["reason"].isnull(), lines["likeness"], lines["source_file"]]
    return lines.mutate(copy=ibis.row_number().over(group_by=same, order_by=lines["source_row"]))


def _overlaps(lines: ir.Table) -> ir.BooleanValue:
    """The n-th of equal rows in its file, where a later file has an n-th such row too.

    So a file may hold equal rows of its own, and they count once each; what two files share counts once.
    """
    same = [lines["reason"].isnull(), lines["likeness"], lines["copy"]]
    return ibis.row_number().over(group_by=same, order_by=lines["source_file"].desc()) > 0


def _restated(lines: ir.Table) -> ir.BooleanValue:
    """Of an order that a later file has too: the last file by name counts."""
    accepted = lines["reason"].isnull()
    order = lines["order_id"]
    newest = lines["source_file"].max(where=accepted).over(group_by=order)
    return order.notnull() & (lines["source_file"] < newest)


def _contradicted(lines: ir.Table) -> ir.BooleanValue:
    """Of an order that has several customers, or that files tell with different lines."""
    accepted = lines.filter(lines["reason"].isnull(), lines["order_id"].notnull())
    told = accepted.group_by(["order_id", "source_file"]).aggregate(
        content=ibis._.likeness.group_concat("\n", order_by=ibis._.likeness),
        least=ibis._.customer_id.min(),
        greatest=ibis._.customer_id.max(),
    )
    orders = told.group_by("order_id").aggregate(
        tellings=told["content"].nunique(), least=told["least"].min(), greatest=told["greatest"].max()
    )
    wrong = orders.filter((orders["tellings"] > 1) | (orders["least"] != orders["greatest"]))
    return lines["order_id"].isin(wrong["order_id"])


def _beyond_purchases(lines: ir.Table) -> ir.BooleanValue:
    """A return of more than its customer had bought up to that moment.

    Who returns without having bought did so before the log began, and stays known by it: such a return may
    be some times as large as the dearest line of the log.
    """
    sale = lines["reason"].isnull() & ~lines["is_return"]
    dearest = lines["amount"].max(where=sale).to_pyarrow().as_py()
    if dearest is None:  # a log of nothing but returns
        return ibis.literal(False)
    size = sale.ifelse(lines["amount"].abs(), 0.0).cast("decimal(38, 12)")
    until = ibis.range_window(preceding=(None, 0), group_by=lines["customer_id"], order_by=lines["ts"])
    bought = size.sum().over(until).cast("float64")
    return lines["is_return"] & (lines["amount"].abs() > (bought > 0).ifelse(bought, DEAREST_TIMES * dearest))


def _far_ahead(lines: ir.Table) -> ir.Table:
    accepted = lines.filter(lines["reason"].isnull())
    by_day = accepted.group_by(day=accepted["ts"].date()).aggregate(n=ibis._.count())
    counted = {row["day"]: row["n"] for row in by_day.to_pyarrow().to_pylist()}
    first = first_far_day(counted)
    return lines if first is None else refuse(lines, lines["ts"].date() >= first, DATE_FAR.code, "ts")


def first_far_day(counted: dict[date, int]) -> date | None:
    """The first day after a gap that can only be a slip: then nothing tells which day is the last.

    Parameters
    ----------
    counted
        Lines by day.
    """
    days, total, before = sorted(counted), sum(counted.values()), 0
    for day, later in pairwise(days):
        before += counted[day]
        gap, share = (later - day).days, 1 - before / total
        if (gap > LONG_GAP_DAYS and share <= FEW) or (gap > LONGER_GAP_DAYS and share < HALF):
            return later
    return None

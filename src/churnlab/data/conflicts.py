"""What shows only when lines stand side by side: repeats, overlaps, restated orders, odd returns."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING

import ibis

from churnlab.config import Data
from churnlab.data.judging import PLACE, refuse
from churnlab.data.reasons import CONFLICT, DATE_FAR, DUPLICATE, EXCESS_RETURN, OVERLAP, RESTATED
from churnlab.data.tally import Tally, tally

if TYPE_CHECKING:
    import ibis.expr.types as ir

DEAREST_TIMES = 10  # a log that has just begun has not seen the dearest yet
LONG_GAP_DAYS, FEW = 366, 0.01  # a year without an order, and a hundredth of the lines after it
LONGER_GAP_DAYS, HALF = 3653, 0.5  # ten years


def compared(lines: ir.Table, told: Tally, data: Data) -> ir.Table:
    """Refuses lines for what other lines say: far dates, repeats, overlaps, orders, returns.

    Parameters
    ----------
    lines
        Lines with which, one by one, nothing is wrong: the columns of :func:`churnlab.data.judging.judged`.
    told
        Their tally.

    Returns
    -------
    ibis table
        `lines` itself if no check calls for more.
    """
    alone = lines
    if data.as_of is None:
        lines = _far_ahead(lines, told)
    lines = repeated(lines, data)
    if "order_id" in lines.columns and data.order_conflicts == "newest_file":
        lines = refuse(lines, _restated(lines), RESTATED.code, "order_id")
    if "order_id" in lines.columns and data.order_conflicts == "quarantine":
        lines = refuse(lines, _contradicted(lines), CONFLICT.code, "order_id")
    if data.excess_returns == "quarantine":
        lines = _within_purchases(lines, told if lines is alone else tally(lines))
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


def _within_purchases(lines: ir.Table, told: Tally) -> ir.Table:
    """Refuses returns of more than their customer had bought up to that moment.

    Who returns without having bought did so before the log began, and stays known by it: such a return may
    be some times as large as the dearest line of the log.
    """
    if told.dearest is None or not told.returns:  # a log of nothing but returns, or without any
        return lines
    sound = lines.filter(lines["reason"].isnull()).select(*PLACE, "customer_id", "ts", "amount", "is_return")
    wrong = _beyond_purchases(sound, told.dearest).select(*PLACE, is_beyond=True)
    joined = lines.left_join(wrong, PLACE).select(lines, "is_beyond")
    return refuse(joined, joined["is_beyond"], EXCESS_RETURN.code, "amount").drop("is_beyond")


def _beyond_purchases(sound: ir.Table, dearest: float) -> ir.Table:
    """Only customers with a return need their purchases added up."""
    theirs = sound.semi_join(sound.filter(sound["is_return"]), "customer_id")
    size = theirs["amount"].abs()
    until = ibis.range_window(preceding=(None, 0), group_by=theirs["customer_id"], order_by=theirs["ts"])
    bought = (~theirs["is_return"]).ifelse(size, 0.0).cast("decimal(38, 12)").sum().over(until)
    theirs = theirs.mutate(size=size, bought=bought.cast("float64"))
    most = (theirs["bought"] > 0).ifelse(theirs["bought"], DEAREST_TIMES * dearest)
    return theirs.filter(theirs["is_return"], theirs["size"] > most)


def _far_ahead(lines: ir.Table, told: Tally) -> ir.Table:
    first = first_far_day(told.lines_by_day)
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

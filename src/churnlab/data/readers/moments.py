"""Moments that an engine holds natively, as ISO 8601."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.datatypes as dt

if TYPE_CHECKING:
    import ibis.expr.types as ir

MOMENT = dt.Timestamp(scale=6)
INSTANT = dt.Timestamp(timezone="UTC")


@ibis.udf.scalar.builtin(name="timezone", signature=((dt.string, INSTANT), MOMENT))  # type: ignore[untyped-decorator]
def _local(zone: str, instant: Any) -> Any:
    """The clock's reading in a time zone at an instant."""


def is_moment(kind: dt.DataType) -> bool:
    return bool(kind.is_timestamp() or kind.is_date())


def iso(cell: ir.Value) -> ir.StringValue:
    """As Python's isoformat writes it; an instant in UTC."""
    kind = cell.type()
    if kind.is_date():
        return cell.strftime("%Y-%m-%d")
    if kind.timezone is not None:
        return _clock(_local("UTC", cell.cast(INSTANT))) + "+00:00"
    return _clock(cell.cast(MOMENT))


def _clock(moment: ir.TimestampValue) -> ir.StringValue:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f").re_replace(r"\.000000$", "")

"""Turns the values that typed sources give into text, numbers and moments."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any


def text(value: Any) -> str | None:
    """The text of a cell, the same whichever source gave the value; null for nothing and an empty object."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (dict, list, tuple)):
        return _json(value) if value != {} else None
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode("utf-8", "backslashreplace")
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else str(float(value))
    if isinstance(value, datetime):
        return _moment_text(value)
    return str(value.isoformat() if isinstance(value, (date, time)) else value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=text)


def text_or_missing(value: Any) -> str | None:
    """As :func:`text` for words that are no numbers, where NaN stands for a missing cell."""
    if isinstance(value, (float, Decimal)) and math.isnan(value):
        return None
    return text(value)


def number(value: Any) -> float | None:
    """The number that a cell is, not one that its text states."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def moment(value: Any) -> str | None:
    """The moment that a cell is, as ISO 8601, not one that its text states."""
    if isinstance(value, datetime):
        return _moment_text(value)
    return value.isoformat() if isinstance(value, date) else None


def _moment_text(value: datetime) -> str:
    """With an offset in UTC, since the offset in which a database answers is a setting of its server."""
    if value.utcoffset() is None:
        return value.isoformat()
    try:
        return value.astimezone(UTC).isoformat()
    except OverflowError:  # the first and the last hours that Python knows
        return value.isoformat()

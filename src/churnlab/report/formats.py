"""Numbers, money and dates as people read them."""

from __future__ import annotations

from typing import Any
from unicodedata import category

import pandas as pd
from markupsafe import Markup

MISSING = "–"
MINUS = "\u2212"
NARROW_GAP = "\u00a0"
TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # they order what follows


def number(value: Any, decimals: int = 0) -> str:
    """1234567.891 as 1,234,568; a dash for None and NaN; a true minus sign."""
    if _absent(value):
        return MISSING
    text = f"{abs(float(value)):,.{decimals}f}"
    return f"{MINUS}{text}" if float(value) < 0 and text.strip("0.,") else text


def percent(value: Any, decimals: int = 0) -> str:
    """0.123 as 12 %."""
    return MISSING if _absent(value) else f"{number(float(value) * 100, decimals)}{NARROW_GAP}%"


def money(value: Any, symbol: str, decimals: int) -> Markup:
    """An amount with its symbol in front, kept left-to-right inside right-to-left text."""
    text = number(value, decimals)
    if text == MISSING:
        return Markup(MISSING)
    sign, digits = (MINUS, text[1:]) if text.startswith(MINUS) else ("", text)
    gap = NARROW_GAP if symbol[-1:].isalpha() else ""
    return Markup('<bdi dir="ltr" class="num">{}<bdi>{}</bdi>{}{}</bdi>').format(sign, symbol, gap, digits)


def money_decimals(typical: Any) -> int:
    """2 decimals where a typical amount is below 1000, else none."""
    return 2 if _absent(typical) or abs(float(typical)) < 1000 else 0


def total(value: Any, symbol: str, decimals: int) -> Markup:
    """A sum of money: without decimals from 100 on."""
    small = not _absent(value) and 0 < abs(float(value)) < 100
    return money(value, symbol, decimals if small else 0)


def words(name: str) -> str:
    """`win_back_offer` as `win back offer`."""
    return name.replace("_", " ")


def text(value: Any) -> str:
    """Any cell as text; a dash where there is nothing."""
    return MISSING if _absent(value) else str(value)


def shown(text: str) -> str:
    """Text for a terminal: what would steer it, or turn the direction of the rest, as a blank."""
    return "".join(" " if category(mark) == "Cc" or mark in TURNS else mark for mark in text)


def day(value: Any) -> str:
    """A date or timestamp as YYYY-MM-DD."""
    return MISSING if _absent(value) else str(value)[:10]


def sentences(value: Any) -> str:
    """A list of sentences as one line, each with its full stop; a dash where there is none."""
    if _absent(value) or not len(value):
        return MISSING
    return " ".join(part if part.endswith((".", "!", "?", "؟", "。")) else f"{part}." for part in value)


def _absent(value: Any) -> bool:
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))

"""Reads JSON lines object by object and loses none, however broken."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from churnlab.data.readers import text_lines
from churnlab.data.readers.files import shown
from churnlab.data.readers.raw_lines import Request, Row
from churnlab.errors import DataError

MOST_KEYS = 1_000  # of those found, kept to name them when a mapped one is missing
LONGEST_INTEGER = 400  # digits; a longer one is a Decimal, whose digits Python prints without a limit
BLANKS = " \t\r\n"
HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")


class _KeyTwiceError(ValueError):
    """An object has one key twice."""


def rows(path: Path, name: str, request: Request) -> Iterator[Row]:
    """The mapped values of every line of a file, or the text of a line that is no JSON object.

    Values have Python's types; a key that a line lacks gives None. Blank lines are no records.

    Raises
    ------
    DataError
        The file cannot be read or is empty, or a mapped key is in none of its lines.
    """
    wanted = list(request.mapped.values())
    keys: dict[str, None] = {}
    empty = True
    with text_lines.opened(path, name, "utf-8", "\n", request.section) as lines:
        for line in lines:
            if not line.strip(BLANKS):
                continue
            empty = False
            found = _parsed(line)
            if found is None:
                yield text_lines.malformed(line)
                continue
            news = found if len(keys) < MOST_KEYS else (key for key in wanted if key in found)
            keys.update(dict.fromkeys(news))
            yield [found.get(key) for key in wanted]
    if empty:
        raise DataError(f"{shown(name)}: is empty: export it again, one JSON object a line")
    request.positions(list(keys), name)


def _parsed(line: str) -> dict[str, Any] | None:
    """The object that a line is, or null."""
    if isinstance(line, text_lines.OverlongLine):
        return None
    try:
        found = _DECODER.decode(line)
        if HALF_CHARACTER.search(line):
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _only_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _KeyTwiceError
    return found


def _integer(digits: str) -> int | Decimal:
    return int(digits) if len(digits) < LONGEST_INTEGER else Decimal(digits)


_DECODER = json.JSONDecoder(object_pairs_hook=_only_once, parse_int=_integer)

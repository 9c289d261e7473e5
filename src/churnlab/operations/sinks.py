"""Tables in the files that people open."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from churnlab.engine import write_text

# A spreadsheet runs a cell that starts so as a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as UTF-8 CSV that a spreadsheet opens safely and in the right script.

    Text cells that would run as a formula get a leading apostrophe; lists become JSON.
    """
    safe = frame.apply(lambda column: column if pd.api.types.is_numeric_dtype(column) else column.map(_cell))
    write_text("\ufeff" + safe.to_csv(index=False), path)


def _cell(value: object) -> object:
    if isinstance(value, list):
        value = json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return "'" + value
    return value

"""Tables in the files that people open."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from churnlab.engine import write_text

# A spreadsheet runs a cell that starts so as a formula; the wide signs are what East Asian keyboards type.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
BYTE_ORDER_MARK = "\ufeff"  # without it, spreadsheets take UTF-8 for the script of the machine


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as UTF-8 CSV that a spreadsheet opens safely and in the right script.

    Text cells, and names of columns, that would run as a formula get a leading apostrophe; lists become
    JSON. Text is quoted, so that a spreadsheet which splits at another character finds no formula inside a
    cell either.

    Parameters
    ----------
    frame
        Columns of numbers, text, dates or lists.
    path
        Replaced at once; its folder is made if need be.

    Raises
    ------
    DataError
        The file cannot be written.
    """
    write_text(BYTE_ORDER_MARK + _text(frame, header=True), path)


def stream_csv(batches: Iterable[pa.RecordBatch], schema: pa.Schema, path: Path) -> None:
    """Write what `write_csv` would, a batch at a time; after an OSError `path` is cut short."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(BYTE_ORDER_MARK + _text(schema.empty_table().to_pandas(), header=True))
        for batch in batches:
            # whole numbers stay whole beside gaps
            file.write(_text(batch.to_pandas(integer_object_nulls=True), header=False))


def safe_cell(text: str) -> str:
    """What stands in the file for a text."""
    return str(_cell(text))


def as_written(cell: str) -> str:
    """The text of a cell, without the apostrophe that keeps spreadsheets from running it."""
    return cell[1:] if cell.startswith("'") and cell[1:].lstrip(" ").startswith(FORMULA_STARTS) else cell


def _text(frame: pd.DataFrame, *, header: bool) -> str:
    safe = pd.DataFrame({_cell(name): _safe(frame[name]) for name in frame.columns})
    return safe.to_csv(index=False, header=header, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")


def _safe(column: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column):
        return column
    return pd.Series([_cell(value) for value in column], index=column.index, dtype=object)


def _cell(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        value = json.dumps(value, ensure_ascii=False)
    # some spreadsheets look past leading blanks
    if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA_STARTS):
        return "'" + value
    return value

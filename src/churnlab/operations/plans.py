"""Priority lists of the past: who was to be contacted on which date, and who was held out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from churnlab.engine import read_parquet
from churnlab.errors import DataError
from churnlab.operations.sinks.csv_files import as_written

WORDS = ("customer_id", "action", "group", "risk_label", "value_label")
NUMBERS = ("cost", "churn_probability", "clv")
GROUPS = ("treated", "control")


@dataclass(frozen=True)
class Plan:
    """One priority list.

    Attributes
    ----------
    as_of
        Last day that was known when it was made.
    horizon_days
        Days after it for which customers are looked at.
    rows
        `WORDS` and `NUMBERS`, one row per customer.
    sha256
        Of the file.
    """

    path: Path
    as_of: date
    horizon_days: int
    rows: pd.DataFrame
    sha256: str

    @property
    def last_day(self) -> date:
        """Of the window after the date."""
        return self.as_of + timedelta(days=self.horizon_days)


def read_plan(path: Path, horizon_days: int, day: date | None = None) -> Plan:
    """Read a list as `prioritise` wrote it, Parquet or CSV.

    The date and the horizon are those of the scores that the list was made from, where they lie beside it as
    scores.parquet.

    Parameters
    ----------
    horizon_days
        For a list without its scores.
    day
        Its date, for a list without its scores.

    Raises
    ------
    DataError
        The file cannot be read, lacks a column, names a customer twice, holds nobody out, or does not say of
        which date it is.
    """
    rows = _checked(_read(path), path)
    made = _dated(path, rows)
    if made is None and day is None:
        raise DataError(
            f"{path}: the scores it was made from are not beside it as scores.parquet: "
            "name its date with --plan-date"
        )
    as_of, days = (day, horizon_days) if made is None else made
    if day is not None and day != as_of:
        raise DataError(f"{path}: is of {as_of} by the scores beside it: correct --plan-date")
    assert as_of is not None
    return Plan(path, as_of, days, rows, hashlib.sha256(path.read_bytes()).hexdigest())


def _read(path: Path) -> pd.DataFrame:
    try:
        if path.suffix.lower() != ".csv":
            return read_parquet(path)
        words = dict.fromkeys(WORDS, "str")
        table = pd.read_csv(path, dtype=words, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, DataError) as error:
        raise DataError(f"{path}: is not a list that can be read: name one with --plan") from error
    except (ValueError, pd.errors.ParserError) as error:
        raise DataError(f"{path}: is not a CSV as prioritise writes it: name the Parquet file") from error
    return table.apply(lambda column: column.map(as_written) if column.name in WORDS else column)


def _checked(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    missing = [name for name in (*WORDS, *NUMBERS) if name not in rows.columns]
    if missing:
        raise DataError(f"{path}: has no column {', '.join(missing)}: name a list that prioritise wrote")
    rows = rows[[*WORDS, *NUMBERS]].astype(dict.fromkeys(WORDS, "str"))
    try:
        rows = rows.astype(dict.fromkeys(NUMBERS, "float64"))
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: {', '.join(NUMBERS)} are not all numbers: name an unedited list") from error
    if rows.isna().any(axis=None):
        raise DataError(f"{path}: has empty cells: name an unedited list")
    if not rows["group"].isin(GROUPS).all():
        raise DataError(f"{path}: group holds other words than treated and control: name an unedited list")
    twice = int(rows["customer_id"].duplicated().sum())
    if twice:
        raise DataError(f"{path}: {twice} rows repeat a customer: name a list with one row for each")
    if not (rows["group"] == "control").any():
        raise DataError(
            f"{path}: nobody is held out, so there is nothing to compare with: set "
            "decisions.control_share above 0 before the next list"
        )
    if not (rows["group"] == "treated").any():
        raise DataError(f"{path}: nobody is treated, so there is nothing to measure: name another list")
    return rows


def _dated(path: Path, rows: pd.DataFrame) -> tuple[date, int] | None:
    """Date and horizon of the scores beside the list; None if they are gone or of another run."""
    scores = path.with_name("scores.parquet")
    if not scores.is_file():
        return None
    columns = ("customer_id", "as_of", "horizon_days", "churn_probability")
    if not set(columns) <= set(pq.read_schema(scores).names):
        return None
    beside = rows[["customer_id", "churn_probability"]].merge(
        read_parquet(scores, columns), on="customer_id", suffixes=("", "_scored"), validate="one_to_one"
    )
    near = (beside["churn_probability"] - beside["churn_probability_scored"]).abs() < 1e-9
    if len(beside) < len(rows) or not near.all():
        return None
    return beside["as_of"].iloc[0], int(beside["horizon_days"].iloc[0])

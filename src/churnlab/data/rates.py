"""Reads the table of exchange rates."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from churnlab.errors import DataError

EVER = "1700-01-01"  # from when a rate without a date holds


def read_rates(path: str) -> pd.DataFrame:
    """The table of rates.

    Returns
    -------
    DataFrame
        currency (ISO code), from_day (first day it holds), rate (units of `data.currency` for one unit).

    Raises
    ------
    DataError
        It cannot be read, lacks `currency` or `rate`, or holds what is no day or no positive number.
    """
    file = Path(path).expanduser()
    try:
        read = pd.read_parquet if file.suffix in (".parquet", ".pq") else pd.read_csv
        rates = read(file)
    except (OSError, ValueError) as error:
        raise DataError(f"data.rates: {path!r} cannot be read: name a CSV or Parquet file") from error
    missing = [name for name in ("currency", "rate") if name not in rates.columns]
    if missing:
        raise DataError(
            f"data.rates: {path!r} lacks {', '.join(missing)}: its columns are currency, rate, date"
        )
    written = rates["date"] if "date" in rates.columns else pd.Series(EVER, index=rates.index)
    table = pd.DataFrame(
        {
            "currency": rates["currency"].astype("str").str.strip().str.upper(),
            "from_day": pd.to_datetime(written.astype("str"), errors="coerce", format="ISO8601"),
            "rate": pd.to_numeric(rates["rate"], errors="coerce").astype("float64"),
        }
    )
    wrong = table["from_day"].isna() | ~(table["rate"] > 0) | (table["rate"] == float("inf"))
    wrong |= table.duplicated(["currency", "from_day"])
    if wrong.any():
        raise DataError(
            f"data.rates: row {int(wrong.to_numpy().argmax()) + 1} of {path!r} has no day, no positive "
            f"rate, or is "
            "there twice: correct it"
        )
    return table.assign(from_day=table["from_day"].dt.date)

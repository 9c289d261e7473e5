"""How far the comparison of :mod:`churnlab.decisions.profit` hangs on who could still be kept, and on V."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from churnlab.config import Clv, Decisions
from churnlab.decisions.contact_rules import not_for_them
from churnlab.decisions.customer_types import buying_style, lifecycle_type
from churnlab.decisions.profit import PROFIT_TYPES, over_all, profit_table

MAIN = "not_long_silent"  # where the truth is known, it comes nearest: see benchmarks/worth.py
GAPS = 2.0  # silent for longer than so many usual gaps: taken for gone before the cutoff
DEFINITION_TYPES = {"definition": "str", "cutoffs": "int64"} | {
    name: kind for name, kind in PROFIT_TYPES.items() if name != "cutoff"
}


def _not_long_silent(rows: pd.DataFrame) -> pd.DataFrame:
    long_silent = rows["days_since_last_order"] > GAPS * rows["usual_gap_days"]
    return rows.assign(spend_last_year=rows["spend_last_year"].mask(long_silent, 0.0))


def _came_back(rows: pd.DataFrame) -> pd.DataFrame:
    known = rows[rows["bought_afterwards"].notna()]
    return known.assign(spend_last_year=known["spend_last_year"] * known["bought_afterwards"])


def _half(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(spend_last_year=rows["spend_last_year"] / 2)


# Each takes value from churners who are thought to have had none left: what was spent last year, changed.
DEFINITIONS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "bought_in_the_year": lambda rows: rows,
    "not_long_silent": _not_long_silent,
    "came_back": _came_back,
    "half_the_value": _half,
}


def judged(rows: pd.DataFrame, settings: Decisions) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows with the type and style of each customer at the cutoff, and which actions are closed to whom.

    Parameters
    ----------
    rows
        As :func:`churnlab.evaluation.backtest.outcome_rows` gives them.
    """
    known = rows.assign(gap_mean_days=rows["usual_gap_days"])  # the typical gap stands in there already
    typed = rows.assign(
        lifecycle_type=lifecycle_type(known, settings.new_customer_days, 1.0, settings.types),
        **buying_style(known, rows["value_label"], settings.types),
    )
    return typed, not_for_them(typed, settings)


def main_table(rows: pd.DataFrame, settings: Decisions, clv: Clv, closed: np.ndarray) -> pd.DataFrame:
    """:func:`churnlab.decisions.profit.profit_table` under the definition `MAIN`."""
    return profit_table(DEFINITIONS[MAIN](rows), settings, clv, closed)


def definitions_table(
    rows: pd.DataFrame, settings: Decisions, clv: Clv, closed: np.ndarray | None = None
) -> pd.DataFrame:
    """Every strategy under every definition of who could have been kept, over all cutoffs.

    `bought_in_the_year`: every churner who bought in the year before, as in
    :func:`churnlab.decisions.profit.profit_table`. It is generous to dormant customers.
    `not_long_silent`: of these, who had been silent for `GAPS` usual gaps at most; the others count as gone
    before the cutoff, though a slow customer may have been alive.
    `came_back`: of these, who bought in the horizon after next, so were alive for sure; at the cutoffs for
    which the log tells. Who came back unasked needed keeping least, and those whom a contact alone would have
    kept are missing.
    `half_the_value`: the first, with half of V.

    Parameters
    ----------
    rows
        As of :func:`churnlab.decisions.profit.profit_table`, and bought_afterwards: 1 with an order in the
        horizon that follows the horizon, 0 without, NaN where the log ends before.
    settings, clv, closed
        As there.

    Returns
    -------
    DataFrame
        Columns of `DEFINITION_TYPES`: cutoffs, how many were summed; the rest as there. A definition that no
        cutoff has the data for is missing.
    """
    found, numbered = [], rows.assign(row=np.arange(len(rows)))
    for name, changed in DEFINITIONS.items():
        part = changed(numbered)
        if len(part):
            bars = None if closed is None else closed[part["row"]]
            table = over_all(profit_table(part.drop(columns="row"), settings, clv, bars))
            found.append(table.assign(definition=name, cutoffs=part["cutoff"].nunique()))
    return pd.concat(found, ignore_index=True)[list(DEFINITION_TYPES)].astype(DEFINITION_TYPES)

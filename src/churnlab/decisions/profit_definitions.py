"""What a kept customer would spend, told in several ways: the V of :mod:`churnlab.decisions.profit`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from churnlab.config import Clv, Decisions
from churnlab.decisions.contact_rules import not_for_them
from churnlab.decisions.customer_types import buying_style, lifecycle_type
from churnlab.decisions.profit import PROFIT_TYPES, over_all, profit_table

GAPS = 2.0  # silent for longer than so many usual gaps: taken for gone before the cutoff
DEFINITION_TYPES = {"definition": "str", "cutoffs": "int64"} | {
    name: kind for name, kind in PROFIT_TYPES.items() if name != "cutoff"
}


def _spent_afterwards(rows: pd.DataFrame) -> pd.DataFrame:
    known = rows[rows["spend_afterwards"].notna()]
    return known.assign(yearly_spend=known["spend_afterwards"])


def _not_long_silent(rows: pd.DataFrame) -> pd.DataFrame:
    long_silent = rows["days_since_last_order"] > GAPS * rows["usual_gap_days"]
    return rows.assign(yearly_spend=rows["spend_last_year"].mask(long_silent, 0.0))


# What a customer who left would have gone on to spend, had a contact kept them. The first one that the log
# allows counts: where the truth is known, it alone tells whether the list is ahead (benchmarks/worth.py).
DEFINITIONS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "spent_afterwards": _spent_afterwards,
    "not_long_silent": _not_long_silent,
    "bought_in_the_year": lambda rows: rows.assign(yearly_spend=rows["spend_last_year"]),
    "half_the_value": lambda rows: rows.assign(yearly_spend=rows["spend_last_year"] / 2),
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


def main_definition(rows: pd.DataFrame) -> str:
    """The first of `DEFINITIONS` that the log tells enough for."""
    return next(name for name, changed in DEFINITIONS.items() if len(changed(rows)))


def main_table(rows: pd.DataFrame, settings: Decisions, clv: Clv, closed: np.ndarray) -> pd.DataFrame:
    """:func:`churnlab.decisions.profit.profit_table` under the :func:`main_definition`."""
    return _under(main_definition(rows), rows, settings, clv, closed)


def definitions_table(
    rows: pd.DataFrame, settings: Decisions, clv: Clv, closed: np.ndarray | None = None
) -> pd.DataFrame:
    """Every strategy under every definition of what a contact could have kept, over all cutoffs.

    `spent_afterwards`: who left and bought again after the horizon; V is what they spent then. At cutoffs
    that the log outlasts by a horizon and a half. Whom nothing but a contact would have kept is missing, and
    few stand for many.
    `not_long_silent`: who bought in the year before and had been silent for `GAPS` usual gaps at most; V is
    what they spent in that year. Slow customers count as gone, and none who left is.
    `bought_in_the_year`: everybody who did; generous to those who were gone long before.
    `half_the_value`: the same, with half of V.

    Parameters
    ----------
    rows
        As of :func:`churnlab.decisions.profit.profit_table`, but for yearly_spend: spend_last_year and
        spend_afterwards (money), NaN where the log ends too early.
    settings, clv, closed
        As there.

    Returns
    -------
    DataFrame
        Columns of `DEFINITION_TYPES`: cutoffs, how many were summed; the rest as there. A definition that no
        cutoff has the data for is missing.
    """
    found = []
    for name, changed in DEFINITIONS.items():
        cutoffs = changed(rows)["cutoff"].nunique()
        if cutoffs:
            table = over_all(_under(name, rows, settings, clv, closed))
            found.append(table.assign(definition=name, cutoffs=cutoffs))
    return pd.concat(found, ignore_index=True)[list(DEFINITION_TYPES)].astype(DEFINITION_TYPES)


def _under(
    name: str, rows: pd.DataFrame, settings: Decisions, clv: Clv, closed: np.ndarray | None
) -> pd.DataFrame:
    part = DEFINITIONS[name](rows.assign(row=np.arange(len(rows))))
    bars = None if closed is None else closed[part["row"]]
    return profit_table(part.drop(columns="row"), settings, clv, bars)

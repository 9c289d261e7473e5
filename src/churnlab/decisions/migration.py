"""How many customers moved from one label or type to another between two lists, and what they are worth."""

from __future__ import annotations

import pandas as pd

ABSENT = "(absent)"
COLUMNS = ("risk_label", "value_label", "lifecycle_type", "buying_style")
MIGRATION_TYPES = {
    "column": "str",
    "from": "str",
    "to": "str",
    "customers": "int64",
    "clv_before": "float64",
    "clv_after": "float64",
}


def migration(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Customers by their words on the earlier list and on the later one.

    Parameters
    ----------
    before, after
        customer_id (each once), clv (money) and `COLUMNS`, in any order.

    Returns
    -------
    DataFrame
        One row per column of `COLUMNS` and pair of words that occurs, sorted: column, from, to, customers,
        clv_before, clv_after (money, sums over them; 0 on the list that they are not on). Who is on one list
        only is `(absent)` from the other; for each column, customers and money add up to those of the lists.

    Raises
    ------
    pandas.errors.MergeError
        A list names a customer twice.
    """
    names = ["customer_id", "clv", *COLUMNS]
    both = before[names].merge(
        after[names], "outer", on="customer_id", suffixes=("_before", "_after"), validate="one_to_one"
    )
    both = both.sort_values("customer_id", ignore_index=True)  # sums of floats depend on their order
    money = ["clv_before", "clv_after"]
    both[money] = both[money].fillna(0.0)
    return pd.concat([_moves(both, column) for column in COLUMNS], ignore_index=True).astype(MIGRATION_TYPES)


def _moves(both: pd.DataFrame, column: str) -> pd.DataFrame:
    words = {"from": f"{column}_before", "to": f"{column}_after"}
    named = both.assign(**{key: both[name].fillna(ABSENT).astype("str") for key, name in words.items()})
    grouped = named.groupby(["from", "to"], sort=True, observed=True)
    found = grouped.agg(
        customers=("customer_id", "size"), clv_before=("clv_before", "sum"), clv_after=("clv_after", "sum")
    ).reset_index()
    return found.assign(column=column)[list(MIGRATION_TYPES)]

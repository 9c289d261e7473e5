"""Describes customers by their days up to a cutoff: the columns of a snapshot that rest on orders alone."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import cache

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa

from churnlab.features.behaviour import EPOCH, behaviour_columns, return_columns, rfm_columns
from churnlab.features.histories import Histories, histories_of
from churnlab.features.occasions import REQUIRED, TYPES, as_rows, customer_days
from churnlab.features.spec import FeatureSpec

NEEDS = {
    "has_items": ("items",),
    "has_discount": ("discount",),
    "has_products": ("n_products", "new_products"),
    "has_categories": ("n_categories", "new_categories"),
    "has_channel": ("channel",),
}

THREADS = 2  # describe blocks of customers side by side; numpy's sums let others work


def described(rows: pa.Table, cutoff: date, spec: FeatureSpec, money_scale: float) -> pd.DataFrame:
    """The columns of :func:`snapshot` that rest on orders alone.

    Parameters
    ----------
    rows
        See :func:`churnlab.features.occasions.as_rows`; sorted by customer_id and day.
    cutoff, spec, money_scale
        As in :func:`snapshot`.

    Returns
    -------
    customer_id, the columns of :func:`churnlab.features.rfm.rfm`, then those of
    :func:`churnlab.features.behaviour.behaviour_columns` and `return_columns`; one row per customer with a
    purchase, in the order of `rows`.
    """
    ids, days = histories_of(rows)
    bought = days.count(days["is_purchase"]) > 0
    names = described_names(spec)
    figures = np.empty((len(names), bought.sum()))

    def fill(part: Histories, begin: int) -> None:
        columns = _columns(part, cutoff, spec, money_scale)
        for place, name in enumerate(names):
            figures[place, begin : begin + len(columns[name])] = columns[name]

    parts = list(days.blocks())
    begins = np.concatenate([[0], np.cumsum(bought)])[:: len(parts[0].begins) or 1]
    if len(parts) == 1:
        fill(parts[0], 0)
    else:
        with ThreadPoolExecutor(THREADS) as pool:
            deque(pool.map(fill, parts, begins.tolist()), maxlen=0)  # raises what one of them raised
    frame = pd.DataFrame(figures.T, columns=list(names), copy=False)
    frame.insert(0, "customer_id", ids.filter(pa.array(bought)).to_pandas().astype("str"))
    return frame


@cache
def described_names(spec: FeatureSpec) -> tuple[str, ...]:
    """The columns of :func:`described` after customer_id."""
    any_day = date(2000, 1, 1)
    rows = as_rows(customer_days(_unbound_orders(spec), any_day, wanted_columns(spec)), spec.has_returns)
    _, nobody = histories_of(rows.schema().to_pyarrow().empty_table())
    return tuple(_columns(nobody, any_day, spec, 1.0))


def wanted_columns(spec: FeatureSpec) -> list[str]:
    """The columns of orders, besides the amount, that the spec's features are made of."""
    money = ["gross"] * (spec.has_discount or spec.has_returns) + ["returned"] * spec.has_returns
    return [*money, *needed_columns(spec)]


def needed_columns(spec: FeatureSpec) -> list[str]:
    return [name for flag, names in NEEDS.items() if getattr(spec, flag) for name in names]


def _columns(days: Histories, cutoff: date, spec: FeatureSpec, money_scale: float) -> dict[str, np.ndarray]:
    """Name to values of the customers with a purchase."""
    age = (cutoff - EPOCH).days - days["day"]
    days = days.having(age_days=age, value=np.maximum(days["net"], 0.0))
    visits = days.of(days["is_purchase"])
    columns = rfm_columns(visits) | behaviour_columns(visits, cutoff, spec, money_scale)
    if spec.has_returns:
        bought = days.count(days["is_purchase"]) > 0
        columns |= {name: values[bought] for name, values in return_columns(days, spec).items()}
    return columns


def _unbound_orders(spec: FeatureSpec) -> ir.Table:
    return ibis.table(
        {name: TYPES.get(name, "float64") for name in (*REQUIRED, *needed_columns(spec))}, "orders"
    )

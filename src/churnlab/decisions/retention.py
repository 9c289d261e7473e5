"""Retention by acquisition month, and what becomes of first orders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from churnlab.decisions.figure_table import cohorts
from churnlab.features.exact import exact
from churnlab.features.waits import purchase_days

if TYPE_CHECKING:
    import ibis.expr.types as ir

TRIANGLE = ["cohort", "months_since", "month", "customers", "active_customers", "retention", "revenue"]
RETURN_DAYS = 90  # the window in which a second order is looked for


def retention_triangle(orders: ir.Table, end: date) -> pd.DataFrame:
    """Which share of each acquisition month bought again, month by month.

    The acquisition month is that of a customer's first purchase in the log: who bought before the log began
    is taken for new. Months that are not over at `end` are absent; in a month that is over and in which
    nobody of a cohort bought, the share is 0.

    Parameters
    ----------
    orders
        `customer_id`, `day` (date), `amount` (net money), `is_purchase`; one row per order.
    end
        Last day that is known.

    Returns
    -------
    DataFrame
        `TRIANGLE`, sorted: cohort, month (YYYY-MM), months_since (0: the acquisition month), customers (of
        the cohort), active_customers (of them, who bought in the month), retention (their share), revenue
        (net, of the whole cohort in the month).
    """
    known = orders.filter(orders.day <= end)
    acquired = cohorts(known)
    rows = known.inner_join(acquired, "customer_id").select(known, acquired.cohort)
    rows = rows.mutate(month=rows.day.strftime("%Y-%m"))
    keys = ["cohort", "month"]
    found = (
        rows.group_by(keys)
        .aggregate(
            active_customers=rows.customer_id.nunique(where=rows.is_purchase),
            revenue=exact(rows.amount),
        )
        .to_pandas()
        .set_index(keys)
    )
    sizes = acquired.group_by("cohort").aggregate(customers=acquired.count()).to_pandas()
    sizes = sizes.sort_values("cohort", ignore_index=True)
    grid = pd.DataFrame(
        [
            (cohort, number, str(month), size)
            for cohort, size in sizes[["cohort", "customers"]].itertuples(index=False)
            for number, month in enumerate(_finished(cohort, end))
        ],
        columns=TRIANGLE[:4],
    )
    filled = grid.join(found, on=keys, validate="one_to_one")
    filled = filled.fillna({"active_customers": 0, "revenue": 0.0})
    filled = filled.astype(
        dict.fromkeys(("months_since", "customers", "active_customers"), "int64")
        | {"cohort": "str", "month": "str", "revenue": "float64"}
    )
    return filled.assign(retention=filled["active_customers"] / filled["customers"])[TRIANGLE]


def _finished(cohort: str, end: date) -> pd.PeriodIndex:
    """Months from the acquisition month to the last that is over."""
    last = pd.Period(end + timedelta(days=1), freq="M") - 1
    return pd.period_range(pd.Period(cohort, freq="M"), last, freq="M")


def retention_curve(triangle: pd.DataFrame) -> pd.DataFrame:
    """All cohorts together: of the customers whose cohort is that old, the share that bought.

    Parameters
    ----------
    triangle
        Frame of :func:`retention_triangle`.

    Returns
    -------
    DataFrame
        months_since, cohorts (how many are that old), customers (in them), retention; sorted.
    """
    by_age = triangle.groupby("months_since", as_index=False).agg(
        cohorts=("cohort", "size"), customers=("customers", "sum"), active=("active_customers", "sum")
    )
    by_age["retention"] = by_age["active"] / by_age["customers"]
    return by_age.drop(columns="active")


@dataclass(frozen=True)
class FirstOrders:
    """What becomes of customers after their first order; purchases of one day are one occasion.

    Attributes
    ----------
    customers
        Whose first order is at least `window_days` old.
    returned
        Of them, who bought on another day within the window.
    return_rate
        Their share; None without such customers.
    returners
        Everyone with a second purchase day in the log.
    median_days_to_second
        Of the returners; who is still to come back is not among them. None without returners.
    """

    window_days: int
    customers: int
    returned: int
    return_rate: float | None
    returners: int
    median_days_to_second: float | None


def first_orders(orders: ir.Table, start: date, end: date) -> FirstOrders:
    """Figures of the first orders placed from `start` to `end`; what follows is watched until `end`.

    Parameters
    ----------
    orders
        `customer_id`, `day` (date), `is_purchase`; one row per order.
    start, end
        First day of the first orders; last day that is known.
    """
    days = purchase_days(orders, end)
    begun = days.group_by("customer_id").aggregate(begun=days.day.min())
    begun = begun.filter(begun.begun >= start)
    later = days.inner_join(begun, "customer_id").select(days, begun.begun)
    later = later.filter(later.day > later.begun)
    second = later.group_by("customer_id").aggregate(second=later.day.min())
    pairs = begun.left_join(second, "customer_id").select(begun, second.second)
    pairs = pairs.select(
        gap=pairs.second.delta(pairs.begun, unit="day"),
        old_enough=pairs.begun <= end - timedelta(days=RETURN_DAYS),
    )
    keys = ["gap", "old_enough"]
    counted = pairs.group_by(keys).aggregate(n=pairs.count()).to_pandas()
    return _of(counted.astype({"gap": "float64", "old_enough": "bool", "n": "int64"}))


def _of(counted: pd.DataFrame) -> FirstOrders:
    """From how many customers waited how long (NaN: not back yet)."""
    old = counted[counted["old_enough"]]
    back = counted.dropna(subset="gap").sort_values("gap")
    customers = int(old["n"].sum())
    returned = int(old.loc[old["gap"] <= RETURN_DAYS, "n"].sum())
    return FirstOrders(
        window_days=RETURN_DAYS,
        customers=customers,
        returned=returned,
        return_rate=returned / customers if customers else None,
        returners=int(back["n"].sum()),
        median_days_to_second=float(np.median(np.repeat(back["gap"].to_numpy(), back["n"].to_numpy())))
        if len(back)
        else None,
    )

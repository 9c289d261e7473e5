"""Key figures of a period as one table: the whole, by month, by acquisition cohort and by segment."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import ibis
import pandas as pd

from churnlab.decisions.key_figures import rates
from churnlab.features.exact import exact

if TYPE_CHECKING:
    import ibis.expr.types as ir

SEGMENTS = ("risk_label", "value_label", "lifecycle_type", "buying_style")
COUNTS = ["customers", "orders", "repeat_customers", "revenue"]
RATES = ["repeat_customer_rate", "purchase_frequency", "average_order_value", "customer_value"]
COLUMNS = ["dimension", "value", "period_start", "period_end", *COUNTS, *RATES]
UNKNOWN = "unknown"  # value of a row without a first purchase, a score or a channel


def figure_table(orders: ir.Table, start: date, end: date, scores: ir.Table | None = None) -> pd.DataFrame:
    """Key figures of the days from `start` to `end`, both included.

    Revenue is net, returns taken off on the day that they happen. Customers are those who placed an order in
    the period; in `month` in that month. The cohort of a customer is the month of the first purchase in the
    whole log up to `end`. Rows of every dimension add up to those of `all` in revenue, and in orders.

    Parameters
    ----------
    orders
        `customer_id`, `day` (date), `amount` (net money), `is_purchase`; `channel` where there is one. One
        row per order.
    start, end
        First and last day that count.
    scores
        `customer_id` and any of `SEGMENTS`: labels of the day they were given, not of the period.

    Returns
    -------
    DataFrame
        `COLUMNS`, sorted by dimension (all, month, cohort, channel, then `SEGMENTS`) and value. period_start
        and period_end (dates) are those of the part of the period, or of the month, that lies between the
        first day of the log and `end`. Rates are NaN without a purchase.
    """
    known = orders.filter(orders.day <= end)
    rows = known.filter(known.day >= start)
    first = max(start, first_day(known) or start)
    parts = [
        _figures(rows.mutate(value=ibis.literal("all")), "all", {"all"}),
        _figures(rows.mutate(value=_month(rows.day)), "month", _months(first, end)),
        _figures(_joined(rows, cohorts(known), "cohort"), "cohort"),
    ]
    if "channel" in orders.columns:
        parts.append(_figures(rows.mutate(value=rows.channel.fill_null(UNKNOWN)), "channel"))
    for name in SEGMENTS:
        if scores is not None and name in scores.columns:
            parts.append(_figures(_joined(rows, scores, name), name))
    table = pd.concat(parts, ignore_index=True)
    named = zip(table["dimension"], table["value"], strict=True)
    periods = [_period(dimension, value, first, end) for dimension, value in named]
    table["period_start"], table["period_end"] = zip(*periods, strict=True)
    return table[COLUMNS]


def first_day(orders: ir.Table) -> date | None:
    """The first day of the log; None where it is empty."""
    found: date | None = orders.aggregate(day=orders.day.min()).to_pyarrow().to_pylist()[0]["day"]
    return found


def cohorts(known: ir.Table) -> ir.Table:
    """customer_id, cohort: month (YYYY-MM) of the first purchase of everyone who bought."""
    bought = known.filter(known.is_purchase)
    return bought.group_by("customer_id").aggregate(cohort=_month(bought.day.min()))


def _month(day: ir.DateValue) -> ir.StringValue:
    return day.strftime("%Y-%m")


def _months(first: date, end: date) -> set[str]:
    return set(pd.period_range(first, end, freq="M").astype(str))


def _joined(rows: ir.Table, labels: ir.Table, name: str) -> ir.Table:
    """Rows with the label of their customer as `value`."""
    labels = labels.select("customer_id", label=labels[name])
    joined = rows.left_join(labels, "customer_id")
    return joined.select(rows, value=joined.label.fill_null(UNKNOWN))


def _figures(rows: ir.Table, dimension: str, values: set[str] | None = None) -> pd.DataFrame:
    """Counts and rates per value, sorted; `values` are there even if no row has them."""
    each = rows.group_by(["value", "customer_id"]).aggregate(n=rows.is_purchase.cast("int64").sum())
    people = each.group_by("value").aggregate(
        customers=(each.n > 0).cast("int64").sum(),
        orders=each.n.sum(),
        repeat_customers=(each.n > 1).cast("int64").sum(),
    )
    money = rows.group_by("value").aggregate(revenue=exact(rows.amount))
    found = people.to_pandas().merge(money.to_pandas(), on="value", validate="one_to_one").set_index("value")
    found = found.reindex(sorted({*found.index, *(values or ())}), fill_value=0)
    found = found.astype(dict.fromkeys(COUNTS[:3], "int64") | {"revenue": "float64"})
    told = [rates(int(c), int(o), int(r), float(m)) for c, o, r, m in found[COUNTS].itertuples(index=False)]
    figures = pd.DataFrame(told, columns=RATES, index=found.index, dtype="float64")
    return found.join(figures, validate="one_to_one").reset_index(names="value").assign(dimension=dimension)


def _period(dimension: str, value: str, first: date, end: date) -> tuple[date, date]:
    if dimension != "month":
        return first, end
    month = pd.Period(value, freq="M")
    return max(first, month.start_time.date()), min(end, month.end_time.date())

"""The features of a snapshot in bare DuckDB SQL straight from lines: plain doubles, nothing exact, no checks.

It is the floor below which no engine of features on DuckDB can be expected to go.
"""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from pathlib import Path

import duckdb
import pandas as pd

from churnlab.features.spec import FeatureSpec

Columns = dict[str, str]
RECENT = "2.0 ** (-(age - hiatus) / 60.0)"


def floor_features(
    lines: Path, cutoff: date, spec: FeatureSpec, money_scale: float, threads: int
) -> pd.DataFrame:
    """The columns that :func:`churnlab.features.snapshots.snapshot` has for a log of :mod:`_logs`.

    Parameters
    ----------
    lines
        customer_id, order_id, ts, product_id, amount (over 0).
    cutoff, spec, money_scale
        As `snapshot` takes them; of the optional columns, products only.
    """
    columns = _rfm() | _rhythm() | _gaps() | _windows(spec) | _decays(spec) | _values(money_scale)
    if spec.has_products:
        columns |= _products()
    columns |= _calendar(cutoff, spec.horizon_days)
    selected = ", ".join(f"{expression} AS {name}" for name, expression in columns.items())
    with duckdb.connect(config={"threads": threads}) as con:
        return con.execute(
            f"{_visits(lines, cutoff)} SELECT customer_id, {selected} FROM visits "
            "GROUP BY customer_id ORDER BY customer_id"
        ).df()


def _visits(lines: Path, cutoff: date) -> str:
    """One row per customer and purchase day, beside the customer's other ones."""
    return f"""
    WITH goods AS (
        SELECT customer_id, order_id, ts::DATE AS day, product_id, sum(amount) AS amount
        FROM read_parquet('{lines}') WHERE ts::DATE <= DATE '{cutoff}' GROUP BY ALL
    ), aged AS (
        SELECT *, day = min(day) OVER (PARTITION BY customer_id, product_id) AS is_new FROM goods
    ), days AS (
        SELECT customer_id, day, DATE '{cutoff}' - day AS age, sum(amount) AS value,
            count(DISTINCT order_id) AS orders, count(*) AS products, sum(is_new::INT) AS new_products
        FROM aged GROUP BY customer_id, day
    ), visits AS (
        SELECT *, lag(age) OVER (PARTITION BY customer_id ORDER BY day) - age AS gap,
            min(age) OVER (PARTITION BY customer_id) AS hiatus
        FROM days
    )"""


def _rfm() -> Columns:
    first = "arg_max(value, age)"
    return {
        "frequency": "count(*) - 1",
        "recency": "max(age) - min(age)",
        '"T"': "max(age)",
        "monetary_value": f"coalesce((sum(value) - {first}) / nullif(count(*) - 1, 0), 0)",
        "paid_repeats": "count(*) - 1",
        "days_since_last_order": "min(age)",
        "first_order_value": first,
        "total_spend": "sum(value)",
    }


def _rhythm() -> Columns:
    return {
        "hiatus_of_T": "min(age) / (max(age) + 1.0)",
        "purchase_rate": "count(*) / (max(age) + 14.0)",
        "repeat_rate": "(count(*) - 1) / (max(age) + 14.0)",
        "orders_per_day": "sum(orders) / count(*)",
    }


def _gaps() -> Columns:
    mean, deviation, hiatus = "avg(gap)", "stddev_pop(gap)", "min(age)"
    return {
        "gap_mean_days": mean,
        "gap_sd_days": deviation,
        "gap_cv": f"{deviation} / {mean}",
        "gap_max_days": "max(gap)",
        "gap_min_days": "min(gap)",
        "gap_last_days": "arg_min(gap, age)",
        "gap_median_days": "quantile_disc(gap, 0.5)",
        "hiatus_of_gap_mean": f"{hiatus} / {mean}",
        "hiatus_of_gap_max": f"{hiatus} / max(gap)",
        "hiatus_of_gap_median": f"{hiatus} / quantile_disc(gap, 0.5)",
        "hiatus_z": f"({hiatus} - {mean}) / ({deviation} + 3.0)",
        "gap_rank": "(count(*) FILTER (gap >= hiatus) + 0.5) / count(*)",
        "gap_last_of_mean": f"arg_min(gap, age) / {mean}",
        "hiatus_log_of_gap": f"ln(1.0 + {hiatus}) - avg(ln(1.0 + gap))",
    }


def _windows(spec: FeatureSpec) -> Columns:
    count = {w: f"count(*) FILTER (age < {w})" for w in spec.windows_days}
    spend = {w: f"coalesce(sum(value) FILTER (age < {w}), 0)" for w in spec.windows_days}
    columns: Columns = {}
    for w in spec.windows_days:
        columns |= {f"purchases_{w}d": count[w], f"spend_{w}d": spend[w]}
    for a, b in pairwise(spec.windows_days):
        columns[f"purchases_{a}d_of_{b}d"] = f"{count[a]} / nullif({count[b]}, 0)"
        columns[f"spend_{a}d_of_{b}d"] = f"{spend[a]} / nullif({spend[b]}, 0)"
    for w in spec.windows_days:
        if 2 * w <= spec.history_days:
            before = f"count(*) FILTER (age >= {w} AND age < {2 * w})"
            columns[f"purchases_change_{w}d"] = f"({count[w]} - {before}) / sqrt({count[w]} + {before} + 1.0)"
    return columns


def _decays(spec: FeatureSpec) -> Columns:
    columns: Columns = {}
    for h in spec.half_lives_days:
        norm = f"((1.0 - 2.0 ** (-(max(age) + 1.0) / {h})) / (1.0 - 2.0 ** (-1.0 / {h})) + 3.0)"
        columns[f"decayed_purchases_{h}d"] = f"sum(2.0 ** (-age / {h}.0)) / {norm}"
        columns[f"decayed_spend_{h}d"] = f"sum(value * 2.0 ** (-age / {h}.0)) / {norm}"
    for a, b in ((20, 80), (40, 160)):
        if {a, b} <= set(spec.half_lives_days):
            above, below = columns[f"decayed_purchases_{a}d"], columns[f"decayed_purchases_{b}d"]
            columns[f"decayed_purchases_{a}d_of_{b}d"] = f"({above}) / ({below})"
    return columns


def _values(money_scale: float) -> Columns:
    mean, recent = "avg(value)", f"sum(value * {RECENT}) / sum({RECENT})"
    return {
        "order_value_mean": mean,
        "order_value_sd": "stddev_pop(value)",
        "order_value_cv": f"stddev_pop(value) / {mean}",
        "order_value_max": "max(value)",
        "order_value_last": "arg_min(value, age)",
        "order_value_first": "arg_max(value, age)",
        "order_value_geo": f"(exp(avg(ln(1.0 + value / {money_scale}))) - 1.0) * {money_scale}",
        "order_value_recent": recent,
        "order_value_trend": f"{recent} / {mean}",
        "order_value_last_of_mean": f"arg_min(value, age) / {mean}",
        "spend_rate": "sum(value) / (max(age) + 14.0)",
        "order_value_log": f"ln(1.0 + {mean} / {money_scale})",
    }


def _products() -> Columns:
    return {
        "products_mean": "avg(products)",
        "products_last": "arg_min(products, age)",
        "products_recent": f"sum(products * {RECENT}) / sum({RECENT})",
        "products_distinct": "sum(new_products)",
        "products_new_share": "sum(new_products) / sum(products)",
    }


def _calendar(cutoff: date, horizon_days: int) -> Columns:
    start = min(cutoff.timetuple().tm_yday, 365)
    in_season = f"(least(dayofyear(day), 365) - {start} - 1 + 730) % 365 < {horizon_days}"
    return {
        "weekend_share": "count(*) FILTER (isodow(day) >= 6) / count(*)",
        "weekday_last": "arg_min(isodow(day) - 1, age)",
        "season_share": f"count(*) FILTER ({in_season}) / count(*)",
    }

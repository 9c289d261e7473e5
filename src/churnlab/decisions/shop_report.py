"""All figures of a shop over one period, as tables and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd

from churnlab.decisions.concentration import Concentration, concentration
from churnlab.decisions.figure_table import figure_table
from churnlab.decisions.retention import FirstOrders, first_orders, retention_curve, retention_triangle
from churnlab.decisions.shop_stage import NOT_SEEN, Stage, shop_stage
from churnlab.decisions.value_frequency import ValueFrequency, value_frequency
from churnlab.features.exact import exact
from churnlab.features.satisfaction import Satisfaction, satisfaction

if TYPE_CHECKING:
    import ibis.expr.types as ir

DIGITS = 12  # significant ones: sums are exact, and a few steps of arithmetic leave so many


@dataclass(frozen=True)
class ShopReport:
    """What :func:`shop_report` finds.

    Attributes
    ----------
    table
        Frame of :func:`churnlab.decisions.figure_table.figure_table`.
    triangle, curve
        Frames of :mod:`churnlab.decisions.retention`: of the whole log up to the period's end.
    first_orders, concentration, matrix
        Of the period.
    stage
        At the period's end.
    satisfaction
        Of the period's months; None where the shop has no interactions by its end.
    """

    table: pd.DataFrame
    triangle: pd.DataFrame
    curve: pd.DataFrame
    first_orders: FirstOrders
    concentration: Concentration
    stage: Stage
    matrix: ValueFrequency
    satisfaction: Satisfaction | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it: dates as text, `DIGITS` significant digits, None for what is undefined."""
        whole = self.table[self.table["dimension"] == "all"].drop(columns=["dimension", "value"])
        parts = self.table[self.table["dimension"] != "all"]
        told = {
            "period": _records(whole)[0],
            "table": _records(parts),
            "retention_curve": _records(self.curve),
            "first_orders": asdict(self.first_orders),
            "concentration": asdict(self.concentration),
            "stage": {**asdict(self.stage), "dominant": NOT_SEEN},
            "value_frequency": asdict(self.matrix),
            **self._satisfaction(),
        }
        rounded: dict[str, Any] = _plain(told)
        return rounded

    def _satisfaction(self) -> dict[str, Any]:
        if self.satisfaction is None:
            return {}
        frames = ("months", "channels", "causes", "wished")
        told = {name: _records(getattr(self.satisfaction, name)) for name in frames}
        return {"satisfaction": {"first_day": self.satisfaction.first_day, **told}}

    def tables(self) -> dict[str, pd.DataFrame]:
        """File stem to the table kept in it, rounded likewise."""
        return {"key_figures": _rounded(self.table), "retention_cohorts": _rounded(self.triangle)}


def shop_report(
    orders: ir.Table,
    start: date,
    end: date,
    scores: ir.Table | None = None,
    interactions: ir.Table | None = None,
) -> ShopReport:
    """Everything from `start` to `end`, both included.

    Parameters
    ----------
    orders
        `customer_id`, `day` (date), `amount` (net money), `is_purchase`; `channel` where there is one.
    scores
        `customer_id` and labels to tell segments by.
    interactions
        As :func:`churnlab.features.satisfaction.satisfaction` takes them.
    """
    triangle = retention_triangle(orders, end)
    each = _customers(orders.filter((orders.day >= start) & (orders.day <= end)))
    return ShopReport(
        table=figure_table(orders, start, end, scores),
        triangle=triangle,
        curve=retention_curve(triangle),
        first_orders=first_orders(orders, start, end),
        concentration=concentration(each["revenue"].to_numpy(float)),
        stage=shop_stage(orders, end),
        matrix=value_frequency(each),
        satisfaction=None if interactions is None else satisfaction(interactions, orders, start, end),
    )


def _customers(rows: ir.Table) -> pd.DataFrame:
    """orders, revenue of everyone with a purchase."""
    each = rows.group_by("customer_id").aggregate(
        orders=rows.is_purchase.cast("int64").sum(), revenue=exact(rows.amount)
    )
    return each.filter(each.orders > 0).select("orders", "revenue").to_pandas()


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return None if pd.isna(value) else _significant(value)
    return value


def _significant(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _rounded(frame: pd.DataFrame) -> pd.DataFrame:
    numbers = frame.select_dtypes("float64").columns
    return frame.assign(**{name: frame[name].map(_significant, na_action="ignore") for name in numbers})

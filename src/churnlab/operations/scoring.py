"""Scores every known customer as of one date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from churnlab.config import Decisions
from churnlab.decisions.customer_types import buying_style, lifecycle_type
from churnlab.decisions.priority import best_actions
from churnlab.errors import DataError
from churnlab.features.plan import current_snapshot
from churnlab.features.signals import NOTHING, Signals
from churnlab.models.scorer import Scorer

if TYPE_CHECKING:
    import ibis.expr.types as ir

SCORES = pa.schema(
    {
        "customer_id": pa.string(),
        "as_of": pa.date32(),
        "horizon_days": pa.int64(),
        "frequency": pa.float64(),
        "recency": pa.float64(),
        "T": pa.float64(),
        "monetary_value": pa.float64(),
        "days_since_last_order": pa.float64(),
        "p_alive": pa.float64(),
        "churn_probability": pa.float64(),
        "churn_percentile": pa.float64(),
        "risk_label": pa.string(),
        "expected_purchases": pa.float64(),
        "expected_order_value": pa.float64(),
        "expected_spend": pa.float64(),
        "expected_spend_low": pa.float64(),
        "expected_spend_high": pa.float64(),
        "clv": pa.float64(),
        "clv_low": pa.float64(),
        "clv_high": pa.float64(),
        "clv_percentile": pa.float64(),
        "value_label": pa.string(),
        "lifecycle_type": pa.string(),
        "buying_style": pa.string(),
        "expected_next_order_date": pa.date32(),
        "reasons": pa.list_(pa.string()),
        "expected_net_benefit": pa.float64(),
        "priority_rank": pa.int64(),
        "scored_by": pa.string(),
        "model_version": pa.string(),
        "run_id": pa.string(),
        "data_version": pa.string(),
    }
)
FARTHEST_DAYS = 3650  # beyond ten years a next order date says nothing but "not expected"


@dataclass(frozen=True)
class Provenance:
    """Which model and which data a score comes from."""

    model_version: str
    run_id: str
    data_version: str


def score_customers(
    orders: ir.Table,
    scorer: Scorer,
    as_of: date,
    settings: Decisions,
    source: Provenance,
    signals: Signals = NOTHING,
) -> pd.DataFrame:
    """One finite row per customer known on `as_of`.

    Parameters
    ----------
    orders
        As written by ingest; rows after `as_of` are not looked at.
    scorer
        The packaged model.
    as_of
        Last day that is known.
    settings
        The `decisions` section.
    source
        Written into every row.
    signals
        The optional tables; what they tell of days after `as_of` is not looked at.

    Returns
    -------
    DataFrame
        The columns of `SCORES`, sorted by customer_id. expected_next_order_date is the median date of the
        next order of a customer who is still buying; empty where that is over ten years away. Customers with
        returns only are scored by the purchase model as if their first return had been an order.

    Raises
    ------
    DataError
        Nobody is known on `as_of`, or a column or table that the model needs is not there.
    """
    known = orders.filter(orders.day <= as_of)
    buyers = current_snapshot(known, scorer.plan, as_of, signals)
    others = _never_bought(known, as_of)
    if buyers.empty and others.empty:
        raise DataError(f"orders: no customer is known on {as_of}: choose a later --as-of")
    parts = []
    if len(buyers):
        parts.append(_bought(buyers, scorer, as_of, settings))
    if len(others):
        parts.append(_only_returned(others, scorer, as_of))
    scores = pd.concat(parts, ignore_index=True).sort_values("customer_id", ignore_index=True)
    scores = scores.assign(
        as_of=as_of,
        horizon_days=scorer.plan.horizon_days,
        expected_next_order_date=_dates(as_of, scores["days_to_next_order"]),
        model_version=source.model_version,
        run_id=source.run_id,
        data_version=source.data_version,
    )
    plan = best_actions(scores, settings)[["expected_net_benefit", "priority_rank"]]
    return scores.join(plan, validate="one_to_one")[SCORES.names]


def _bought(buyers: pd.DataFrame, scorer: Scorer, as_of: date, settings: Decisions) -> pd.DataFrame:
    predicted = scorer.predict(buyers, as_of)
    shown = buyers[["customer_id", "frequency", "recency", "T", "monetary_value", "days_since_last_order"]]
    scores = shown.merge(predicted, on="customer_id", validate="one_to_one")
    return scores.assign(
        lifecycle_type=lifecycle_type(buyers, settings.new_customer_days),
        buying_style=buying_style(buyers, predicted["value_label"]),
        reasons=scorer.explain(buyers),
    )


def _never_bought(known: ir.Table, as_of: date) -> pd.DataFrame:
    """Customers with returns only: customer_id and the days since they were first seen."""
    seen = known.group_by("customer_id").aggregate(first=known.day.min(), bought=known.is_purchase.any())
    rows = seen.filter(~seen.bought).order_by("customer_id").to_pandas()
    days = (pd.Timestamp(as_of) - pd.to_datetime(rows["first"])).dt.days.astype(float)
    return pd.DataFrame({"customer_id": rows["customer_id"].astype("str"), "T": days})


def _only_returned(others: pd.DataFrame, scorer: Scorer, as_of: date) -> pd.DataFrame:
    told = [["Only returns are on record, no purchase yet"] for _ in range(len(others))]
    return scorer.outlook(others, as_of).assign(
        lifecycle_type="potential",
        buying_style="unassigned",
        reasons=pd.Series(told, index=others.index, dtype=object),
    )


def _dates(as_of: date, days: pd.Series) -> pd.Series:
    values = days.to_numpy(float)
    near = np.isfinite(values) & (values <= FARTHEST_DAYS)
    return pd.Series(
        [as_of + timedelta(days=int(np.ceil(d))) if ok else None for d, ok in zip(values, near, strict=True)],
        index=days.index,
        dtype=object,
    )

"""Snapshots: every customer as known at a cutoff, and the cutoffs from which models learn."""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import TYPE_CHECKING

import ibis
import pandas as pd

from churnlab.config import Features
from churnlab.errors import DataError
from churnlab.features.behaviour import behaviour_columns, return_columns
from churnlab.features.occasions import REQUIRED, TYPES, cached_days, customer_days, with_history
from churnlab.features.rfm import rfm_columns
from churnlab.features.signals import (
    NOTHING,
    Signals,
    check_signals,
    signal_features,
    signals_hold,
    unbound_signals,
)
from churnlab.features.spec import FeatureSpec

if TYPE_CHECKING:
    import ibis.expr.types as ir

NEEDS = {
    "has_items": ("items",),
    "has_discount": ("discount",),
    "has_products": ("n_products", "new_products"),
    "has_categories": ("n_categories", "new_categories"),
    "has_channel": ("channel",),
}


def feature_spec(
    orders: ir.Table,
    settings: Features,
    history_days: int,
    horizon_days: int,
    signals: Signals = NOTHING,
) -> FeatureSpec:
    """Decide the columns from what is known at the earliest snapshot.

    Parameters
    ----------
    orders
        See :func:`churnlab.features.occasions.occasions`. Only the first `history_days` days are read.
    settings
        Windows and half-lives; windows longer than `history_days` are left out.
    history_days
        Days from the first purchase in the data to the earliest snapshot's cutoff, both included.
    horizon_days
        Length of the outcome window.
    signals
        The optional tables; of them too only what was known at the earliest snapshot is read.

    Raises
    ------
    DataError
        orders holds no purchase.
    """
    first_day = orders.filter(orders.is_purchase).day.min().to_pyarrow().as_py()
    if first_day is None:
        raise DataError("orders: holds no purchase: check data.path and the quarantine table")
    earliest = first_day + timedelta(days=history_days - 1)
    known = orders.filter(orders.day <= earliest)
    return FeatureSpec(
        windows_days=tuple(w for w in sorted(set(settings.windows_days)) if w <= history_days),
        half_lives_days=tuple(sorted(set(settings.half_lives_days))),
        horizon_days=horizon_days,
        history_days=history_days,
        **_presence(known),
        **signals_hold(signals, earliest, history_days),
    )


def _presence(known: ir.Table) -> dict[str, bool]:
    """Which optional columns exist and hold anything."""
    holds: dict[str, ir.Value] = {"has_returns": (known.returned > 0).any()}
    for flag, names in NEEDS.items():
        if all(name in known.columns for name in names):
            column = known[names[0]]
            holds[flag] = (column != "" if flag == "has_channel" else column > 0).any()
    row = known.aggregate(**holds).to_pyarrow().to_pylist()[0]
    return {flag: bool(row.get(flag)) for flag in ("has_returns", *NEEDS)}


def snapshot(
    orders: ir.Table,
    cutoff: date,
    spec: FeatureSpec,
    money_scale: float | None = None,
    signals: Signals = NOTHING,
) -> pd.DataFrame:
    """Every customer acquired by the cutoff, described by rows of days up to the cutoff only.

    Parameters
    ----------
    orders
        See :func:`churnlab.features.occasions.occasions`, with the optional columns that `spec` counts on.
    cutoff
        Last day that is known.
    spec
        See :func:`feature_spec`.
    money_scale
        Money is divided by it before logarithms are taken; None: :func:`money_scale_at` of the cutoff. It
        is the one thing by which other customers touch a customer's features (order_value_log, and
        order_value_geo).
    signals
        The optional tables that `spec` counts on.

    Returns
    -------
    customer_id, the columns of :func:`churnlab.features.rfm.rfm_columns`, then those of
    :func:`churnlab.features.behaviour.behaviour_columns` and `return_columns`, then those of
    :func:`churnlab.features.signals.signal_features`; float64, NaN where undefined for the customer. Sorted
    by customer_id.

    Raises
    ------
    DataError
        orders lacks a column, or a table of `signals` cannot bear the spec.
    """
    table = snapshot_table(orders, cutoff, spec, money_scale, signals)
    return table.order_by("customer_id").to_pyarrow().to_pandas()


def snapshot_table(
    orders: ir.Table,
    cutoff: date,
    spec: FeatureSpec,
    money_scale: float | None = None,
    signals: Signals = NOTHING,
) -> ir.Table:
    """What :func:`snapshot` gives, in no order, left to the engine."""
    _check_columns(orders, spec)
    check_signals(signals, spec, cutoff)
    days = cached_days(orders, cutoff, _wanted(spec))
    scale = _median_value(days) if money_scale is None else money_scale
    return _features(days, cutoff, spec, scale, signals)


def feature_names(spec: FeatureSpec) -> list[str]:
    """The columns of :func:`snapshot` after customer_id."""
    orders = ibis.table({name: TYPES.get(name, "float64") for name in (*REQUIRED, *_needed(spec))}, "orders")
    any_day = date(2000, 1, 1)
    days = customer_days(orders, any_day)
    return list(_features(days, any_day, spec, 1.0, unbound_signals(spec)).columns[1:])


def _features(
    days: ir.Table, cutoff: date, spec: FeatureSpec, money_scale: float, signals: Signals
) -> ir.Table:
    visits = with_history(days, cutoff)
    columns = rfm_columns(visits) | behaviour_columns(visits, cutoff, spec, money_scale)
    described = visits.group_by("customer_id").aggregate(**columns)
    if spec.has_returns:
        returned = days.group_by("customer_id").aggregate(**return_columns(days, cutoff, spec))
        described = described.join(returned, "customer_id")
    bought = days.filter(days.is_purchase)
    buyers = bought.group_by("customer_id").aggregate(first_day=bought.day.min())
    for told in signal_features(buyers, cutoff, spec, signals):
        described = described.join(told, "customer_id")
    return described


def money_scale_at(orders: ir.Table, cutoff: date) -> float:
    """Median net amount of the purchase days up to the cutoff that are worth more than 0; 1 if none is."""
    return _median_value(customer_days(orders, cutoff))


def _median_value(days: ir.Table) -> float:
    paid = days.filter(days.is_purchase & (days.net > 0))
    median = paid.net.cast("float64").median().to_pyarrow().as_py()
    return 1.0 if median is None else float(median)


def _wanted(spec: FeatureSpec) -> list[str]:
    """The columns of orders, besides the amount, that the spec's features are made of."""
    money = ["gross"] * (spec.has_discount or spec.has_returns) + ["returned"] * spec.has_returns
    return [*money, *_needed(spec)]


def _needed(spec: FeatureSpec) -> list[str]:
    return [name for flag, names in NEEDS.items() if getattr(spec, flag) for name in names]


def _check_columns(orders: ir.Table, spec: FeatureSpec) -> None:
    missing = [name for name in _needed(spec) if name not in orders.columns]
    if missing:
        raise DataError(
            f"orders: lacks {', '.join(missing)}, which the model's features use: "
            "map the columns in data.columns, or train a model without them"
        )


def snapshot_cutoffs(first_day: date, as_of: date, horizon_days: int, settings: Features) -> list[date]:
    """The cutoffs whose outcomes are known at `as_of`, newest first; none if the history is too short.

    Parameters
    ----------
    first_day
        Day of the first purchase in the data.
    as_of
        Last day that is known.
    horizon_days
        Length of the outcome window: the newest cutoff is `as_of - horizon_days`.
    settings
        min_history_days before the oldest cutoff, which is at most max_lookback_days before the newest;
        at most max_snapshots, at least min_step_days apart.
    """
    newest = as_of - timedelta(days=horizon_days)
    oldest = max(
        first_day + timedelta(days=settings.min_history_days),
        newest - timedelta(days=settings.max_lookback_days),
    )
    span = (newest - oldest).days
    if span < 0:
        return []
    step = max(settings.min_step_days, math.ceil(span / (settings.max_snapshots - 1)))
    return [newest - timedelta(days=back) for back in range(0, span + 1, step)]

"""Snapshots: every customer as known at a cutoff, and the cutoffs from which models learn."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING

import ibis
import pandas as pd

from churnlab.config import Features
from churnlab.errors import DataError
from churnlab.features.described import NEEDS, described, described_names, needed_columns, wanted_columns
from churnlab.features.occasions import as_rows, customer_days, fetched_days
from churnlab.features.on_spark import is_on_spark, mapped_by_customer
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
    customer_id, the columns of :func:`churnlab.features.described.described`, then those of
    :func:`churnlab.features.signals.signal_features`; float64, NaN where undefined for the customer. Sorted
    by customer_id.

    Raises
    ------
    DataError
        orders lacks a column, or a table of `signals` cannot bear the spec.
    """
    if is_on_spark(orders):
        table = snapshot_table(orders, cutoff, spec, money_scale, signals)
        return table.order_by("customer_id").to_pyarrow().to_pandas()
    _check(orders, cutoff, spec, signals)
    scale = money_scale_at(orders, cutoff) if money_scale is None else money_scale
    frame = described(
        fetched_days(orders, cutoff, wanted_columns(spec), spec.has_returns), cutoff, spec, scale
    )
    told = (table.order_by("customer_id") for table in _told(orders, cutoff, spec, signals))
    return pd.concat([frame, *(_figures_beside(table, frame) for table in told)], axis=1)


def snapshot_table(
    orders: ir.Table,
    cutoff: date,
    spec: FeatureSpec,
    money_scale: float | None = None,
    signals: Signals = NOTHING,
) -> ir.Table:
    """What :func:`snapshot` gives, in no order, worked out by Spark's workers."""
    _check(orders, cutoff, spec, signals)
    scale = money_scale_at(orders, cutoff) if money_scale is None else money_scale
    days = customer_days(orders, cutoff, wanted_columns(spec))
    describe = partial(described, cutoff=cutoff, spec=spec, money_scale=scale)
    table = mapped_by_customer(as_rows(days, spec.has_returns), describe, described_names(spec))
    for told in _told(orders, cutoff, spec, signals):
        table = table.join(told, "customer_id")
    return table


def feature_names(spec: FeatureSpec) -> list[str]:
    """The columns of :func:`snapshot` after customer_id."""
    buyers = ibis.table({"customer_id": "string", "first_day": "date"}, "buyers")
    told = signal_features(buyers, date(2000, 1, 1), spec, unbound_signals(spec))
    return [*described_names(spec), *(name for table in told for name in table.columns[1:])]


def _told(orders: ir.Table, cutoff: date, spec: FeatureSpec, signals: Signals) -> Iterator[ir.Table]:
    bought = orders.filter(orders.is_purchase & (orders.day <= cutoff))
    buyers = bought.group_by("customer_id").aggregate(first_day=bought.day.min())
    return signal_features(buyers, cutoff, spec, signals)


def _figures_beside(table: ir.Table, frame: pd.DataFrame) -> pd.DataFrame:
    """The table's columns but customer_id: its customers are those of the frame, in the same order."""
    told = table.to_pyarrow().to_pandas()
    if not told["customer_id"].equals(frame["customer_id"]):
        raise AssertionError("the optional tables describe other customers than the orders do")
    return told.drop(columns="customer_id")


def money_scale_at(orders: ir.Table, cutoff: date) -> float:
    """Median net amount of the purchase days up to the cutoff that are worth more than 0; 1 if none is."""
    days = customer_days(orders, cutoff, ())
    paid = days.filter(days.is_purchase & (days.net > 0))
    median = paid.net.cast("float64").median().to_pyarrow().as_py()
    return 1.0 if median is None else float(median)


def _check(orders: ir.Table, cutoff: date, spec: FeatureSpec, signals: Signals) -> None:
    _check_columns(orders, spec)
    check_signals(signals, spec, cutoff)


def _check_columns(orders: ir.Table, spec: FeatureSpec) -> None:
    missing = [name for name in needed_columns(spec) if name not in orders.columns]
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

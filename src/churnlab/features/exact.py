"""Sums that come out bit for bit the same whatever the order or the splitting of the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis

if TYPE_CHECKING:
    import ibis.expr.types as ir

Columns = dict[str, "ir.Value"]
MONEY = "decimal(38, 12)"
CENTS, CENTS_END = "decimal(18, 2)", 10**9  # 64 bits: sums of 10 million such rows fit too


def exact(values: ir.NumericValue, where: ir.BooleanValue | None = None) -> ir.FloatingValue:
    """Sum of whole numbers or decimals (of others, as decimals with 12 places), 0 for no rows.

    Floating-point sums depend on the order of the rows.
    """
    if not (values.type().is_decimal() or values.type().is_integer()):
        values = values.cast(MONEY)
    return values.sum(where=where).cast("float64").fill_null(0.0)


def in_cents(values: ir.NumericValue) -> ir.DecimalValue:
    """Values as decimals with 2 places; null for one that :func:`are_cents` does not hold for."""
    return (values.abs() < CENTS_END).ifelse(values, ibis.null("float64")).cast(CENTS)


def are_cents(values: ir.NumericValue) -> ir.BooleanValue:
    """Whether 2 places in 64 bits hold all that 12 places in 128 bits would."""
    return (in_cents(values) == values.cast(MONEY)).fill_null(False)


def counted(rows: ir.BooleanValue) -> ir.FloatingValue:
    """The number of rows for which the condition holds."""
    return rows.ifelse(True, ibis.null("boolean")).count().cast("float64")


def ratio(above: Any, below: Any) -> ir.FloatingValue:
    """above / below, null where below is 0."""
    return above / below.nullif(0)

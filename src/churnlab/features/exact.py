"""Sums that come out bit for bit the same whatever the order or the splitting of the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis

if TYPE_CHECKING:
    import ibis.expr.types as ir

MONEY = "decimal(38, 12)"
WEIGHTED = "decimal(38, 6)"
FRACTION = "decimal(38, 30)"
WEIGHT_ONE = 2**30


def exact(values: ir.NumericValue, where: ir.BooleanValue | None = None) -> ir.FloatingValue:
    """Sum as decimals with 12 places, 0 for no rows: floating-point sums depend on the order of the rows."""
    return values.cast(MONEY).sum(where=where).cast("float64").fill_null(0.0)


def counted(rows: ir.BooleanValue) -> ir.FloatingValue:
    """The number of rows for which the condition holds."""
    return rows.cast("int64").sum().cast("float64")


def weight(age_days: ir.NumericValue, half_life_days: int) -> ir.IntegerValue:
    """2^(-age / half-life) as an integer number of 2^-30."""
    decay = ibis.literal(2.0) ** (age_days * (-1.0 / half_life_days))
    return (decay * float(WEIGHT_ONE)).round().cast("int64")


def weighted(values: ir.NumericValue, weights: ir.IntegerValue) -> ir.FloatingValue:
    """Exact sum of values times :func:`weight`, in units of the values."""
    products = values.cast("float64") * weights.cast("float64")
    return products.cast(WEIGHTED).sum().cast("float64").fill_null(0.0) / float(WEIGHT_ONE)


def ratio(above: Any, below: Any) -> ir.FloatingValue:
    """above / below, null where below is 0."""
    return above / below.nullif(0)


def log1p(x: ir.FloatingValue) -> ir.FloatingValue:
    """log(1 + x) without loss for small x (Goldberg 1991, theorem 4); SQL has no log1p."""
    above = x + 1.0
    return (x * above.ln() / (above - 1.0).nullif(0.0)).fill_null(x)


def expm1(x: ir.FloatingValue) -> ir.FloatingValue:
    """exp(x) - 1 without loss for small x (Higham 2002, section 1.14.1); SQL has no expm1."""
    power = x.exp()
    return ((power - 1.0) * x / power.ln().nullif(0.0)).fill_null(x)

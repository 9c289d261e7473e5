"""Sums that come out bit for bit the same whatever the order or the splitting of the rows."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import ibis

if TYPE_CHECKING:
    import ibis.expr.types as ir

MONEY = "decimal(38, 12)"
CENTS, CENTS_END = "decimal(18, 2)", 10**9  # 64 bits: sums of 10 million such rows fit too
WEIGHTED = "decimal(38, 6)"
FRACTION = "decimal(38, 30)"
WEIGHT_ONE = 2**30
SMALL, SMALL_END = "decimal(18, 6)", 10**12  # 64 bits
PARTS_END = 10**18


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


def weight(age_days: ir.NumericValue, half_life_days: int) -> ir.IntegerValue:
    """2^(-age / half-life) as an integer number of 2^-30."""
    decay = ibis.literal(2.0) ** _doublings(age_days, half_life_days)
    return (decay * float(WEIGHT_ONE)).round().cast("int64")


def _doublings(age_days: ir.NumericValue, half_life_days: int) -> ir.NumericValue:
    """-age / half-life, by division where that gives the same weights as the engines' decimals.

    DuckDB reads the factor as the decimal that Python writes, and multiplies decimals of 128 bits: slow, and
    as exact as a division. The two give different weights only where the weight is half of 2^-30, 31
    half-lives back, if the decimal falls short of 1 / half-life by more than a rounding.
    """
    if float(Decimal(repr(1.0 / half_life_days)) * half_life_days * 31) == 31.0:
        return age_days.cast("float64") / float(-half_life_days)
    return age_days * (-1.0 / half_life_days)


def weighted(values: ir.NumericValue, weights: ir.IntegerValue) -> ir.FloatingValue:
    """Exact sum of values times :func:`weight`, in units of the values."""
    products = values.cast("float64") * weights.cast("float64")
    total = as_float(products.cast(WEIGHTED).sum(), products.sum())
    return total.fill_null(0.0) / float(WEIGHT_ONE)


def as_float(total: ir.DecimalValue, about: ir.FloatingValue) -> ir.FloatingValue:
    """The cast of a decimal(38, 6) to float64, without the division of 128-bit integers that makes it slow.

    Parameters
    ----------
    total
        A sum.
    about
        The same sum in floating point: its last digits do not matter, they are corrected.
    """
    whole = about.floor().cast("int64")
    rest = (total - whole).cast(SMALL)
    over = rest.floor().cast("int64")
    in_parts = (whole + over).cast("float64") + (rest - over).cast(SMALL).cast("float64")
    return ibis.cases(
        (total.abs() < SMALL_END, total.cast(SMALL).cast("float64")),
        ((total > 0) & (total < PARTS_END), in_parts),
        else_=total.cast("float64"),
    )


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

"""Sums of numbers as the decimals they are printed as: 0.1 is one tenth, and ten of them are one."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import ibis

if TYPE_CHECKING:
    import ibis.expr.types as ir

DECIMAL = "decimal(38, 12)"
COUNTED = "decimal(30, 4)"
UNIT = 10_000.0  # numbers of up to four decimals are counted in ten-thousandths
MOST = 1e11  # a larger number may have 16 digits so counted, and two of those may be the same float
EXACT_FLOAT = 2**53


@dataclass(frozen=True)
class Total:
    """An exact sum in two parts: most numbers are counted, which is fast, the others added as decimals.

    Attributes
    ----------
    units
        Sum of the numbers with up to four decimals, in ten-thousandths.
    rest
        Sum of the others; null if there is none.
    """

    units: ir.IntegerValue
    rest: ir.DecimalValue

    def __sub__(self, other: Total) -> Total:
        none = self.rest.isnull() & other.rest.isnull()
        rest = self.rest.fill_null(0) - other.rest.fill_null(0)
        return Total(self.units - other.units, none.ifelse(ibis.null(DECIMAL), rest))

    def as_float(self) -> ir.FloatingValue:
        """The float nearest to the sum.

        A division of two whole numbers that floats hold exactly gives it; the engine's own cast of a decimal
        rounds twice, that of a text once.
        """
        counted = self.units.cast(COUNTED) * ibis.literal(Decimal(1) / int(UNIT), COUNTED)
        whole = counted.cast(DECIMAL) + self.rest.fill_null(0)
        plain = self.rest.isnull() & (self.units.abs() <= EXACT_FLOAT)
        return plain.ifelse(self.units.cast("float64") / UNIT, whole.cast("string").cast("float64"))


def total(number: ir.FloatingValue, where: ir.BooleanValue) -> Total:
    """The sum of a column over the rows for which `where` holds; 0 for no rows."""
    units = (number.between(0.0, MOST).ifelse(number, ibis.null("float64")) * UNIT).round()
    is_counted = (units.cast("float64") / UNIT == number).fill_null(False)
    rest = is_counted.ifelse(ibis.null(DECIMAL), number.cast("string").cast(DECIMAL))
    counted = is_counted.ifelse(units, ibis.null("int64"))
    return Total(counted.sum(where=where).fill_null(0), rest.sum(where=where))

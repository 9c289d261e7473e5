"""What one pass over judged lines tells of all of them, so that each question need not read them anew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

import ibis

if TYPE_CHECKING:
    import ibis.expr.types as ir


@dataclass(frozen=True)
class Tally:
    """Lines counted by day.

    Attributes
    ----------
    refused
        Lines that have a reason.
    days
        Of the others, by day: n, returns, dearest (amount of the dearest sale line, None without one),
        first_file, last_file (by name) and unnamed (lines without an order id).
    """

    refused: int
    days: dict[date, dict[str, Any]]

    @cached_property
    def accepted(self) -> int:
        """Lines without a reason."""
        return self._sum("n")

    @cached_property
    def returns(self) -> int:
        """Return lines among them."""
        return self._sum("returns")

    @cached_property
    def unnamed(self) -> int:
        """Accepted lines without an order id."""
        return self._sum("unnamed")

    @cached_property
    def dearest(self) -> float | None:
        """The largest amount of an accepted sale line; None where there is none."""
        known = [day["dearest"] for day in self.days.values() if day["dearest"] is not None]
        return max(known, default=None)

    @property
    def lines_by_day(self) -> dict[date, int]:
        """Accepted lines."""
        return {day: told["n"] for day, told in self.days.items()}

    def days_in_two_files(self) -> list[date]:
        """Days of which more than one file tells."""
        return sorted(day for day, told in self.days.items() if told["first_file"] < told["last_file"])

    def _sum(self, name: str) -> int:
        return sum(day[name] for day in self.days.values())


def tally(lines: ir.Table) -> Tally:
    """Count judged lines.

    Parameters
    ----------
    lines
        reason, ts, amount, is_return, source_file and, where the source has it, order_id.
    """
    named = lines["order_id"].notnull() if "order_id" in lines.columns else ibis.literal(False)
    by_day = lines.group_by(day=lines["ts"].date(), is_refused=lines["reason"].notnull()).aggregate(
        n=lines.count(),
        returns=lines.count(where=lines["is_return"]),
        dearest=lines["amount"].max(where=~lines["is_return"]),
        first_file=lines["source_file"].min(),
        last_file=lines["source_file"].max(),
        unnamed=lines.count(where=~named),
    )
    rows = by_day.to_pyarrow().to_pylist()
    return Tally(
        refused=sum(row["n"] for row in rows if row["is_refused"]),
        days={row.pop("day"): row for row in rows if not row.pop("is_refused")},
    )

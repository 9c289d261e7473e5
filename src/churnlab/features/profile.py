"""What is in the data: rows, customers, calendar, money, returns, rhythm, and a proposed horizon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import ibis

from churnlab.config import Params
from churnlab.data.cautions import cautions
from churnlab.data.cleaning import OPTIONAL
from churnlab.data.contract import REASONS
from churnlab.data.daily import CalendarGap, calendar_gaps, orders_per_day
from churnlab.features.gates import Gate, gates
from churnlab.features.horizon import Suggestion, suggest
from churnlab.features.rhythm import Rhythm, rhythm
from churnlab.features.shop_figures import Figures, Month, months, shop_figures
from churnlab.features.waits import purchase_days, waits

if TYPE_CHECKING:
    import ibis.expr.types as ir


@dataclass(frozen=True)
class Refused:
    """Lines set aside for one reason: how many, how to mend them, and where the first of them stands."""

    reason: str
    rows: int
    share: float
    remedy: str
    first_file: str
    first_row: int


@dataclass(frozen=True)
class Rows:
    """What became of the lines of the source."""

    read: int
    accepted: int
    quarantined: int
    share_quarantined: float
    refused: tuple[Refused, ...]


@dataclass(frozen=True)
class Shop:
    """What the accepted orders say, where there is a purchase among them.

    `gates`: for the horizon that is set and the proposed one, in days, what each model needs.
    """

    first_day: date
    last_day: date
    history_days: int
    figures: Figures
    months: tuple[Month, ...]
    calendar_gaps: tuple[CalendarGap, ...]
    rhythm: Rhythm
    suggestion: Suggestion
    gates: dict[str, tuple[Gate, ...]]


@dataclass(frozen=True)
class Profile:
    """What is in one source.

    Attributes
    ----------
    rows
        Read, accepted and refused lines.
    as_of
        Last day that counts; None where not one line is accepted.
    timezone
        Business time zone, in which days begin and end.
    columns
        Optional column to whether the orders have it.
    horizon_days
        The one that is set.
    shop
        None where there is no purchase.
    cautions
        What looks odd, in sentences.
    """

    rows: Rows
    as_of: date | None
    timezone: str
    columns: dict[str, bool]
    horizon_days: int
    shop: Shop | None
    cautions: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values, days as ISO dates."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def profile(orders: ir.Table, quarantine: ir.Table, summary: Mapping[str, Any], params: Params) -> Profile:
    """Look at everything that ingest accepted, and at how much it refused.

    Parameters
    ----------
    orders, quarantine
        Tables of :mod:`churnlab.data.contract`.
    summary
        rows_read, rows_accepted, rows_quarantined, return_line_share, as_of (ISO date or None), as ingest
        writes them.
    params
        The sections `data`, `features`, `gates` and `evaluation` count.
    """
    as_of = date.fromisoformat(summary["as_of"]) if summary["as_of"] else None
    return Profile(
        rows=_rows(quarantine, summary),
        as_of=as_of,
        timezone=params.data.timezone,
        columns={name: column in orders.columns for name, column in OPTIONAL.items()},
        horizon_days=params.features.horizon_days,
        shop=_shop(orders, as_of, summary, params) if as_of else None,
        cautions=(*summary.get("cautions", ()), *(cautions(orders, as_of) if as_of else ())),
    )


def _rows(quarantine: ir.Table, summary: Mapping[str, Any]) -> Rows:
    read = summary["rows_read"]
    place = ibis.row_number().over(
        group_by=quarantine.reason, order_by=[quarantine.source_file, quarantine.source_row]
    )
    marked = quarantine.select("source_file", "source_row", "reason", place=place)
    counts = marked.group_by("reason").aggregate(n=marked.count())
    first = marked.filter(marked.place == 0)
    found = first.join(counts, "reason").order_by([ibis.desc("n"), "reason"]).to_pyarrow().to_pylist()
    refused = (
        Refused(
            reason=row["reason"],
            rows=row["n"],
            share=row["n"] / read,
            remedy=REASONS.get(row["reason"], ""),
            first_file=row["source_file"],
            first_row=row["source_row"],
        )
        for row in found
    )
    set_aside = summary["rows_quarantined"]
    return Rows(read, summary["rows_accepted"], set_aside, set_aside / max(read, 1), tuple(refused))


def _shop(orders: ir.Table, as_of: date, summary: Mapping[str, Any], params: Params) -> Shop | None:
    days = purchase_days(orders, as_of).cache()
    ends = days.aggregate(first=days.day.min(), last=days.day.max()).to_pyarrow().to_pylist()[0]
    if ends["first"] is None:
        return None
    counted = waits(days, as_of)
    suggestion = suggest(days, counted, as_of, ends["first"], params.features)
    horizons = sorted({params.features.horizon_days, suggestion.horizon_days or params.features.horizon_days})
    return Shop(
        first_day=ends["first"],
        last_day=ends["last"],
        history_days=(as_of - ends["first"]).days + 1,
        figures=shop_figures(orders, summary["return_line_share"]),
        months=months(orders),
        calendar_gaps=tuple(calendar_gaps(orders_per_day(orders.filter(orders.is_purchase), as_of))),
        rhythm=rhythm(days, counted),
        suggestion=suggestion,
        gates={str(horizon): tuple(gates(orders, as_of, horizon, params)) for horizon in horizons},
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value.isoformat() if isinstance(value, date) else value

"""How satisfied a shop's customers are, month by month: complaints, answers, survey scores, wishes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import ibis
import pandas as pd

from churnlab.features.encounters import known_interactions
from churnlab.features.exact import counted, exact, ratio

if TYPE_CHECKING:
    import ibis.expr.types as ir

LATELY_DAYS = 365
PROMOTER, DETRACTOR = 9.0, 6.0  # of 0 to 10, from and up to (Reichheld 2003)
TOP_CAUSES = 8
FEWEST = 3  # topics of fewer complaints may be a customer's own words: they are told together
UNKNOWN, OTHERS = "(unknown)", "(others)"
LATELY = "lately"
MONTHS = {
    "month": "str",
    "active_customers": "int64",
    "complaints": "int64",
    "complaints_per_100_active": "float64",
    "complaints_open": "int64",
    "csat_answers": "int64",
    "csat": "float64",
    "nps_answers": "int64",
    "nps": "float64",
    "intent_answers": "int64",
    "intent": "float64",
    "wishes": "int64",
}
CHANNELS = {
    "period": "str",
    "channel": "str",
    "responses": "int64",
    "response_hours": "float64",
    "resolutions": "int64",
    "resolution_hours": "float64",
}
CAUSES = {"cause": "str", "complaints": "int64", "share": "float64", "open": "int64", "before": "int64"}
WISHES = {"wish": "str", "wishes": "int64", "share": "float64", "before": "int64"}
ENDINGS = {"response": ("responded", "responses"), "resolution": ("resolved", "resolutions")}


@dataclass(frozen=True)
class Satisfaction:
    """What :func:`satisfaction` finds.

    Attributes
    ----------
    first_day
        The first day of the interactions table.
    months
        One row per month. complaints_open: those of any day that were not settled at the month's end; csat:
        mean from 0 to 1; nps: promoters less detractors, in points from -100 to 100; intent: mean from 0 to
        10; NaN where nothing is known.
    channels
        Month, or `lately` for the last `LATELY_DAYS`, and channel: how many first answers were given then,
        how many matters settled, and half of them within how many hours. A wait counts when it ends.
    causes
        Topics of the complaints of the last `LATELY_DAYS`, most frequent first: share of all, still open, and
        how many there were in as many days before.
    wished
        The same of the wishes, which are never settled.
    """

    first_day: date
    months: pd.DataFrame
    channels: pd.DataFrame
    causes: pd.DataFrame
    wished: pd.DataFrame


def satisfaction(interactions: ir.Table, orders: ir.Table, start: date, end: date) -> Satisfaction | None:
    """Trends of the months between `start` and `end`; None where nothing is known by then.

    Whoever was asked or complained on a day after `end` is not looked at, nor is an answer of a later day. So
    no figure of a month that is over changes afterwards.

    Parameters
    ----------
    interactions
        customer_id, ts, kind, score, channel, topic, responded, resolved, as ingest writes them.
    orders
        customer_id, day, is_purchase: a customer with a purchase in a month is active in it.
    start, end
        First and last day, both included. Months begin with the table: of those before, it tells nothing.
    """
    known = known_interactions(interactions, end)
    first: date | None = known.aggregate(day=known.ts.date().min()).to_pyarrow().to_pylist()[0]["day"]
    if first is None:
        return None
    months = pd.period_range(max(first, start), end, freq="M").astype(str)
    return Satisfaction(
        first,
        _months(known, orders, end, months),
        _channels(known, end, months),
        causes=_topics(known, "complaint", {"topic": "cause", "rows": "complaints"})[list(CAUSES)].astype(
            CAUSES
        ),
        wished=_topics(known, "wish", {"topic": "wish", "rows": "wishes"})[list(WISHES)].astype(WISHES),
    )


def _months(known: ir.Table, orders: ir.Table, end: date, months: pd.Index) -> pd.DataFrame:
    bought = orders.filter((orders.day <= end) & orders.is_purchase)
    active = _by_month(bought, bought.day, active_customers=bought.customer_id.nunique())
    told = _by_month(known, known.ts.date(), **_asked(known))
    complaints = known.filter(known.kind == "complaint")
    settled = complaints.filter(complaints.resolution_seconds >= 0)
    closed = _by_month(settled, settled.resolved.date(), closed=settled.count())
    whole = told.join(closed, how="outer").join(active, how="outer")
    whole = whole.reindex(whole.index.union(months)).sort_index()
    counts = [*(name for name, kind in MONTHS.items() if kind == "int64" and name in whole), "closed"]
    whole[counts] = whole[counts].fillna(0)
    buyers = whole["active_customers"].where(whole["active_customers"] > 0)
    found = whole.assign(
        complaints_per_100_active=100 * whole["complaints"] / buyers,
        complaints_open=(whole["complaints"] - whole["closed"]).cumsum(),
    ).loc[months]
    return found.reset_index(names="month")[list(MONTHS)].astype(MONTHS)


def _asked(rows: ir.Table) -> dict[str, ir.Value]:
    """Complaints and wishes of the month, and what those said who were asked."""
    csat, nps, intent = (
        ((rows.kind == kind) & (rows.score >= 0)).fill_null(False) for kind in ("csat", "nps", "intent")
    )
    promoters, detractors = nps & (rows.score >= PROMOTER), nps & (rows.score <= DETRACTOR)
    return {
        "complaints": counted((rows.kind == "complaint").fill_null(False)),
        "csat_answers": counted(csat),
        "csat": ratio(exact(rows.score, where=csat), counted(csat)),
        "nps_answers": counted(nps),
        "nps": ratio(100 * (counted(promoters) - counted(detractors)), counted(nps)),
        "intent_answers": counted(intent),
        "intent": ratio(exact(rows.score, where=intent), counted(intent)),
        "wishes": counted((rows.kind == "wish").fill_null(False)),
    }


def _by_month(rows: ir.Table, day: ir.DateValue, **columns: ir.Value) -> pd.DataFrame:
    named = rows.group_by(month=day.strftime("%Y-%m")).aggregate(**columns)
    return named.to_pandas().set_index("month")


def _channels(known: ir.Table, end: date, months: pd.Index) -> pd.DataFrame:
    response, resolution = (_waits(known, name, end) for name in ENDINGS)
    whole = response.join(resolution, how="outer").reset_index()
    whole = whole[whole["period"].isin({*months, LATELY})]
    whole = whole.fillna({count: 0 for _, count in ENDINGS.values()})
    return whole.sort_values(["period", "channel"], ignore_index=True)[list(CHANNELS)].astype(CHANNELS)


def _waits(known: ir.Table, name: str, end: date) -> pd.DataFrame:
    """Number and median hours of waits that ended, by the month of their end and over the last year."""
    ending, count = ENDINGS[name]
    rows = known.filter(known[f"{name}_seconds"] >= 0)
    rows = rows.mutate(channel=rows.channel.fill_null(UNKNOWN), day=rows[ending].date())
    lately = rows.filter(rows.day > end - timedelta(days=LATELY_DAYS))
    told = []
    for part in (rows.mutate(period=rows.day.strftime("%Y-%m")), lately.mutate(period=ibis.literal(LATELY))):
        hours = {count: part.count(), f"{name}_hours": part[f"{name}_seconds"].median() / 3600.0}
        told.append(part.group_by("period", "channel").aggregate(**hours).to_pandas())
    return pd.concat(told).set_index(["period", "channel"])


def _topics(known: ir.Table, kind: str, named: dict[str, str]) -> pd.DataFrame:
    """Topics of the rows of a kind, most frequent of the last `LATELY_DAYS` first; `named`: columns anew."""
    rows = known.filter((known.kind == kind) & (known.age_days < 2 * LATELY_DAYS))
    lately = rows.age_days < LATELY_DAYS
    each = rows.group_by(topic=rows.topic.fill_null(UNKNOWN)).aggregate(
        rows=counted(lately),
        open=counted(lately & ~(rows.resolution_seconds >= 0).fill_null(False)),
        before=counted(~lately),
    )
    found = each.to_pandas().sort_values(["rows", "topic"], ascending=[False, True], ignore_index=True)
    rare = (found["rows"] + found["before"] < FEWEST) | (found.index >= TOP_CAUSES)
    told = pd.concat([found[~rare], _together(found[rare])], ignore_index=True)
    told = told[told["rows"] + told["before"] > 0]
    return told.assign(share=told["rows"] / max(told["rows"].sum(), 1)).rename(columns=named)


def _together(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame([{"topic": OTHERS, **rows[["rows", "open", "before"]].sum().to_dict()}])

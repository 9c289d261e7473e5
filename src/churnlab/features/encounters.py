"""What passed between shop and customer up to a cutoff: complaints, survey answers, wishes, contacts."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import ibis

from churnlab.features.exact import counted, exact, ratio

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from churnlab.features.exact import Columns
    from churnlab.features.spec import FeatureSpec

WINDOWS_DAYS = (30, 90, 365)
WISH_WINDOWS_DAYS = (90,)
MEAN_WINDOW_DAYS = 365


def interaction_features(
    buyers: ir.Table, interactions: ir.Table, cutoff: date, spec: FeatureSpec
) -> ir.Table:
    """Complaints, tickets, survey answers and wishes of every buyer.

    Parameters
    ----------
    buyers
        customer_id, one row each.
    interactions
        customer_id, ts, kind (complaint, ticket, csat, nps, intent, wish), score, responded, resolved. A row
        is known from its ts, its response from `responded` and its resolution from `resolved`; of a day after
        the cutoff, none is.
    cutoff
        Last day that is known.
    spec
        Which columns count. Trailing windows are those of `WINDOWS_DAYS` within its interaction_days.

    Returns
    -------
    customer_id and float64 columns, one row per buyer. Counts are 0 for a buyer without a row; days since
    the last one, scores and mean hours are null. csat is 0 to 1, nps and intent 0 to 10;
    `complaint_open` counts the complaints whose resolution is not known.
    """
    rows = _beside(buyers, known_interactions(interactions, cutoff))
    columns = complaints(rows, spec) | scores(rows, spec) | wishes(rows, spec) | hours(rows, spec)
    return rows.group_by("customer_id").aggregate(**columns)


def contact_features(buyers: ir.Table, contacts: ir.Table, cutoff: date, spec: FeatureSpec) -> ir.Table:
    """How often and how lately every buyer was contacted; those left alone on purpose (control) were not.

    Parameters
    ----------
    buyers
        customer_id, one row each.
    contacts
        customer_id, ts, group (treated, control).
    cutoff, spec
        As in :func:`interaction_features`; windows are those within the spec's contact_days.
    """
    rows = _beside(buyers, _known(contacts.filter(contacts.group == "treated"), cutoff))
    columns = {
        **_counts(rows.age_days.notnull(), rows.age_days, "contacted", spec.contact_days),
        "days_since_last_contact": rows.age_days.min().cast("float64"),
    }
    return rows.group_by("customer_id").aggregate(**columns)


def interactions_hold(interactions: ir.Table, cutoff: date, history_days: int) -> dict[str, Any]:
    """The flags of the spec that the interactions up to the cutoff support, and how many days they cover."""
    known = known_interactions(interactions, cutoff)
    scored = known.score.notnull()
    row = _only_row(
        known.aggregate(
            interaction_days=known.age_days.max(),
            has_complaints=(known.kind == "complaint").any(),
            has_tickets=(known.kind == "ticket").any(),
            has_csat=((known.kind == "csat") & scored).any(),
            has_nps=((known.kind == "nps") & scored).any(),
            has_intent=((known.kind == "intent") & scored).any(),
            has_wishes=(known.kind == "wish").any(),
            has_response=known.response_seconds.notnull().any(),
            has_resolution=known.resolution_seconds.notnull().any(),
        )
    )
    days = _covered(row.pop("interaction_days"), history_days)
    return {flag: bool(held) for flag, held in row.items()} | {"interaction_days": days}


def contacts_hold(contacts: ir.Table, cutoff: date, history_days: int) -> dict[str, Any]:
    """The same of the contacts."""
    known = _known(contacts.filter(contacts.group == "treated"), cutoff)
    days = _covered(_only_row(known.aggregate(oldest=known.age_days.max()))["oldest"], history_days)
    return {"has_contacts": days > 0, "contact_days": days}


def known_interactions(interactions: ir.Table, cutoff: date) -> ir.Table:
    """Rows up to the cutoff, with what was known of them then.

    Returns
    -------
    The columns of `interactions` and age_days; response_seconds and resolution_seconds, null where the
    response or resolution came later or never; is_last_score: the row bears the customer's last score of its
    kind.
    """
    known = _known(interactions, cutoff)
    scored_ts = known.score.notnull().ifelse(known.ts, ibis.null(known.ts.type()))
    last = scored_ts.max().over(ibis.window(group_by=["customer_id", "kind"]))
    return known.mutate(
        response_seconds=_seconds(known.ts, known.responded, cutoff),
        resolution_seconds=_seconds(known.ts, known.resolved, cutoff),
        is_last_score=(known.ts == last) & known.score.notnull(),
    )


def complaints(rows: ir.Table, spec: FeatureSpec) -> Columns:
    """How many complaints and tickets, how lately, how many still open."""
    columns: Columns = {}
    complaint = _is(rows, "complaint")
    if spec.has_complaints:
        columns |= _counts(complaint, rows.age_days, "complaints", spec.interaction_days)
        columns["days_since_last_complaint"] = rows.age_days.min(where=complaint).cast("float64")
    if spec.has_complaints and spec.has_resolution:
        columns["complaint_open"] = counted(complaint & rows.resolution_seconds.isnull())
    if spec.has_tickets:
        columns |= _counts(_is(rows, "ticket"), rows.age_days, "tickets", spec.interaction_days)
    return columns


def scores(rows: ir.Table, spec: FeatureSpec) -> Columns:
    """What customers answered when asked: the last answer (the mean of those of one moment), and all."""
    columns: Columns = {}
    for kind in ("csat", "nps", "intent"):
        if getattr(spec, f"has_{kind}"):
            answered = _is(rows, kind)
            columns[f"{kind}_last"] = _mean(rows.score, answered & rows.is_last_score.fill_null(False))
            columns |= _means(kind, rows.score, answered, rows.age_days, spec)
    return columns


def wishes(rows: ir.Table, spec: FeatureSpec) -> Columns:
    """How many things were put on the wish list, and how lately."""
    if not spec.has_wishes:
        return {}
    wish = _is(rows, "wish")
    counts = _counts(wish, rows.age_days, "wishes", spec.interaction_days, WISH_WINDOWS_DAYS)
    return {**counts, "days_since_last_wish": rows.age_days.min(where=wish).cast("float64")}


def hours(rows: ir.Table, spec: FeatureSpec) -> Columns:
    """How long the customer waited for the responses and resolutions that are known."""
    columns: Columns = {}
    for name, kept in (("response", spec.has_response), ("resolution", spec.has_resolution)):
        if kept:
            seconds = rows[f"{name}_seconds"]
            means = _means(f"{name}_hours", seconds, seconds.notnull(), rows.age_days, spec)
            columns |= {column: mean / 3600.0 for column, mean in means.items()}
    return columns


def _known(events: ir.Table, cutoff: date) -> ir.Table:
    known = events.filter(events.ts.date() <= cutoff)
    return known.mutate(age_days=ibis.literal(cutoff).delta(known.ts.date(), unit="day"))


def _beside(buyers: ir.Table, events: ir.Table) -> ir.Table:
    """Every buyer with each of their events; a buyer without one keeps a row, its other columns null."""
    return buyers.select("customer_id").left_join(events, "customer_id").drop("customer_id_right")


def _is(rows: ir.Table, kind: str) -> ir.BooleanValue:
    return (rows.kind == kind).fill_null(False)


def _seconds(asked: ir.TimestampValue, answered: ir.TimestampValue, cutoff: date) -> ir.FloatingValue:
    """Whole seconds to an answer known by the cutoff: of them engines agree on sums, of hours they do not."""
    waited = answered.truncate("s").delta(asked.truncate("s"), unit="second").cast("float64")
    return (answered.date() <= cutoff).ifelse(waited, ibis.null("float64"))


def _counts(
    events: ir.BooleanValue,
    age: ir.IntegerValue,
    name: str,
    days: int,
    windows: tuple[int, ...] = WINDOWS_DAYS,
) -> Columns:
    return {f"{name}_{w}d": counted((events & (age < w)).fill_null(False)) for w in windows if w <= days}


def _means(
    name: str, values: ir.FloatingValue, rows: ir.BooleanValue, age: ir.IntegerValue, spec: FeatureSpec
) -> Columns:
    columns: Columns = {f"{name}_mean": _mean(values, rows)}
    if spec.interaction_days >= MEAN_WINDOW_DAYS:
        lately = rows & (age < MEAN_WINDOW_DAYS)
        columns[f"{name}_mean_{MEAN_WINDOW_DAYS}d"] = _mean(values, lately.fill_null(False))
    return columns


def _mean(values: ir.FloatingValue, rows: ir.BooleanValue) -> ir.FloatingValue:
    known = rows & values.notnull()
    return ratio(exact(values, where=known), counted(known))


def _covered(oldest_age_days: int | None, history_days: int) -> int:
    """Days from the table's first row to the cutoff, both included, within the history of the orders."""
    return 0 if oldest_age_days is None else min(oldest_age_days + 1, history_days)


def _only_row(aggregated: ir.Table) -> dict[str, Any]:
    row: dict[str, Any] = aggregated.to_pyarrow().to_pylist()[0]
    return row

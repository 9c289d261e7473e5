"""Who each customer was known to be at a cutoff, by the customers table."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import ibis

from churnlab.features.exact import counted

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from churnlab.features.exact import Columns
    from churnlab.features.spec import FeatureSpec

COLUMNS = ("customer_id", "known_from", "signup", "is_business", "referrer")
CONSENT = "consent_"


def customer_features(buyers: ir.Table, customers: ir.Table, cutoff: date, spec: FeatureSpec) -> ir.Table:
    """Sign-up, referrals, kind of customer and consents of every buyer.

    Language is not among them: a category turned into the share of its customers that leave would carry
    outcomes into the features.

    Parameters
    ----------
    buyers
        customer_id, first_day (of the first purchase), one row each.
    customers
        See :func:`in_force`.
    cutoff
        Last day that is known.
    spec
        Which columns count.

    Returns
    -------
    customer_id and float64 columns, one row per buyer: null where the table does not know the buyer or the
    attribute. `days_from_signup_to_first_order` is negative for who bought first and signed up later.
    """
    known = in_force(customers, cutoff)
    rows = buyers.left_join(known, "customer_id").drop("customer_id_right")
    if spec.has_referrer and spec.has_signup:
        referrals = _referrals(known)
        rows = rows.left_join(referrals, rows.customer_id == referrals.named)
    return rows.select("customer_id", **_columns(rows, cutoff, spec))


def customers_hold(customers: ir.Table, cutoff: date) -> dict[str, bool]:
    """The flags of the spec that the rows in force at the cutoff support.

    Consents are known only where the table tells from when they hold: those of today say nothing of the past.
    """
    known = in_force(customers, cutoff)
    row = known.aggregate(
        has_signup=known.signup_day.notnull().any(),
        has_business=known.is_business.any(),
        has_referrer=known.referrer.notnull().any(),
        has_consents=(known.known_from.notnull() & known.consents.notnull()).any(),
    )
    return {flag: bool(held) for flag, held in row.to_pyarrow().to_pylist()[0].items()}


def in_force(customers: ir.Table, cutoff: date) -> ir.Table:
    """One row per customer: the newest that was known by the cutoff.

    Parameters
    ----------
    customers
        customer_id, known_from (null: from ever), signup, is_business, referrer (a customer_id), and any
        number of consent_<channel>; different rows of a customer hold from different moments.

    Returns
    -------
    customer_id, known_from, signup_day; is_signed_up: signed up by the cutoff, or nobody knows when;
    is_business and referrer, which are fixed at sign-up and null before it; consents: the number of channels
    consented to, null where none is told. Nobody refers themselves.
    """
    known = known_rows(customers, cutoff)
    newest = known.known_from.max().over(ibis.window(group_by="customer_id"))
    known = known.mutate(newest=newest)
    known = known.filter(known.newest.isnull() | (known.known_from == known.newest))
    signed = known.signup.isnull() | (known.signup.date() <= cutoff)
    return known.select(
        "customer_id",
        "known_from",
        signup_day=signed.ifelse(known.signup.date(), ibis.null("date")),
        is_signed_up=signed,
        is_business=signed.ifelse(known.is_business, ibis.null("boolean")),
        referrer=signed.ifelse(known.referrer.nullif(known.customer_id), ibis.null("string")),
        consents=_consents(known),
    )


def known_rows(customers: ir.Table, cutoff: date) -> ir.Table:
    """The different rows that hold from the cutoff's day or an earlier one: one told twice counts once."""
    since = customers.known_from
    known = customers.filter(since.isnull() | (since.date() <= cutoff))
    return known.select(*COLUMNS, *consent_columns(customers)).distinct()


def consent_columns(customers: ir.Table) -> list[str]:
    """consent_<channel> of every channel."""
    return sorted(name for name in customers.columns if name.startswith(CONSENT))


def _columns(rows: ir.Table, cutoff: date, spec: FeatureSpec) -> Columns:
    columns: Columns = {}
    if spec.has_signup:
        columns["days_since_signup"] = ibis.literal(cutoff).delta(rows.signup_day, unit="day").cast("float64")
        waited = rows.first_day.delta(rows.signup_day, unit="day")
        columns["days_from_signup_to_first_order"] = waited.cast("float64")
    if spec.has_business:
        columns["is_business"] = _number(rows.is_business)
    if spec.has_referrer:
        is_referred = rows.is_signed_up.ifelse(rows.referrer.notnull(), ibis.null("boolean"))
        columns["is_referred"] = _number(is_referred)
    if spec.has_referrer and spec.has_signup:
        columns["referrals"] = rows.referrals.fill_null(0.0)
    if spec.has_consents:
        columns["consents"] = rows.consents
    return columns


def _referrals(known: ir.Table) -> ir.Table:
    """named, referrals: how many who have signed up name the customer as the one who referred them."""
    told = known.filter(known.referrer.notnull() & known.signup_day.notnull())
    return told.group_by(named=told.referrer).aggregate(referrals=counted(told.referrer.notnull()))


def _consents(customers: ir.Table) -> ir.FloatingValue:
    channels = [customers[name] for name in consent_columns(customers)]
    if not channels:
        return ibis.null("float64")
    given = sum(channel.fill_null(False).cast("int64") for channel in channels)
    told = sum(channel.notnull().cast("int64") for channel in channels)
    return (told > 0).ifelse(given.cast("float64"), ibis.null("float64"))


def _number(flag: ir.BooleanValue) -> ir.FloatingValue:
    return flag.cast("int64").cast("float64")

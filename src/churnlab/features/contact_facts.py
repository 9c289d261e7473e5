"""What the rules of contact ask of every customer: consents, contacts, complaints, orders."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import TYPE_CHECKING

import ibis

from churnlab.features.customers import CONSENT, consent_columns, in_force, known_rows
from churnlab.features.encounters import known_interactions
from churnlab.features.exact import counted, exact
from churnlab.features.signals import NOTHING, Signals

if TYPE_CHECKING:
    import ibis.expr.types as ir

YEAR_DAYS = 365


def contact_facts(
    orders: ir.Table,
    signals: Signals = NOTHING,
    *,
    as_of: date,
    window_days: int,
    top_customers: int,
    discounts: Collection[str] = (),
) -> ir.Table:
    """One row per customer known on the day; rows of later days are not looked at.

    Parameters
    ----------
    orders
        customer_id, day, is_purchase, amount (money).
    signals
        The optional tables. Of an absent one, the columns are null, or not there where they are consents.
    window_days
        The days whose contacts count, the day itself included.
    top_customers
        So many are the top of the year.
    discounts
        Names of the actions that give a discount.

    Returns
    -------
    customer_id; orders; tenure_days since the first order (null: none); revenue_last_year (money, returns
    taken off) and is_top_of_year by it (equal ones by customer_id, nobody without revenue); and what
    :func:`told_by_signals` adds.
    """
    known = orders.filter(orders.day <= as_of)
    age = ibis.literal(as_of).delta(known.day, unit="day")
    people = known.group_by("customer_id").aggregate(
        orders=counted(known.is_purchase),
        tenure_days=age.max(where=known.is_purchase).cast("float64"),
        revenue_last_year=exact(known.amount, where=age < YEAR_DAYS),
    )
    best_first = ibis.window(order_by=[people.revenue_last_year.desc(), people.customer_id])
    place = ibis.row_number().over(best_first)
    people = people.mutate(is_top_of_year=(place < top_customers) & (people.revenue_last_year > 0))
    return told_by_signals(people, signals, as_of=as_of, window_days=window_days, discounts=discounts)


def told_by_signals(
    people: ir.Table, signals: Signals, *, as_of: date, window_days: int, discounts: Collection[str] = ()
) -> ir.Table:
    """What the optional tables tell of people.

    Parameters
    ----------
    people
        customer_id, and any other columns; one row each.

    Returns
    -------
    The columns of `people`; consent_<channel> in force; language; paid_late_share, 0 to 1; referrals: as
    told, or else how many in force name the customer as their referrer; opted_out: a consent given earlier is
    withdrawn, or of those told none is given; contacts_in_window, days_since_last_contact and
    days_since_last_discount of contacts made (control is none); has_open_complaint.
    """
    for told in (
        _consents(signals, as_of),
        _newest_told(signals, "language", as_of),
        _newest_told(signals, "paid_late_share", as_of),
        _referrals(signals, as_of),
        _contacts(signals, as_of, window_days, discounts),
        _complaints(signals, as_of),
    ):
        if told is not None:
            people = people.left_join(told, "customer_id").drop("customer_id_right")
    absent = {name: ibis.null(kind) for name, kind in ABSENT.items() if name not in people.columns}
    facts = people.mutate(**absent)
    if signals.contacts is not None:
        facts = facts.mutate(contacts_in_window=facts.contacts_in_window.fill_null(0.0))
    if signals.interactions is not None:
        facts = facts.mutate(has_open_complaint=facts.has_open_complaint.fill_null(False))
    return facts


ABSENT = {
    "language": "string",
    "paid_late_share": "float64",
    "referrals": "float64",
    "opted_out": "boolean",
    "contacts_in_window": "float64",
    "days_since_last_contact": "float64",
    "days_since_last_discount": "float64",
    "has_open_complaint": "boolean",
}


def _consents(signals: Signals, as_of: date) -> ir.Table | None:
    """customer_id, consent_<channel>, opted_out; rows that contradict each other withhold consent."""
    if signals.customers is None:
        return None
    channels = consent_columns(signals.customers)
    if not channels:
        return None
    known = known_rows(signals.customers, as_of)
    newest = known.known_from.max().over(ibis.window(group_by="customer_id"))
    known = known.mutate(is_newest=(newest.isnull() | (known.known_from == newest)).fill_null(False))
    told = known.group_by("customer_id").aggregate(
        **{name: known[name].all(where=known.is_newest) for name in channels},
        **{f"once_{name}": (known[name] & ~known.is_newest).fill_null(False).any() for name in channels},
    )
    given = [told[name].fill_null(False) for name in channels]
    refused = [~told[name].fill_null(True) for name in channels]
    withdrawn = [no & told[f"once_{name}"] for no, name in zip(refused, channels, strict=True)]
    return told.select(
        "customer_id",
        *channels,
        opted_out=ibis.or_(*withdrawn) | (ibis.or_(*refused) & ~ibis.or_(*given)),
    )


def _newest_told(signals: Signals, name: str, as_of: date) -> ir.Table | None:
    """customer_id and a column of the newest row known that tells it."""
    if signals.customers is None or name not in signals.customers.columns:
        return None
    since = signals.customers.known_from
    told = signals.customers.filter(
        (since.isnull() | (since.date() <= as_of)) & signals.customers[name].notnull()
    )
    newest = told.known_from.max().over(ibis.window(group_by="customer_id"))
    told = told.mutate(is_newest=(newest.isnull() | (told.known_from == newest)).fill_null(False))
    return told.group_by("customer_id").aggregate(**{name: told[name].min(where=told.is_newest)})


def _referrals(signals: Signals, as_of: date) -> ir.Table | None:
    told = _newest_told(signals, "referrals", as_of)
    if told is not None or signals.customers is None:
        return told
    known = in_force(signals.customers, as_of)
    known = known.filter(known.referrer.notnull())
    return known.group_by(customer_id=known.referrer).aggregate(referrals=counted(known.is_signed_up))


def _contacts(signals: Signals, as_of: date, window_days: int, discounts: Collection[str]) -> ir.Table | None:
    if signals.contacts is None:
        return None
    made = signals.contacts.filter(
        (signals.contacts.group == "treated") & (signals.contacts.ts.date() <= as_of)
    )
    age = ibis.literal(as_of).delta(made.ts.date(), unit="day")
    is_discount = ibis.literal(False)
    if discounts and "action" in made.columns:
        is_discount = made.action.isin(sorted(discounts)).fill_null(False)
    return made.group_by("customer_id").aggregate(
        contacts_in_window=counted(age < window_days),
        days_since_last_contact=age.min().cast("float64"),
        days_since_last_discount=age.min(where=is_discount).cast("float64"),
    )


def _complaints(signals: Signals, as_of: date) -> ir.Table | None:
    if signals.interactions is None:
        return None
    known = known_interactions(signals.interactions, as_of)
    is_open = (known.kind == "complaint") & known.resolution_seconds.isnull()
    return known.group_by("customer_id").aggregate(has_open_complaint=is_open.fill_null(False).any())


def channels_with_consent(signals: Signals) -> set[str]:
    """Channels for which the customers table has a column of consents."""
    if signals.customers is None:
        return set()
    return {name.removeprefix(CONSENT) for name in consent_columns(signals.customers)}

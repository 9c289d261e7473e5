"""People who signed up and have never ordered anything."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import ibis

from churnlab.features.customers import in_force, known_rows

if TYPE_CHECKING:
    import ibis.expr.types as ir


def sign_ups(orders: ir.Table, customers: ir.Table, as_of: date) -> ir.Table:
    """One row per person whom the customers table knows by the day, and who has no order up to it.

    Parameters
    ----------
    orders
        customer_id, day. Who only gave something back has an order and is not among them.
    customers
        See :func:`churnlab.features.customers.in_force`. Who signs up after the day is not known on it.

    Returns
    -------
    customer_id; known_since: the day of the sign-up, or else that of the first row known (null: not told);
    is_business; orders, tenure_days and is_top_of_year, as of somebody without orders in
    :func:`churnlab.features.contact_facts.contact_facts`.
    """
    known = in_force(customers, as_of)
    known = known.filter(known.is_signed_up)
    people = known.group_by("customer_id").aggregate(
        signup_day=known.signup_day.min(), is_business=known.is_business.any()
    )
    told = known_rows(customers, as_of)
    first = told.group_by("customer_id").aggregate(first_day=told.known_from.date().min())
    people = people.left_join(first, "customer_id").drop("customer_id_right")
    people = people.anti_join(orders.filter(orders.day <= as_of), "customer_id")
    return people.select(
        "customer_id",
        "is_business",
        known_since=ibis.coalesce(people.signup_day, people.first_day),
        orders=ibis.literal(0.0),
        tenure_days=ibis.null("float64"),
        is_top_of_year=ibis.literal(False),
    )

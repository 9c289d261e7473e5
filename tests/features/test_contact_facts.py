"""Facts for the rules of contact. Authority: three customers worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

import ibis
import pandas as pd
import pytest

from churnlab.features.contact_facts import channels_with_consent, contact_facts
from churnlab.features.signals import NOTHING, Signals

TODAY = date(2024, 3, 31)
ORDERS = [
    ("a", "2023-03-31", 50.0),  # 366 days ago
    ("a", "2023-04-02", 10.0),  # 364 days ago
    ("a", "2024-03-31", 5.0),
    ("b", "2024-03-01", 12.0),
    ("b", "2024-03-02", -3.0),
    ("c", "2024-03-01", -3.0),
    ("c", "2024-04-01", 99.0),  # the future
]


def facts(orders: ibis.Table, signals: Signals = NOTHING, top_customers: int = 1) -> pd.DataFrame:
    found = contact_facts(
        orders, signals, as_of=TODAY, window_days=30, top_customers=top_customers, discounts=["off"]
    )
    return orders.get_backend().to_pandas(found).set_index("customer_id").sort_index()


def test_without_optional_tables_only_orders_tell(ledger: Callable) -> None:
    """a: 10 + 5 in the last 365 days; b: 12 - 3; c: -3."""
    found = facts(ledger(ORDERS))
    assert list(found["orders"]) == [3.0, 1.0, 0.0]
    assert list(found["tenure_days"].fillna(-1)) == [366.0, 30.0, -1.0]
    assert list(found["revenue_last_year"]) == pytest.approx([15.0, 9.0, -3.0])
    assert list(found["is_top_of_year"]) == [True, False, False]
    assert list(facts(ledger(ORDERS), top_customers=9)["is_top_of_year"]) == [True, True, False]
    others = ["opted_out", "contacts_in_window", "days_since_last_contact", "has_open_complaint"]
    assert found[[*others, "days_since_last_discount"]].isna().all(axis=None)
    assert channels_with_consent(NOTHING) == set()


def test_contacts_made_count_and_discounts_among_them(ledger: Callable, told: Callable) -> None:
    rows = [
        ("a", datetime(2024, 3, 2, 9), "off", "treated"),  # 29 days ago
        ("a", datetime(2024, 3, 1, 9), "note", "treated"),  # 30 days ago
        ("a", datetime(2024, 3, 30, 9), "off", "control"),
        ("b", datetime(2024, 4, 1, 9), "off", "treated"),  # the future
        ("c", datetime(2024, 3, 31, 23), "note", "treated"),
    ]
    names = ["customer_id", "ts", "action", "group"]
    found = facts(ledger(ORDERS), told(contacts=pd.DataFrame(rows, columns=names)))
    assert list(found["contacts_in_window"]) == [1.0, 0.0, 1.0]
    assert list(found["days_since_last_contact"].fillna(-1)) == [29.0, -1.0, 0.0]
    assert list(found["days_since_last_discount"].fillna(-1)) == [29.0, -1.0, -1.0]


def test_consents_are_those_in_force(ledger: Callable, told: Callable) -> None:
    """a withdrew one of two; b takes it back tomorrow only; c agreed to one channel, refused the other."""
    early, today, later = datetime(2024, 1, 1), datetime(2024, 3, 31, 8), datetime(2024, 4, 1)
    rows = [
        ("a", early, True, True),
        ("a", today, False, True),
        ("b", early, True, None),
        ("b", later, False, None),
        ("c", None, False, True),
    ]
    names = ["customer_id", "known_from", "consent_email", "consent_sms"]
    signals = told(customers=pd.DataFrame(rows, columns=names))
    found = facts(ledger(ORDERS), signals)
    assert list(found["consent_email"]) == [False, True, False]
    assert list(found["opted_out"]) == [True, False, False]
    assert channels_with_consent(signals) == {"email", "sms"}


def test_a_complaint_is_open_until_its_resolution_is_known(ledger: Callable, told: Callable) -> None:
    now = datetime(2024, 3, 1)
    rows = [
        ("a", now, "complaint", datetime(2024, 4, 1)),  # resolved tomorrow
        ("b", now, "complaint", datetime(2024, 3, 31)),
        ("c", now, "ticket", None),
    ]
    names = ["customer_id", "ts", "kind", "resolved"]
    found = facts(ledger(ORDERS), told(interactions=pd.DataFrame(rows, columns=names)))
    assert list(found["has_open_complaint"]) == [True, False, False]


def test_criteria_of_discounts_are_those_told_last(ledger: Callable, told: Callable) -> None:
    """a's share changes, and once more tomorrow; b's newest row does not tell it; c is in no row."""
    days = [datetime(2024, 1, 1), datetime(2024, 3, 31), datetime(2024, 4, 1)]
    rows = [
        ("a", days[0], 0.5, 1.0),
        ("a", days[1], 0.25, 2.0),
        ("a", days[2], 0.0, 9.0),
        ("b", days[0], 0.75, 4.0),
        ("b", days[1], None, None),
    ]
    names = ["customer_id", "known_from", "paid_late_share", "referrals"]
    found = facts(ledger(ORDERS), told(customers=pd.DataFrame(rows, columns=names)))
    assert list(found["paid_late_share"].fillna(-1)) == [0.25, 0.75, -1.0]
    assert list(found["referrals"].fillna(-1)) == [2.0, 4.0, -1.0]


def test_referrals_are_counted_where_no_column_tells_them(ledger: Callable, told: Callable) -> None:
    """d and e name a, f signs up tomorrow, b names itself."""
    signup = datetime(2024, 3, 1)
    rows = [("d", signup, "a"), ("e", None, "a"), ("f", datetime(2024, 4, 1), "a"), ("b", signup, "b")]
    signals = told(customers=pd.DataFrame(rows, columns=["customer_id", "signup", "referrer"]))
    signals = Signals(customers=signals.customers.drop("referrals", "paid_late_share"))
    found = facts(ledger(ORDERS), signals)
    assert list(found["referrals"].fillna(0)) == [2.0, 0.0, 0.0]
    assert found["paid_late_share"].isna().all()

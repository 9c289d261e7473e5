"""Who signed up and never ordered. Authority: people worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

import pandas as pd

from churnlab.features.sign_ups import sign_ups

TODAY = date(2024, 3, 31)
ORDERS = [
    ("buyer", "2024-03-31", 5.0),
    ("returner", "2024-03-01", -3.0),
    ("tomorrow", "2024-04-01", 9.0),
]
NAMES = ["customer_id", "known_from", "signup", "is_business"]


def found(ledger: Callable, told: Callable, rows: list[tuple]) -> pd.DataFrame:
    orders, customers = ledger(ORDERS), told(customers=pd.DataFrame(rows, columns=NAMES)).customers
    people = orders.get_backend().to_pandas(sign_ups(orders, customers, TODAY))
    return people.set_index("customer_id").sort_index()


def test_who_has_an_order_or_is_not_known_yet_is_not_among_them(ledger: Callable, told: Callable) -> None:
    today, later = datetime(2024, 3, 31, 23), datetime(2024, 4, 1)
    rows = [
        ("buyer", None, today, False),
        ("returner", None, today, False),
        ("tomorrow", None, today, True),
        ("signs up later", None, later, False),
        ("known later", later, today, False),
        ("known, signs up later", today, later, False),
        ("never told when", None, None, None),
    ]
    people = found(ledger, told, rows)
    assert list(people.index) == ["never told when", "tomorrow"]
    assert list(people["is_business"].fillna("?")) == ["?", True]
    assert pd.isna(people["known_since"].iloc[0])
    assert pd.Timestamp(people["known_since"].iloc[1]).date() == TODAY
    assert list(people["orders"]) == [0.0, 0.0]
    assert people["tenure_days"].isna().all()
    assert not people["is_top_of_year"].any()


def test_without_a_day_of_sign_up_the_first_row_tells_since_when(ledger: Callable, told: Callable) -> None:
    """b's sign-up is told by a later row; the row of tomorrow takes nothing back."""
    days = [datetime(2024, 1, 5), datetime(2024, 2, 5), datetime(2024, 4, 5)]
    rows = [("a", day, None, None) for day in days]
    rows += [
        ("b", days[0], None, None),
        ("b", days[1], datetime(2023, 12, 1), None),
        ("b", days[2], None, None),
    ]
    people = found(ledger, told, rows)
    since = [pd.Timestamp(day).date() for day in people["known_since"]]
    assert since == [date(2024, 1, 5), date(2023, 12, 1)]

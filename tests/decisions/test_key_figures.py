"""Key figures computed by hand on a ledger of eight orders."""

from datetime import date

import ibis
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnlab.decisions.key_figures import key_figures

LEDGER = pd.DataFrame(
    [
        ("ann", date(2022, 3, 1), 40.0, True),
        ("ann", date(2023, 2, 1), 10.0, True),
        ("ann", date(2023, 2, 1), 20.0, True),
        ("ann", date(2023, 2, 9), -5.0, False),
        ("bob", date(2023, 5, 5), 0.0, True),
        ("cy", date(2023, 6, 1), 30.0, True),
        ("dee", date(2023, 6, 2), -8.0, False),
        ("cy", date(2024, 1, 5), 99.0, True),
    ],
    columns=["customer_id", "day", "amount", "is_purchase"],
)
AS_OF = date(2023, 12, 31)


def orders(frame=LEDGER):
    con = ibis.duckdb.connect()
    return con.create_table("orders", frame.assign(day=pd.to_datetime(frame["day"]))).mutate(
        day=ibis._.day.cast("date")
    )


def test_one_year_by_hand():
    """2023: ann 2 orders, bob 1, cy 1; dee only returned. Revenue 10 + 20 - 5 + 0 + 30 - 8 = 47."""
    found = key_figures(orders(), AS_OF)
    assert found == {
        "period_start": date(2023, 1, 1),
        "period_end": AS_OF,
        "customers": 3,
        "orders": 4,
        "repeat_customers": 1,
        "revenue": 47.0,
        "repeat_customer_rate": pytest.approx(1 / 3),
        "purchase_frequency": pytest.approx(4 / 3),
        "average_order_value": pytest.approx(47 / 4),
        "customer_value": pytest.approx(47 / 3),
    }


def test_all_time_starts_with_the_first_purchase_and_ends_at_as_of():
    """By hand: ann's order of 2022 joins, cy's of 2024 does not."""
    found = key_figures(orders(), AS_OF, days=None)
    assert (found["period_start"], found["period_end"]) == (date(2022, 3, 1), AS_OF)
    assert (found["customers"], found["orders"], found["revenue"]) == (3, 5, 87.0)


def test_a_period_longer_than_the_data_is_printed_as_it_is():
    assert key_figures(orders(), AS_OF, days=3650)["period_start"] == date(2022, 3, 1)


def test_first_and_last_day_of_a_period_count():
    """By hand: one day is that day alone, and 31 days up to 31 December start on the 1st."""
    one = key_figures(orders(), date(2023, 6, 1), days=1)
    assert (one["orders"], one["revenue"], one["period_start"]) == (1, 30.0, date(2023, 6, 1))
    assert key_figures(orders(), AS_OF, days=31)["period_start"] == date(2023, 12, 1)


@pytest.mark.parametrize("as_of", [date(2021, 1, 1), date(2023, 4, 30)])
def test_a_period_without_purchases_has_no_rates(as_of):
    found = key_figures(orders(), as_of, days=30)
    assert (found["customers"], found["orders"], found["revenue"]) == (0, 0, 0.0)
    for name in ("repeat_customer_rate", "purchase_frequency", "average_order_value", "customer_value"):
        assert found[name] is None


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_row_order_changes_nothing(seed):
    """Invariant: sums are exact, so shuffled rows give identical figures."""
    cents = LEDGER.assign(amount=LEDGER["amount"] + 0.1)
    shuffled = cents.sample(frac=1, random_state=seed)
    assert key_figures(orders(shuffled), AS_OF) == key_figures(orders(cents), AS_OF)


def test_large_currency_units():
    """Invariant: money times 10^9 (rial orders) scales money figures alone."""
    small, large = (
        key_figures(orders(LEDGER.assign(amount=LEDGER["amount"] * k)), AS_OF) for k in (1.0, 1e9)
    )
    for name, value in small.items():
        scale = 1e9 if name in ("revenue", "average_order_value", "customer_value") else None
        assert large[name] == (pytest.approx(value * scale) if scale else value)

"""Authority: a customers table with history, worked out by hand."""

from dataclasses import replace
from datetime import date

import pandas as pd
import pytest

from churnlab.features.customers import customers_hold
from churnlab.features.snapshots import snapshot
from churnlab.features.spec import FeatureSpec

CUTOFF = date(2024, 3, 31)
NAN = float("nan")
ORDERS = [
    ("a", "2024-01-11", 10.0),
    ("b", "2024-03-20", 10.0),
    ("c", "2024-03-20", 10.0),
    ("d", "2024-03-20", 10.0),
    ("e", "2024-03-20", 10.0),
    ("g", "2024-03-20", 10.0),
]
SPEC = FeatureSpec(
    windows_days=(7, 14),
    half_lives_days=(20,),
    horizon_days=30,
    history_days=60,
    has_signup=True,
    has_business=True,
    has_referrer=True,
    has_consents=True,
)
# customer, known_from, signup, is_business, referrer, consent_email, consent_sms
CUSTOMERS = [
    ("a", None, "2024-01-01", False, None, True, False),
    ("a", "2024-03-15", "2024-01-01", False, None, True, True),
    ("a", "2024-04-01", "2024-01-01", True, "b", False, False),
    ("b", "2024-03-31 12:00", "2024-03-25", True, "a", None, True),
    ("c", None, "2024-04-05", True, "a", True, None),  # signs up after the cutoff
    ("d", "2024-04-01", "2024-01-01", True, "a", True, True),  # not known yet
    ("f", None, "2024-02-01", None, "a", None, None),  # never bought
    ("g", None, None, None, "g", None, None),  # named as their own referrer
]


def customers(rows: list[tuple]) -> pd.DataFrame:
    names = ["customer_id", "known_from", "signup", "is_business", "referrer", "consent_email", "consent_sms"]
    frame = pd.DataFrame(rows, columns=names)
    return frame.assign(
        **{name: pd.to_datetime(frame[name], format="ISO8601") for name in ("known_from", "signup")}
    )


@pytest.mark.parametrize(
    ("customer", "expected"),
    [
        ("a", (90.0, 10.0, 0.0, 0.0, 2.0, 2.0)),
        ("b", (6.0, -5.0, 1.0, 1.0, 0.0, 1.0)),
        ("c", (NAN, NAN, NAN, NAN, 0.0, 1.0)),
        ("d", (NAN, NAN, NAN, NAN, 0.0, NAN)),
        ("e", (NAN, NAN, NAN, NAN, 0.0, NAN)),
        ("g", (NAN, NAN, NAN, 0.0, 0.0, NAN)),
    ],
)
def test_each_customer_as_known_at_the_cutoff(ledger, told, customer, expected):
    signals = told(customers=customers(CUSTOMERS))
    frame = snapshot(ledger(ORDERS), CUTOFF, SPEC, 10.0, signals).set_index("customer_id")
    names = [
        "days_since_signup",
        "days_from_signup_to_first_order",
        "is_business",
        "is_referred",
        "referrals",
        "consents",
    ]
    assert list(frame.columns[-6:]) == names
    assert tuple(frame.loc[customer, names]) == pytest.approx(expected, nan_ok=True)


def test_referrals_are_counted_from_their_sign_up(ledger, told):
    """Without sign-up days nobody knows when a referral came: it is not counted."""
    signals = told(customers=customers(CUSTOMERS))
    names = snapshot(ledger(ORDERS), CUTOFF, replace(SPEC, has_signup=False), 10.0, signals).columns
    assert "is_referred" in names
    assert "referrals" not in names


def test_what_the_table_holds(told):
    """On 29 January only the rows of ever count, of which a alone has signed up and tells nothing else."""
    table = told(customers=customers(CUSTOMERS)).customers
    everything = dict.fromkeys(("has_signup", "has_business", "has_referrer", "has_consents"), True)
    assert customers_hold(table, CUTOFF) == everything
    assert customers_hold(table, date(2024, 1, 29)) == {
        "has_signup": True,
        "has_business": False,
        "has_referrer": False,
        "has_consents": False,
    }


def test_consents_of_today_are_no_feature(told):
    """One row per customer that tells not from when it holds: consents may have changed since."""
    today = [(name, None, *rest) for name, _, *rest in (CUSTOMERS[1], CUSTOMERS[3])]
    held = customers_hold(told(customers=customers(today)).customers, CUTOFF)
    assert held == {"has_signup": True, "has_business": True, "has_referrer": True, "has_consents": False}

"""Authorities: a ledger worked out by hand; lifetimes' own summary; the published CDNOW summary."""

from datetime import date

import numpy as np
import pandas as pd
from lifetimes.utils import summary_data_from_transaction_data

from churnlab.features.rfm import rfm

CUTOFF = date(2024, 3, 31)

HAND = [
    # a: four purchase days (two orders on 11 March), one repeat day worth nothing
    ("a", "2024-03-01", 10.0),
    ("a", "2024-03-11", 15.0),
    ("a", "2024-03-11", 5.0),
    ("a", "2024-03-21", 0.0),
    ("a", "2024-03-27", 40.0),
    # b: bought once, on the cutoff itself; the rest is the future
    ("b", "2024-03-31", 7.5),
    ("b", "2024-04-01", 99.0),
    # c: a return on a purchase day turns 30 into 20; a return on another day is no purchase
    ("c", "2024-01-01", 50.0),
    ("c", "2024-01-31", 30.0),
    ("c", "2024-01-31", -10.0),
    ("c", "2024-02-15", -30.0),
    # d: a day that is negative on balance is worth 0, not less
    ("d", "2024-03-02", 5.0),
    ("d", "2024-03-02", -25.0),
    # e: only ever returned; f: not yet a customer
    ("e", "2024-02-01", -3.0),
    ("f", "2024-04-05", 12.0),
]

EXPECTED = pd.DataFrame(
    [
        ("a", 3.0, 26.0, 30.0, 30.0, 2.0, 4.0, 10.0, 70.0),
        ("b", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 7.5, 7.5),
        ("c", 1.0, 30.0, 90.0, 20.0, 1.0, 60.0, 50.0, 70.0),
        ("d", 0.0, 0.0, 29.0, 0.0, 0.0, 29.0, 0.0, 0.0),
    ],
    columns=[
        "customer_id", "frequency", "recency", "T", "monetary_value", "paid_repeats",
        "days_since_last_order", "first_order_value", "total_spend",
    ],
)  # fmt: skip


def test_matches_the_ledger_worked_out_by_hand(ledger):
    pd.testing.assert_frame_equal(rfm(ledger(HAND), CUTOFF).to_pandas(), EXPECTED, check_exact=True)


def test_nobody_known_gives_no_rows_and_the_same_columns(ledger):
    early = rfm(ledger(HAND), date(2023, 12, 31)).to_pandas()
    assert len(early) == 0
    assert list(early.columns) == list(EXPECTED.columns)


def test_agrees_with_lifetimes(as_table, busy_shop):
    """lifetimes 0.11 knows no returns and leaves worthless days in its mean, so paid sales only."""
    sales = busy_shop[busy_shop["amount"] > 0]
    theirs = summary_data_from_transaction_data(
        sales.assign(ts=pd.to_datetime(sales["ts"])),
        "customer_id",
        "ts",
        "amount",
        observation_period_end=pd.Timestamp("2024-06-30"),
        freq="D",
    )
    ours = rfm(as_table(sales), date(2024, 6, 30)).to_pandas().set_index("customer_id")
    assert len(ours) > 100
    names = ["frequency", "recency", "T"]
    pd.testing.assert_frame_equal(ours[names], theirs[names], check_exact=True, check_index_type=False)
    np.testing.assert_allclose(ours["monetary_value"], theirs["monetary_value"], rtol=1e-12)

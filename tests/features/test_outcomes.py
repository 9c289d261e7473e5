"""Authority: a ledger worked out by hand."""

from datetime import date

import pandas as pd

from churnlab.features.outcomes import first_order_after, outcomes, spent_before

CUTOFF = date(2024, 3, 31)

HAND = [
    # a: the cutoff's own day is past; two orders on one day are one purchase day; day 30 is in, day 31 out
    ("a", "2024-03-31", 100.0),
    ("a", "2024-04-01", 10.1),
    ("a", "2024-04-01", 20.2),
    ("a", "2024-04-30", 5.0),
    ("a", "2024-05-01", 500.0),
    # b: a return alone is no purchase, and its money is not below 0
    ("b", "2024-01-05", 20.0),
    ("b", "2024-04-10", -20.0),
    # c: a return on a day of its own is taken off what the window brought
    ("c", "2024-02-01", 8.0),
    ("c", "2024-04-02", 50.0),
    ("c", "2024-04-20", -30.0),
    # d: a purchase worth nothing is still a purchase
    ("d", "2024-02-01", 8.0),
    ("d", "2024-04-03", 0.0),
    # e: acquired later; f: returns only, never a customer; g: silent
    ("e", "2024-04-02", 30.0),
    ("f", "2024-03-01", -5.0),
    ("g", "2024-03-01", 5.0),
]


def expected(rows: list[tuple]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["customer_id", "churned", "n_purchases", "spend"])
    return frame.astype({"churned": "int8"})


def test_matches_the_ledger_worked_out_by_hand(ledger):
    hand = [("a", 0, 2, 35.3), ("b", 1, 0, 0.0), ("c", 0, 1, 20.0), ("d", 0, 1, 0.0), ("g", 1, 0, 0.0)]
    pd.testing.assert_frame_equal(outcomes(ledger(HAND), CUTOFF, 30), expected(hand), check_exact=True)


def test_one_more_day_brings_the_next_order_in(ledger):
    after = outcomes(ledger(HAND), CUTOFF, 31).set_index("customer_id")
    assert after.loc["a", ["n_purchases", "spend"]].tolist() == [3, 535.3]


def test_nobody_known_gives_no_rows(ledger):
    nobody = outcomes(ledger(HAND), date(2023, 1, 1), 30)
    pd.testing.assert_frame_equal(nobody, expected([]), check_dtype=False, check_index_type=False)


def test_tenths_add_up_exactly(ledger):
    """Ten times 0.1 is 1, which binary floating point misses."""
    rows = [("a", "2024-03-01", 1.0), *(("a", f"2024-04-{d:02d}", 0.1) for d in range(1, 11))]
    assert outcomes(ledger(rows), CUTOFF, 30)["spend"].tolist() == [1.0]


def test_first_orders_after_a_cutoff_by_hand(ledger):
    """A return is no order; the cutoff's own day is past."""
    found = first_order_after(ledger(HAND), CUTOFF, 2)
    assert found.to_dict("list") == {"customer_id": ["a", "c", "e"], "days": [1.0, 2.0, 2.0]}


def test_what_was_spent_before_by_hand(ledger):
    """The last 31 days up to the cutoff: a on its very day, f only returned, g a month ago to the day."""
    found = spent_before(ledger(HAND), CUTOFF, 31)
    assert found.to_dict("list") == {
        "customer_id": ["a", "f", "g"],
        "spend": [100.0, -5.0, 5.0],
        "purchase_days": [1.0, 0.0, 1.0],
    }

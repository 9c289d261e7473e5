"""Trends of satisfaction. Authority: a table of a quarter, counted by hand, and what must hold for any."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from churnlab.features.satisfaction import (
    CAUSES,
    CHANNELS,
    FEWEST,
    MONTHS,
    OTHERS,
    TOP_CAUSES,
    WISHES,
    satisfaction,
)

START, END = date(2024, 1, 10), date(2024, 3, 15)
NAN = float("nan")
ORDERS = [
    ("a", "2024-01-11", 10.0),
    ("a", "2024-01-12", 10.0),
    ("b", "2024-01-20", -5.0),  # gave back, bought nothing
    ("b", "2024-03-01", 10.0),
    ("c", "2024-03-15", 10.0),
    ("d", "2024-03-16", 10.0),  # after the end
]
# customer, ts, kind, score, channel, topic, responded, resolved
ROWS = [
    ("a", "2023-12-30 08:00", "complaint", None, "phone", "late", "2023-12-30 09:00", "2024-02-01 00:00"),
    ("a", "2024-01-15 08:00", "complaint", None, "تلفن", "late", "2024-01-15 10:00", "2024-01-16 08:00"),
    ("b", "2024-01-31 23:00", "complaint", None, "تلفن", "late", "2024-02-01 03:00", "2024-03-16 00:00"),
    ("b", "2024-03-02 08:00", "complaint", None, None, None, "2024-03-02 14:00", None),
    ("c", "2024-03-15 23:59", "ticket", None, "تلفن", "size", "2024-03-16 00:00", None),
    ("c", "2024-03-16 00:00", "complaint", None, "phone", "late", None, None),
    ("a", "2024-01-05 08:00", "csat", 1.0, None, None, None, None),
    ("a", "2024-01-20 08:00", "csat", 0.25, None, None, None, None),
    ("a", "2024-01-21 08:00", "csat", None, None, None, None, None),  # asked, not answered
    ("a", "2024-03-01 08:00", "nps", 9.0, None, None, None, None),
    ("b", "2024-03-02 08:00", "nps", 8.0, None, None, None, None),
    ("c", "2024-03-03 08:00", "nps", 6.0, None, None, None, None),
    ("d", "2024-03-04 08:00", "nps", 0.0, None, None, None, None),
    ("d", "2024-03-16 08:00", "nps", 10.0, None, None, None, None),
    ("a", "2024-02-01 08:00", "intent", 10.0, None, None, None, None),
    ("b", "2024-02-29 08:00", "intent", 1.0, None, None, None, None),
    ("c", "2024-03-16 08:00", "intent", 0.0, None, None, None, None),
    ("a", "2024-02-03 08:00", "wish", 5.0, None, "lamp", None, None),
    ("b", "2024-02-04 08:00", "wish", None, None, "lamp", None, None),
    ("c", "2024-03-15 08:00", "wish", None, None, "lamp", None, None),
    ("c", "2024-03-15 09:00", "wish", None, None, "a gift for Ann", None, None),
    ("d", "2024-03-16 08:00", "wish", None, None, "lamp", None, None),
]
NAMES = ["customer_id", "ts", "kind", "score", "channel", "topic", "responded", "resolved"]


def interactions(rows: list[tuple]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=NAMES)
    moments = ("ts", "responded", "resolved")
    return frame.assign(**{name: pd.to_datetime(frame[name], format="ISO8601") for name in moments})


@pytest.fixture(scope="module")
def found(ledger, told):
    return satisfaction(told(interactions=interactions(ROWS)).interactions, ledger(ORDERS), START, END)


def test_months_by_hand(found):
    """One of two settled complaints of January is settled then, that of December in February.

    A complaint settled on the day after the end is open, and so is one that nobody settled.
    """
    assert found.first_day == date(2023, 12, 30)
    assert found.months.dtypes.astype(str).to_dict() == MONTHS
    rows = found.months.fillna(-999).itertuples(index=False, name=None)
    assert list(rows) == [
        ("2024-01", 1, 2, 200.0, 2, 2, 0.625, 0, -999, 0, -999, 0),
        ("2024-02", 0, 0, -999, 1, 0, -999, 0, -999, 2, 5.5, 2),
        ("2024-03", 2, 1, 50.0, 2, 0, -999, 4, -25.0, 0, -999, 2),
    ]


def test_waits_by_hand(found):
    """A wait belongs to the month in which it ended; of the last 365 days, hours 2 and 4 on the phone."""
    table = found.channels
    assert table.dtypes.astype(str).to_dict() == CHANNELS
    assert list(table.fillna(-999).itertuples(index=False, name=None)) == [
        ("2024-01", "تلفن", 1, 2.0, 1, 24.0),
        ("2024-02", "phone", 0, -999, 1, 784.0),
        ("2024-02", "تلفن", 1, 4.0, 0, -999),
        ("2024-03", "(unknown)", 1, 6.0, 0, -999),
        ("lately", "(unknown)", 1, 6.0, 0, -999),
        ("lately", "phone", 1, 1.0, 1, 784.0),
        ("lately", "تلفن", 2, 3.0, 1, 24.0),
    ]


def test_causes_by_hand(found):
    """Three of the four complaints were late; one topic that was named once is not told by its name."""
    assert found.causes.dtypes.astype(str).to_dict() == CAUSES
    assert list(found.causes.itertuples(index=False, name=None)) == [
        ("late", 3, 0.75, 1, 0),
        (OTHERS, 1, 0.25, 1, 0),
    ]


def test_wishes_by_hand(found):
    """The lamp three times by the end; what one customer wrote is not told."""
    assert found.wished.dtypes.astype(str).to_dict() == WISHES
    assert list(found.wished.itertuples(index=False, name=None)) == [
        ("lamp", 3, 0.75, 0),
        (OTHERS, 1, 0.25, 0),
    ]


def test_causes_of_the_year_before_and_the_many(ledger, told):
    """Ten topics of 3 to 12 complaints; of the last, as many a year before, and a third kind of rare ones."""
    days = [(END, count) for count in range(FEWEST, FEWEST + 10)]
    rows = [("a", day, f"t{count:02d}") for day, count in days for _ in range(count)]
    rows += [("a", END - timedelta(days=365), "t12")] * 5 + [("a", END - timedelta(days=730), "t12")]
    rows += [("a", END, "my name is Ann")]
    table = interactions(
        [(who, str(day), "complaint", None, None, topic, None, None) for who, day, topic in rows]
    )
    causes = satisfaction(told(interactions=table).interactions, ledger(ORDERS), START, END).causes
    assert causes["cause"].tolist() == [*(f"t{count:02d}" for count in range(12, 4, -1)), OTHERS]
    assert len(causes) == TOP_CAUSES + 1
    assert causes["before"].tolist() == [5, *[0] * TOP_CAUSES]
    assert causes["complaints"].iloc[-1] == 3 + 4 + 1
    assert causes["share"].sum() == pytest.approx(1)


def test_nothing_known_by_the_end_is_nothing(ledger, told):
    late = interactions([("a", "2024-03-16", "complaint", None, None, None, None, None)])
    assert satisfaction(told(interactions=late).interactions, ledger(ORDERS), START, END) is None


def test_a_table_younger_than_the_period_tells_of_its_own_months(ledger, told):
    """Before its first row there are no complaints on record, which is not the same as none."""
    young = interactions([("a", "2024-02-20", "csat", 0.5, None, None, None, None)])
    months = satisfaction(told(interactions=young).interactions, ledger(ORDERS), START, END).months
    assert months["month"].tolist() == ["2024-02", "2024-03"]
    assert months["csat"].tolist() == pytest.approx([0.5, NAN], nan_ok=True)
    assert months["wishes"].tolist() == [0, 0]


@given(data=st.data())
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_comes_later_changes_no_month_that_is_over(data, ledger, told, busy_tables):
    """And whatever the rows are, shares are shares and the open ones never more than there were."""
    picked = data.draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(picked)
    table = busy_tables["interactions"].sample(frac=rng.uniform(0.02, 1.0), random_state=picked % 1000)
    table = table.assign(channel=rng.choice(["a", "b"], len(table)), topic=rng.choice(["x", "y"], len(table)))
    log = ledger([("c001", "2024-01-05", 5.0), ("c002", "2024-05-05", 5.0)])
    rows = told(interactions=table).interactions
    cut = date(2024, data.draw(st.integers(2, 7)), 1) - timedelta(days=1)
    early, late = (satisfaction(rows, log, date(2024, 1, 1), day) for day in (cut, date(2024, 8, 27)))
    if early is None:
        return
    for name, column in (("months", "month"), ("channels", "period")):
        was, now = (getattr(one, name).query(f"{column} <= '{cut:%Y-%m}'") for one in (early, late))
        pd.testing.assert_frame_equal(now.reset_index(drop=True), was.reset_index(drop=True))
    assert late.months["nps"].dropna().between(-100, 100).all()
    assert late.months["csat"].dropna().between(0, 1).all()
    assert late.months["intent"].dropna().between(0, 10).all()
    assert (late.months["complaints_open"] <= late.months["complaints"].cumsum()).all()
    assert late.causes["open"].le(late.causes["complaints"]).all()

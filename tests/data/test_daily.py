"""Authority: calendars made by hand."""

from datetime import date, timedelta

import ibis
import pandas as pd
import pytest

from churnlab.data.daily import CalendarGap, calendar_gaps, orders_per_day

MONDAY = date(2024, 1, 1)


def calendar(counts: list[int]) -> pd.Series:
    return pd.Series(counts, index=pd.date_range(MONDAY, periods=len(counts)))


def gap(first: int, last: int) -> CalendarGap:
    return CalendarGap(MONDAY + timedelta(days=first), MONDAY + timedelta(days=last), last - first + 1)


def without(counts: list[int], *days: int) -> list[int]:
    return [0 if k in days else n for k, n in enumerate(counts)]


@pytest.mark.parametrize(
    ("missing", "found"),
    [
        ([], []),
        ([20, 21], []),
        ([20, 21, 22], [gap(20, 22)]),
        ([20, 21, 22, 50, 51, 52, 53], [gap(20, 22), gap(50, 53)]),
        ([66, 67, 68, 69], [gap(66, 69)]),
    ],
)
def test_three_days_without_an_order_are_a_gap(missing: list[int], found: list[CalendarGap]) -> None:
    assert calendar_gaps(calendar(without([8] * 70, *missing))) == found


@pytest.mark.parametrize(
    ("per_day", "days", "is_gap"), [(8, 3, True), (7, 3, False), (7, 4, True), (2, 11, False)]
)
def test_a_gap_has_missed_24_orders(per_day: int, days: int, is_gap: bool) -> None:
    """3 x 8 = 24 and 4 x 7 = 28 are enough; 3 x 7 = 21 and 11 x 2 = 22 are not."""
    missing = range(60, 60 + days)
    assert bool(calendar_gaps(calendar(without([per_day] * 140, *missing)))) == is_gap


def test_closed_weekdays_are_no_gap_and_do_not_count() -> None:
    """Closed from Friday to Sunday; Monday and Tuesday missing are two open days, with Wednesday three."""
    closed = [0 if k % 7 in (4, 5, 6) else 10 for k in range(140)]
    assert calendar_gaps(calendar(closed)) == []
    assert calendar_gaps(calendar(without(closed, 70, 71))) == []
    assert calendar_gaps(calendar(without(closed, 70, 71, 72))) == [gap(70, 72)]
    assert calendar_gaps(calendar(without(closed, 72, 73, 77))) == [gap(72, 77)]


def test_a_shop_that_does_not_sell_daily_has_no_gaps() -> None:
    assert calendar_gaps(calendar([30, 0, 0, 0, 0] * 20)) == []
    assert calendar_gaps(pd.Series(dtype="int64")) == []


def test_days_up_to_the_last_that_counts_are_in() -> None:
    days = [date(2024, 1, 1), date(2024, 1, 1), date(2024, 1, 3)]
    bought = ibis.memtable(pd.DataFrame({"day": days}))
    assert orders_per_day(bought, date(2024, 1, 5)).to_list() == [2, 0, 1, 0, 0]
    assert orders_per_day(bought).to_list() == [2, 0, 1]
    assert orders_per_day(bought.filter(bought.day > date(2025, 1, 1))).empty

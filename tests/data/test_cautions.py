"""Authority: logs made so that exactly one thing is odd about them."""

from datetime import date, timedelta
from typing import Any

import ibis
import pandas as pd
import pytest

from churnlab.data.cautions import cautions

FIRST = date(2024, 1, 1)


def orders(rows: list[tuple[str, int, float]]) -> Any:
    """A table of (customer, day number, amount)."""
    frame = pd.DataFrame(rows, columns=["customer_id", "day", "amount"])
    frame["day"] = [FIRST + timedelta(days=int(k)) for k in frame["day"]]
    return ibis.memtable(frame.assign(gross=frame["amount"], is_purchase=True))


def steady(days: int, per_day: int = 20) -> list[tuple[str, int, float]]:
    return [(f"c{(7 * day + k) % 50}", day, 10.0) for day in range(days) for k in range(per_day)]


def test_a_steady_shop_raises_none() -> None:
    assert cautions(orders(steady(140))) == []
    assert cautions(orders(steady(20))) == []


def test_a_last_day_cut_short_is_told_with_the_remedy() -> None:
    rows = [row for row in steady(140) if row[1] < 139] + [("c1", 139, 10.0)] * 4
    told = cautions(orders(rows))
    day = FIRST + timedelta(days=139)
    assert told == [
        f"the last day, {day}, has 4 orders where 20 are usual: if the load was cut short, "
        f'set data.as_of to "{day - timedelta(days=1)}"'
    ]


def test_a_shop_closed_on_sundays_is_not_cut_short() -> None:
    rows = [row for row in steady(140) if (FIRST + timedelta(days=row[1])).weekday() != 6 or row[1] == 139]
    assert (FIRST + timedelta(days=139)).weekday() == 6
    assert cautions(orders(rows)) == []


@pytest.mark.parametrize(("per_day", "orders_seen"), [(80, 2240), (4, 112)])
def test_a_jump_of_the_volume_is_told(per_day: int, orders_seen: int) -> None:
    """28 days of 20 orders are 560; four times or a fifth of them stand out."""
    rows = steady(140) + [("c1", 140 + day, 1.0) for day in range(28) for _ in range(per_day)]
    told = [text for text in cautions(orders(rows)) if "28 days" in text]
    assert told == [
        f"the last 28 days have {orders_seen:,} orders where 560 are usual: "
        "see that no file is missing or loaded twice"
    ]


def test_one_customer_who_brings_most_of_the_money_is_told_without_a_name() -> None:
    told = cautions(orders([*steady(140), ("whale", 100, 28_000.0)]))
    assert told == ["one customer of 51 brings 50% of the money: totals hang on that customer"]


def test_a_gap_in_the_calendar_is_told() -> None:
    rows = [row for row in steady(140) if not 60 <= row[1] <= 64]
    first, last = FIRST + timedelta(days=60), FIRST + timedelta(days=64)
    assert cautions(orders(rows)) == [
        f"a gap in the calendar: 5 days without an order, {first} to {last}, in a shop that sells daily: "
        "if it was not closed, a load is missing"
    ]


def test_of_several_gaps_the_number_and_the_longest_are_told() -> None:
    rows = [row for row in steady(140) if row[1] not in (20, 21, 22, 60, 61, 62, 63)]
    first, last = FIRST + timedelta(days=60), FIRST + timedelta(days=63)
    assert cautions(orders(rows)) == [
        f"2 gaps of 3 days and more in the calendar, the longest of 4 days without an order, {first} to "
        f"{last}, in a shop that sells daily: if it was not closed, a load is missing"
    ]


def test_days_without_an_order_before_the_last_that_counts_are_a_gap() -> None:
    told = cautions(orders(steady(140)), FIRST + timedelta(days=143))
    assert len(told) == 1
    assert (
        f"4 days without an order, {FIRST + timedelta(days=140)} to {FIRST + timedelta(days=143)}" in told[0]
    )
    assert cautions(orders(steady(140)), FIRST + timedelta(days=141)) == []


def test_no_purchase_no_caution() -> None:
    assert cautions(orders([("c1", 0, 1.0)]).filter(ibis.literal(False))) == []

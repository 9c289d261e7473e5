"""Authority: cells read by hand; jdatetime and zoneinfo as peers; a written number reads back."""

from datetime import datetime
from zoneinfo import ZoneInfo

import ibis
import jdatetime
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from churnlab.data import parsing
from churnlab.data.parsing import Clock

ISO = Clock((), "gregorian", "Asia/Tehran", None)


@pytest.fixture(scope="module")
def column(con):
    """A table of one column of text, `cell_x`; and of typed values where given."""

    def build(texts, typed=None):
        columns = {"cell_x": pa.array(texts, pa.string())} | ({} if typed is None else {"typed_x": typed})
        return con.create_table(ibis.util.gen_name("cells"), pa.table(columns), temp=True)

    return build


@pytest.fixture(scope="module")
def numbers(column):
    def run(*texts, decimal=".", signs=("ریال",), typed=None):
        table = parsing.numbers(column(texts, typed), ["x"], decimal, list(signs))
        return table.to_pyarrow().to_pylist()

    return run


@pytest.fixture(scope="module")
def moments(column):
    def run(*texts, clock=ISO, typed=None):
        return parsing.moments(column(texts, typed), "x", clock).to_pyarrow().to_pylist()

    return run


AS_WRITTEN = {
    "1,234.50": (1234.5, ""),
    "1 234 567.8": (1234567.8, ""),
    "1\u202f234": (1234.0, ""),
    "1'234.5": (1234.5, ""),
    "12,34,567": (1234567.0, ""),
    "۱۲٬۳۴۵٫۶": (12345.6, ""),
    "(12.50)": (-12.5, ""),
    "12.50-": (-12.5, ""),
    "-$5": (-5.0, "$"),
    "$-5": (-5.0, "$"),
    "€ 12.50": (12.5, "€"),
    "7 EUR": (7.0, "EUR"),
    "ریال ۱۰۰۰": (1000.0, "ریال"),
    "12.": (12.0, ""),
}


def test_numbers_as_people_write_them(numbers):
    rows = numbers(*AS_WRITTEN)
    assert {row["cell_x"]: (row["x"], row["sign_x"]) for row in rows} == AS_WRITTEN


NO_NUMBERS = [
    "", " ", "nan", "inf", "--5", "5-5", "1 2", "1,23", "1,234,56", "12.3.4", "(5", "5)", "$", "5 apples",
    "5 %", "€5€", "1.234,50", "0x10", "٫", "१२",
]  # fmt: skip


def test_what_is_no_number(numbers):
    assert {row["cell_x"]: row["x"] for row in numbers(*NO_NUMBERS)} == dict.fromkeys(NO_NUMBERS)


def test_the_other_mark_is_told_from_a_slip(numbers):
    rows = numbers("1.234,50", "12,5", "1,234", "1.234", "-1,234", "12", "x", "1,234,567")
    assert [row["other_x"] for row in rows] == [True, True, False, False, False, False, False, False]
    assert [row["either_x"] for row in rows] == [False, False, True, True, True, False, False, False]


def test_a_number_of_the_source_counts_before_its_text(numbers):
    typed = pa.array([5.0, None, float("nan"), float("inf")])
    assert [row["x"] for row in numbers("9", "9", "9", "9", typed=typed)] == [5.0, 9.0, None, float("inf")]


WRITTEN = st.tuples(st.decimals(-(10**12), 10**12, places=2), st.sampled_from(",. '"))


@pytest.mark.parametrize("decimal", [".", ","])
@given(written=st.lists(WRITTEN, min_size=10, max_size=40))
@examples(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_written_number_reads_back(numbers, decimal, written):
    """Peer: Python's own thousands format, its marks exchanged. Many cells to a query, which takes long."""
    marks = [(amount, "" if group == decimal else group) for amount, group in written]
    texts = [
        f"{amount:,.2f}".replace(",", "g").replace(".", decimal).replace("g", group)
        for amount, group in marks
    ]
    assert [row["x"] for row in numbers(*texts, decimal=decimal)] == [float(amount) for amount, _ in marks]


@given(days=st.lists(st.dates(datetime(1822, 1, 1).date(), datetime(2200, 1, 1).date()), min_size=20))
@examples(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_persian_dates_are_those_of_jdatetime(moments, days):
    clock = Clock(("%Y/%m/%d",), "jalali", "UTC", None)
    texts = [jdatetime.date.fromgregorian(date=day).strftime("%Y/%m/%d") for day in days]
    expected = [datetime(day.year, day.month, day.day) for day in days]
    assert [row["x"] for row in moments(*texts, clock=clock)] == expected


def test_the_first_and_last_days_of_persian_years_are_those_of_jdatetime(moments):
    """Where a leap year shows: every year from 1200 to 1599."""
    firsts = [jdatetime.date(year, 1, 1) for year in range(1201, 1600)]
    days = [*firsts, *(first - jdatetime.timedelta(days=1) for first in firsts)]
    clock = Clock(("%Y/%m/%d",), "jalali", "UTC", None)
    found = moments(*(day.strftime("%Y/%m/%d") for day in days), clock=clock)
    assert [row["x"].date() for row in found] == [day.togregorian() for day in days]


PERSIAN_BY_HAND = {
    None: {
        "1402/07/15": datetime(2023, 10, 7),
        "۱۴۰۲-۷-۵ ۱۰:۲۲": datetime(2023, 9, 27, 10, 22),
        "1403/12/30": datetime(2025, 3, 20),  # a leap year
        "1402/12/30": None,
        "1402/07/31": None,
        "1402/13/01": None,
        "1402/07/15 24:00": None,
        "2024-01-01": None,
    },
    "%d.%m.%Y %H:%M:%S": {"15.07.1402 23:59:58": datetime(2023, 10, 7, 23, 59, 58)},
}


@pytest.mark.parametrize("pattern", PERSIAN_BY_HAND)
def test_persian_dates_by_hand(moments, pattern):
    clock = Clock((pattern,) if pattern else (), "jalali", "Asia/Tehran", None)
    rows = moments(*PERSIAN_BY_HAND[pattern], clock=clock)
    assert {row["cell_x"]: row["x"] for row in rows} == PERSIAN_BY_HAND[pattern]


def test_a_persian_pattern_has_day_month_and_year_once():
    for pattern in ("%Y/%m", "%Y/%m/%d %p", "%Y/%m/%d/%d"):
        with pytest.raises(ValueError, match="%"):
            parsing.jalali_form(pattern)


def test_the_order_of_day_and_month_is_told_from_a_slip(moments):
    rows = moments(
        "13/02/2024", "02/13/2024", "03/04/2024", "04/04/2024", "x",
        clock=Clock(("%d/%m/%Y",), "gregorian", "UTC", None),
    )  # fmt: skip
    assert [row["other_x"] for row in rows] == [False, True, False, False, False]
    assert [row["either_x"] for row in rows] == [False, False, True, False, False]


def test_patterns_are_tried_in_turn(moments):
    clock = Clock(("%d.%m.%Y", "%Y-%m-%d"), "gregorian", "UTC", None)
    rows = moments("01.02.2024", "2024-02-01", "2024/02/01", clock=clock)
    assert [row["x"] for row in rows] == [datetime(2024, 2, 1), datetime(2024, 2, 1), None]


def test_moments_without_offset_come_from_the_clock_of_the_source(moments):
    """Peer: zoneinfo. Athens changes its clock on two of these nights."""
    clock = Clock((), "gregorian", "Europe/Athens", "UTC")
    texts = ["2024-03-10 22:30", "2024-03-31 00:30", "2024-10-27 00:30"]
    stated = [datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("UTC")) for text in texts]
    expected = [moment.astimezone(ZoneInfo("Europe/Athens")).replace(tzinfo=None) for moment in stated]
    assert [row["x"] for row in moments(*texts, clock=clock)] == expected


def test_a_moment_of_the_source_counts_before_its_text(moments):
    typed = pa.array(["2024-01-01T00:00:00Z", None])
    rows = moments("1.1.2020", "2024-01-02", typed=typed)
    assert [row["x"] for row in rows] == [datetime(2024, 1, 1, 3, 30), datetime(2024, 1, 2)]
    dated = moments("x", typed=pa.array([datetime(2024, 5, 6)], pa.timestamp("us")))
    assert dated[0]["x"] == datetime(2024, 5, 6)


WHOLE = {
    "123": "123",
    "00123": "123",
    "123.0": "123",
    "۱۲۳": "123",
    " +5 ": "5",
    "000": "0",
    "9007199254740993": "9007199254740993",
    "1.5": None,
    "1e5": None,
    "-3": None,
    "abc": None,
}


def test_whole_numbers(column):
    table = column(list(WHOLE))
    found = parsing.whole_number(table["cell_x"]).to_pyarrow().to_pylist()
    assert dict(zip(WHOLE, found, strict=True)) == WHOLE


def test_yes_and_no_in_several_languages(column):
    table = column(["Yes", "بله", "ΝΑΙ", "1", "no", "خیر", "0", "maybe", "", None])
    found = parsing.flag(table["cell_x"]).to_pyarrow().to_pylist()
    assert found == [True, True, True, True, False, False, False, None, None, None]


def test_what_cannot_be_seen_is_blank(column):
    unseen = [None, "", " ", "\u00a0\t", "\u200b", "\u200f\u2066", "\ufeff"]
    found = parsing.is_blank(column(unseen)["cell_x"]).to_pyarrow().to_pylist()
    assert found == [True] * len(unseen)

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


@pytest.mark.parametrize(
    ("text", "value", "sign"),
    [
        ("1,234.50", 1234.5, ""),
        ("1 234 567.8", 1234567.8, ""),
        ("1\u202f234", 1234.0, ""),
        ("1'234.5", 1234.5, ""),
        ("12,34,567", 1234567.0, ""),
        ("۱۲٬۳۴۵٫۶", 12345.6, ""),
        ("(12.50)", -12.5, ""),
        ("12.50-", -12.5, ""),
        ("-$5", -5.0, "$"),
        ("$-5", -5.0, "$"),
        ("€ 12.50", 12.5, "€"),
        ("7 EUR", 7.0, "EUR"),
        ("ریال ۱۰۰۰", 1000.0, "ریال"),
        ("12.", 12.0, ""),
    ],
)
def test_numbers_as_people_write_them(numbers, text, value, sign):
    [row] = numbers(text)
    assert (row["x"], row["sign_x"]) == (value, sign)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "nan", "inf", "--5", "5-5", "1 2", "1,23", "1,234,56", "12.3.4", "(5", "5)", "$", "5 apples",
        "5 %", "€5€", "1.234,50", "0x10", "٫", "१२",
    ],
)  # fmt: skip
def test_what_is_no_number(numbers, text):
    assert numbers(text)[0]["x"] is None


def test_the_other_mark_is_told_from_a_slip(numbers):
    rows = numbers("1.234,50", "12,5", "1,234", "1.234", "-1,234", "12", "x", "1,234,567")
    assert [row["other_x"] for row in rows] == [True, True, False, False, False, False, False, False]
    assert [row["either_x"] for row in rows] == [False, False, True, True, True, False, False, False]


def test_a_number_of_the_source_counts_before_its_text(numbers):
    typed = pa.array([5.0, None, float("nan"), float("inf")])
    assert [row["x"] for row in numbers("9", "9", "9", "9", typed=typed)] == [5.0, 9.0, None, float("inf")]


@given(
    amount=st.decimals(-(10**12), 10**12, places=2),
    decimal=st.sampled_from(".,"),
    group=st.sampled_from(",. '"),
)
@examples(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_written_number_reads_back(numbers, amount, decimal, group):
    """Peer: Python's own thousands format, its marks exchanged."""
    if group == decimal:
        group = ""
    text = f"{amount:,.2f}".replace(",", "g").replace(".", decimal).replace("g", group)
    assert numbers(text, decimal=decimal)[0]["x"] == float(amount)


@given(day=st.dates(datetime(1822, 1, 1).date(), datetime(2200, 1, 1).date()))
@examples(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_persian_dates_are_those_of_jdatetime(moments, day):
    clock = Clock(("%Y/%m/%d",), "jalali", "UTC", None)
    text = jdatetime.date.fromgregorian(date=day).strftime("%Y/%m/%d")
    assert moments(text, clock=clock)[0]["x"] == datetime(day.year, day.month, day.day)


@pytest.mark.parametrize(
    ("text", "pattern", "moment"),
    [
        ("1402/07/15", None, datetime(2023, 10, 7)),
        ("۱۴۰۲-۷-۵ ۱۰:۲۲", None, datetime(2023, 9, 27, 10, 22)),
        ("15.07.1402 23:59:58", "%d.%m.%Y %H:%M:%S", datetime(2023, 10, 7, 23, 59, 58)),
        ("1403/12/30", None, datetime(2025, 3, 20)),  # a leap year
        ("1402/12/30", None, None),
        ("1402/07/31", None, None),
        ("1402/13/01", None, None),
        ("1402/07/15 24:00", None, None),
        ("2024-01-01", None, None),
    ],
)
def test_persian_dates_by_hand(moments, text, pattern, moment):
    clock = Clock((pattern,) if pattern else (), "jalali", "Asia/Tehran", None)
    assert moments(text, clock=clock)[0]["x"] == moment


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


@pytest.mark.parametrize("text", ["2024-03-10 22:30", "2024-03-31 00:30", "2024-10-27 00:30"])
def test_moments_without_offset_come_from_the_clock_of_the_source(moments, text):
    """Peer: zoneinfo. Athens changes its clock on two of these nights."""
    clock = Clock((), "gregorian", "Europe/Athens", "UTC")
    stated = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("UTC"))
    expected = stated.astimezone(ZoneInfo("Europe/Athens")).replace(tzinfo=None)
    assert moments(text, clock=clock)[0]["x"] == expected


def test_a_moment_of_the_source_counts_before_its_text(moments):
    typed = pa.array(["2024-01-01T00:00:00Z", None])
    rows = moments("1.1.2020", "2024-01-02", typed=typed)
    assert [row["x"] for row in rows] == [datetime(2024, 1, 1, 3, 30), datetime(2024, 1, 2)]
    dated = moments("x", typed=pa.array([datetime(2024, 5, 6)], pa.timestamp("us")))
    assert dated[0]["x"] == datetime(2024, 5, 6)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("123", "123"),
        ("00123", "123"),
        ("123.0", "123"),
        ("۱۲۳", "123"),
        (" +5 ", "5"),
        ("000", "0"),
        ("9007199254740993", "9007199254740993"),
        ("1.5", None),
        ("1e5", None),
        ("-3", None),
        ("abc", None),
    ],
)
def test_whole_numbers(column, text, whole):
    table = column([text])
    assert parsing.whole_number(table["cell_x"]).to_pyarrow().to_pylist() == [whole]


def test_yes_and_no_in_several_languages(column):
    table = column(["Yes", "بله", "ΝΑΙ", "1", "no", "خیر", "0", "maybe", "", None])
    found = parsing.flag(table["cell_x"]).to_pyarrow().to_pylist()
    assert found == [True, True, True, True, False, False, False, None, None, None]


@pytest.mark.parametrize("text", [None, "", " ", "\u00a0\t", "\u200b", "\u200f\u2066", "\ufeff"])
def test_what_cannot_be_seen_is_blank(column, text):
    assert parsing.is_blank(column([text])["cell_x"]).to_pyarrow().to_pylist() == [True]

"""Authority: the texts written by hand; Decimal and datetime of the standard library."""

import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest

from churnlab.data.readers.cells import moment, number, text, text_or_missing

TEHRAN = timezone(timedelta(hours=3, minutes=30))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", ""),
        (" 007 ", " 007 "),
        (123, "123"),
        (2**63 + 1, "9223372036854775809"),
        (123.0, "123.0"),
        (0.1, "0.1"),
        (1e16, "1e+16"),
        (math.inf, "inf"),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("1E+3"), "1000"),
        (Decimal("12.50"), "12.50"),
        (Decimal("NaN"), "nan"),
        (Decimal("-Infinity"), "-inf"),
        (True, "true"),
        (False, "false"),
        (date(2024, 3, 1), "2024-03-01"),
        (datetime(2024, 3, 1, 10), "2024-03-01T10:00:00"),
        (datetime(2024, 3, 1, 10, tzinfo=TEHRAN), "2024-03-01T06:30:00+00:00"),
        (datetime(2024, 3, 1, 10, 0, 0, 5, tzinfo=UTC), "2024-03-01T10:00:00.000005+00:00"),
        (datetime(1, 1, 1, 1, tzinfo=TEHRAN), "0001-01-01T01:00:00+03:30"),
        (time(9, 5), "09:05:00"),
        ({}, None),
        ([], "[]"),
        ({"a": ["é", 1, 2.5, None, True]}, '{"a":["é",1,2.5,null,true]}'),
        ([Decimal("1.50")], '["1.50"]'),
        ("Ελένη".encode(), "Ελένη"),
        (b"\xff\x00", "\\xff\x00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_text(value, expected):
    assert text(value) == expected


def test_nan_is_a_missing_cell_but_for_numbers():
    assert text(math.nan) == "nan"
    assert text_or_missing(math.nan) is None
    assert text_or_missing(Decimal("NaN")) is None
    assert text_or_missing("nan") == "nan"
    assert text_or_missing(1.5) == "1.5"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3, 3.0), (2.5, 2.5), (Decimal("0.1"), 0.1), (10**400, math.inf), (-(10**400), -math.inf)]
    + [(value, None) for value in (None, True, "3", date(2024, 1, 1), [3])],
)
def test_number(value, expected):
    assert number(value) == expected


def test_nan_stays_what_it_is():
    assert math.isnan(number(math.nan))
    assert math.isnan(number(Decimal("NaN")))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (date(2024, 3, 1), "2024-03-01"),
        (datetime(2024, 3, 1, 10), "2024-03-01T10:00:00"),
        (datetime(2024, 3, 1, 10, tzinfo=TEHRAN), "2024-03-01T06:30:00+00:00"),
        *[(value, None) for value in (None, "2024-03-01", 45352, 45352.5, time(9), True)],
    ],
)
def test_moment(value, expected):
    assert moment(value) == expected

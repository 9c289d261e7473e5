"""Authority: isoformat of the standard library."""

from datetime import date, datetime

import ibis
import pytest

from churnlab.data.readers.moments import is_moment, iso

MOMENTS = [
    datetime(2024, 3, 1),
    datetime(1969, 12, 31, 23, 59, 59, 999_999),
    datetime(2024, 2, 29, 10, 0, 0, 500_000),
    datetime(9999, 12, 31, 23, 59, 59),
]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tehran"])
def test_moments_are_as_python_writes_them_wherever_the_session_is(con, zone):
    before = con.raw_sql("SELECT current_setting('TimeZone')").fetchone()[0]
    con.raw_sql(f"SET TimeZone = '{zone}'")
    try:
        for moment in MOMENTS:
            naive, instant = (ibis.literal(f"{moment}{offset}") for offset in ("", "+00:00"))
            assert con.execute(iso(naive.cast("timestamp"))) == moment.isoformat()
            told = iso(instant.cast("timestamp('UTC')"))
            assert con.execute(told) == moment.isoformat() + "+00:00"
    finally:
        con.raw_sql(f"SET TimeZone = '{before}'")


def test_days_have_no_time(con):
    assert con.execute(iso(ibis.literal(date(2024, 3, 1)))) == "2024-03-01"


def test_what_is_a_moment():
    kinds = {"date": True, "timestamp": True, "timestamp('UTC', 9)": True, "time": False, "string": False}
    assert {kind: is_moment(ibis.dtype(kind)) for kind in kinds} == kinds

"""Authority: counting row by row."""

from __future__ import annotations

from datetime import date, datetime

import ibis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from churnlab.data.tally import tally

DAYS = [datetime(2024, 1, 1, 23, 59), datetime(2024, 1, 2), datetime(2024, 1, 2, 12), None]
SCHEMA = {
    "reason": "string",
    "ts": "timestamp(6)",
    "amount": "float64",
    "is_return": "boolean",
    "source_file": "string",
    "order_id": "string",
}
LINES = st.builds(
    lambda reason, ts, size, is_return, file, order: {
        "reason": reason if ts is not None else "date_unreadable",
        "ts": ts,
        "amount": -size if is_return else size,
        "is_return": is_return,
        "source_file": file,
        "order_id": order,
    },
    st.sampled_from([None, None, "duplicate"]),
    st.sampled_from(DAYS),
    st.sampled_from([0.0, 1.5, 1e9]),
    st.booleans(),
    st.sampled_from(["a.csv", "b.csv"]),
    st.sampled_from([None, "o1"]),
)


@examples(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINES, max_size=12))
def test_counts_are_those_of_the_rows(con, lines):
    told = tally(ibis.memtable(lines, schema=SCHEMA))
    good = [line for line in lines if line["reason"] is None]
    sold = [line["amount"] for line in good if not line["is_return"]]
    by_day: dict[date, list[dict]] = {}
    for line in good:
        by_day.setdefault(line["ts"].date(), []).append(line)
    assert told.refused == len(lines) - len(good)
    assert told.accepted == len(good)
    assert told.returns == len(good) - len(sold)
    assert told.dearest == max(sold, default=None)
    assert told.unnamed == sum(line["order_id"] is None for line in good)
    assert told.lines_by_day == {day: len(rows) for day, rows in by_day.items()}
    shared = [day for day, rows in by_day.items() if len({row["source_file"] for row in rows}) > 1]
    assert told.days_in_two_files() == sorted(shared)


@pytest.mark.parametrize("lines", [1, 3])
def test_without_a_column_of_orders_every_line_is_unnamed(con, lines):
    row = {"reason": None, "ts": DAYS[1], "amount": 1.0, "is_return": False, "source_file": "a.csv"}
    schema = {name: kind for name, kind in SCHEMA.items() if name != "order_id"}
    assert tally(ibis.memtable([row] * lines, schema=schema)).unnamed == lines

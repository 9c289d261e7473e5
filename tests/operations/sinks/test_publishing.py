"""What every place of publication does. Authority: pyarrow, DuckDB, sqlite3, csv and psycopg as readers."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from churnlab.errors import SinkError
from churnlab.operations.scoring import SCORES

TWO_DAYS = (date(2024, 2, 28), date(2024, 2, 29))
STRANGE_IDS = [
    "O'Neill",
    'say "hi", twice',
    "'); DROP TABLE scores; --",
    "😀👨‍👩‍👧",
    "مشتری ۱۲",
    "x" * 2_000,
    "=1+1",
    " leading and trailing ",
    "two\r\nlines\tand a tab",
    "$1 %s ? :name {}",
    "\\N",
    "NULL",
    "null",
    "1e5",
    "",
]


def published(target):
    sink = target.open()
    try:
        return sink.history()
    finally:
        sink.close()


def test_a_list_is_there_as_it_was_scored(target, lists):
    made = lists.make(1.5, 4)
    done = target.publish(made, quarantine=lists.quarantine("b", "a"))
    assert sorted(target.read()) == [(lists.day, f"c000000{n}", 1.5) for n in range(4)]
    assert target.refused() == ["a", "b"]
    assert done.is_of(made.run)
    assert (done.revision, done.published_at) == (1, lists.now)
    assert published(target) == [done]


def test_a_place_that_does_not_exist_yet_has_no_history(target, lists):
    sink = target.open()
    assert sink.history() == sink.history(lists.day) == []
    assert sink.rows_of("c0000001", lists.day) == []
    sink.close()


def test_the_same_run_again_changes_nothing(target, lists):
    made = lists.make(1.5)
    sink = target.open()
    first = sink.publish(made.path, made.run, lists.now, restate=False, quarantine=None)
    for restate in (False, True):
        later = lists.now + timedelta(days=1)
        assert sink.publish(made.path, made.run, later, restate=restate, quarantine=None) == first
    assert sink.history() == [first]
    assert [row["clv"] for _, row in sink.rows_of("c0000001", lists.day)] == [1.5]
    sink.close()


@pytest.mark.parametrize(
    "field", ["model_version", "run_id", "data_version", "params_version", "code_version"]
)
def test_another_identity_is_another_publication(new_target, lists, field):
    target, made = new_target("folder"), lists.make(1.0)
    target.publish(made)
    target.publish(replace(made, run=replace(made.run, **{field: "other"})))
    assert [past.revision for past in published(target)] == [1, 2]


def test_another_list_of_the_date_takes_its_place(target, lists):
    target.publish(lists.make(1.0, 5), quarantine=lists.quarantine("old"))
    target.publish(lists.make(2.0, 3))
    assert target.markers() == [2.0] * 3
    assert target.refused() == []
    assert [(past.revision, past.rows) for past in published(target)] == [(1, 5), (2, 3)]
    sink = target.open()
    assert [(past.revision, row["clv"]) for past, row in sink.rows_of("c0000001", lists.day)] == [(2, 2.0)]
    assert sink.rows_of("c0000004", lists.day) == []
    sink.close()


def test_who_stays_who_goes_and_who_comes(target, lists):
    before = lists.make(1.0, ["goes", "stays"], expected_next_order_date=[None, lists.day])
    target.publish(before)
    after = lists.make(2.0, ["comes", "stays"], expected_next_order_date=[lists.day, None])
    target.publish(after)
    sink = target.open()
    assert sink.rows_of("goes", lists.day) == []
    for expected in pq.read_table(after.path).to_pylist():
        [(_, row)] = sink.rows_of(expected["customer_id"], lists.day)
        assert row == expected
    sink.close()


def test_a_restated_list_keeps_the_earlier_one(target, lists):
    """Revision 2 is replaced without being kept; 1 and 3 are."""
    target.publish(lists.make(1.0, 5))
    target.publish(lists.make(2.0, 5), restate=True)
    target.publish(lists.make(3.0, 5))
    target.publish(lists.make(4.0, 2), restate=True)
    assert target.markers() == [4.0] * 2
    sink = target.open()
    found = [(past.revision, row["clv"]) for past, row in sink.rows_of("c0000001", lists.day)]
    assert found == [(1, 1.0), (3, 3.0), (4, 4.0)]
    assert [(past.revision, row["clv"]) for past, row in sink.rows_of("c0000004", lists.day)] == [
        (1, 1.0),
        (3, 3.0),
    ]
    sink.close()


def test_other_dates_are_left_alone(target, lists):
    for marker, day in enumerate(TWO_DAYS, start=1):
        target.publish(lists.make(marker, 2, day), quarantine=lists.quarantine(str(day)))
    target.publish(lists.make(3.0, 1, TWO_DAYS[0]))
    assert sorted({(day, clv) for day, _, clv in target.read()}) == [(TWO_DAYS[0], 3.0), (TWO_DAYS[1], 2.0)]
    assert target.refused() == [str(TWO_DAYS[1])]
    sink = target.open()
    assert [past.as_of for past in sink.history()] == [TWO_DAYS[0], TWO_DAYS[0], TWO_DAYS[1]]
    assert [past.revision for past in sink.history(TWO_DAYS[1])] == [1]
    sink.close()


def test_whole_rows_come_back(target, lists):
    """Nulls in expected_next_order_date, none to three reasons, numbers to the last bit."""
    numbers = [0.1 + 0.2, 5e-324, -1.7976931348623157e308, 0.0]
    made = lists.make(
        7.0,
        ["a", "b", "c", "d"],
        expected_next_order_date=[None, date(2024, 2, 29), date(2034, 1, 1), None],
        reasons=[[], ['one, "two"'], ["α", "=b"], ["1", "2", "3"]],
        clv=numbers,
    )
    target.publish(made)
    sink = target.open()
    for expected in pq.read_table(made.path).to_pylist():
        [(_, row)] = sink.rows_of(expected["customer_id"], lists.day)
        assert row == expected
        assert list(row) == SCORES.names
    sink.close()


def test_strange_ids_survive_bit_for_bit(target, lists):
    target.publish(lists.make(1.0, STRANGE_IDS))
    target.publish(lists.make(2.0, STRANGE_IDS), restate=True)
    if target.kind != "csv":  # where ids that a spreadsheet would run stand behind an apostrophe
        assert sorted(name for _, name, _ in target.read()) == sorted(STRANGE_IDS)
    sink = target.open()
    for name in STRANGE_IDS:
        found = sink.rows_of(name, lists.day)
        assert [(row["customer_id"], row["clv"]) for _, row in found] == [(name, 1.0), (name, 2.0)]
    assert sink.rows_of("' OR '1'='1", lists.day) == []
    sink.close()


def test_a_list_of_many_batches(target, lists, monkeypatch):
    monkeypatch.setattr("churnlab.operations.sinks.lists.BATCH_ROWS", 100)
    target.publish(lists.make(1.0, 1_234), quarantine=lists.quarantine(*map(str, range(250))))
    assert len({name for _, name, _ in target.read()}) == 1_234
    assert len(target.refused()) == 250


def test_moments_are_kept_in_utc(target, lists):
    made = lists.make(1.0)
    sink = target.open()
    now = datetime(2024, 3, 1, 2, 30, tzinfo=timezone(timedelta(hours=3, minutes=30)))
    sink.publish(made.path, made.run, now, restate=False, quarantine=None)
    assert sink.history()[0].published_at.isoformat() == "2024-02-29T23:00:00+00:00"
    assert sink.history()[0].published_at.tzinfo is UTC
    sink.close()


@pytest.mark.parametrize(
    "change", [{"rows": 4}, {"as_of": date(2024, 2, 28)}], ids=["other rows", "another date"]
)
def test_a_file_that_is_not_the_list_of_the_run_is_refused(target, lists, change):
    made = lists.make(1.0)
    with pytest.raises(SinkError, match=r"is not the list of \d customers as of 2024-02-2\d: score again"):
        target.publish(replace(made, run=replace(made.run, **change)))
    assert published(target) == []


def test_a_file_that_is_no_list_is_refused(new_target, lists):
    made, target = lists.make(1.0), new_target("folder")
    with pytest.raises(SinkError, match="has no column customer_id"):
        target.publish(replace(made, path=lists.quarantine("x")))
    made.path.write_text("no Parquet")
    with pytest.raises(SinkError, match="cannot be read as Parquet"):
        target.publish(made)


STEPS = st.lists(
    st.tuples(st.sampled_from(TWO_DAYS), st.integers(1, 3), st.booleans()), min_size=1, max_size=7
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_sequence_leaves_the_last_list_and_every_kept_one(request, new_target, lists, kind, steps):
    """Against a model: a dictionary of what is current and what was kept."""
    target, current, kept, revisions = new_target(kind), {}, [], dict.fromkeys(TWO_DAYS, 0)
    for day, marker, restate in steps:
        target.publish(lists.make(float(marker), marker, day), restate=restate)
        if current.get(day, (0, 0))[1] == marker:
            continue
        if restate and day in current:
            kept.append((day, *current[day]))
        revisions[day] += 1
        current[day] = (revisions[day], marker)
    expected = [(day, float(marker)) for day, (_, marker) in current.items() for _ in range(marker)]
    assert sorted((day, clv) for day, _, clv in target.read()) == sorted(expected)
    sink = target.open()
    for day in TWO_DAYS:
        found = [(past.as_of, past.revision, row["clv"]) for past, row in sink.rows_of("c0000000", day)]
        assert found == [one for one in [*kept, *((d, *c) for d, c in current.items())] if one[0] == day]
        assert [past.revision for past in sink.history(day)] == list(range(1, revisions[day] + 1))
    sink.close()


def pytest_generate_tests(metafunc):
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", ["folder", "csv", "delta", "sqlite", "duckdb", "postgres"])


def test_a_publication_can_be_written_as_json_and_read_back(new_target, lists):
    done = new_target("folder").publish(lists.make(1.0))
    assert type(done).from_record(json.loads(json.dumps(done.record()))) == done

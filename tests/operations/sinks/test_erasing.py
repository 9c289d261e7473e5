"""Customers taken out of published lists. Authority: readers that know nothing of churnlab."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from datetime import date, timedelta
from pathlib import Path

import duckdb
import psycopg
import pytest

from churnlab.errors import SinkError
from churnlab.operations.erasure import published
from churnlab.operations.erasure.traces import Wanted
from churnlab.operations.sinks.targets import open_lists, open_sink

ANN, BOB, EVE = "ann@example.org", "bob@example.org", "eve@example.org"
DAYS = (date(2024, 2, 28), date(2024, 2, 29))
ERASABLE = ("folder", "csv", "sqlite", "duckdb", "postgres")  # Delta tables are refused
WITHHELD = '{"erased": true}'


def lines_of(*names):
    return [json.dumps({"customer_id": name, "ts": "x"}) for name in names]


def forgotten(target, now, *ids):
    """What is found before, what resists, and what is found afterwards."""
    with contextlib.ExitStack() as opened:
        sinks = open_lists(target.url)
        for sink in sinks:
            opened.callback(sink.close)
        wanted = Wanted(frozenset(ids))
        found = published.search(sinks, wanted)
        troubles = published.erase(found, wanted, now)
        before = [trace for traces in found.values() for trace in traces]
        return before, troubles, published.left(sinks, wanted, troubles)


@pytest.fixture(params=ERASABLE)
def target(request, new_target):
    """Every kind of place from which customers can be erased."""
    return new_target(request.param)


@pytest.fixture
def shop(target, lists):
    """Two dates; the second told twice, its first list kept."""
    refused = lists.quarantine("a", "b", raw=lines_of(ANN, BOB))
    target.publish(lists.make(1.0, [ANN, BOB], DAYS[0]), quarantine=refused)
    target.publish(lists.make(2.0, [ANN, BOB, EVE], DAYS[1]))
    target.publish(lists.make(3.0, [ANN, BOB], DAYS[1]), restate=True, quarantine=refused)
    return target


def test_everywhere_and_nobody_else(shop, lists):
    names = ["as_of", "revision", "rows", "sha256", "published_at"]
    journal = shop.rows("publications", names)
    before, troubles, left = forgotten(shop, lists.now, ANN)
    assert sorted((trace.as_of, trace.hits.rows, trace.hits.cells) for trace in before) == [
        (DAYS[0], 0, 1),
        (DAYS[0], 1, 0),
        (DAYS[1], 0, 1),
        (DAYS[1], 1, 0),
        (DAYS[1], 1, 0),
    ]
    assert troubles == left == {}
    assert sorted(shop.read()) == [(DAYS[0], BOB, 1.0), (DAYS[1], BOB, 3.0)]
    assert shop.rows("scores_superseded", ["customer_id"]) == [(BOB,), (EVE,)]
    assert shop.rows("quarantine", ["detail", "raw"]) == [
        (detail, raw) for detail, raw in [("a", WITHHELD), ("b", lines_of(BOB)[0])] for _ in DAYS
    ]
    assert shop.rows("publications", names) == journal
    left_of = [(revision, n) for revision, n in shop.rows("erasures", ["revision", "rows_left"])]
    assert left_of == [(1, 1), (1, 2), (2, 1)]


def test_a_second_time_finds_nothing_and_enters_nothing(shop, lists):
    forgotten(shop, lists.now, ANN)
    entered = shop.rows("erasures", ["revision", "rows_left"])
    assert forgotten(shop, lists.now, ANN) == ([], {}, {})
    assert shop.rows("erasures", ["revision", "rows_left"]) == entered
    forgotten(shop, lists.now + timedelta(hours=1), BOB)
    assert shop.rows("scores", ["customer_id"]) == []
    assert shop.rows("scores_superseded", ["customer_id"]) == [(EVE,)]
    counts = sorted([*entered, (1, 0), (1, 1), (2, 0)])
    assert sorted(shop.rows("erasures", ["revision", "rows_left"])) == counts


def test_the_same_run_again_brings_nobody_back(target, lists):
    made, later = lists.make(1.0, [ANN, BOB]), lists.make(2.0, [BOB])
    first = target.publish(made)
    forgotten(target, lists.now, ANN)
    assert target.publish(made) == first
    assert target.read() == [(lists.day, BOB, 1.0)]
    assert target.publish(later, restate=True).revision == 2
    assert target.read() == [(lists.day, BOB, 2.0)]
    assert target.rows("scores_superseded", ["customer_id"]) == [(BOB,)]
    assert target.rows("erasures", ["revision", "rows_left"]) == [(1, 1)]


def test_more_customers_than_one_statement_takes(database, lists):
    database.publish(lists.make(1.0, 1_300))
    gone = [f"c{n:07d}" for n in range(1_201)]
    before, troubles, left = forgotten(database, lists.now, *gone)
    assert [trace.hits.rows for trace in before] == [1_201]
    assert troubles == left == {}
    assert len(database.read()) == 99
    assert database.rows("erasures", ["rows_left"]) == [(99,)]


@pytest.mark.parametrize("name", ["O'Neill", '"; DROP TABLE scores; --', "=1+1", "مشتری", "two\r\nlines"])
def test_strange_ids(target, lists, name):
    raw = lines_of(name, "somebody")
    target.publish(lists.make(1.0, [name, "somebody"]), quarantine=lists.quarantine("a", "b", raw=raw))
    assert forgotten(target, lists.now, name)[1:] == ({}, {})
    assert [found for _, found, _ in target.read()] == ["somebody"]
    assert target.rows("quarantine", ["raw"]) == sorted([(WITHHELD,), (raw[1],)])


def test_a_date_that_is_being_published_resists_and_is_told(shop, lists):
    sink = shop.open()
    with sink.lock(DAYS[0]):
        _, troubles, left = forgotten(shop, lists.now, ANN)
    sink.close()
    assert len(troubles) == len(left) == 2  # its list and its refused lines
    assert all("is being published by process" in why and why.startswith("1 left, ") for why in left.values())
    assert sorted(shop.read()) == [(DAYS[0], ANN, 1.0), (DAYS[0], BOB, 1.0), (DAYS[1], BOB, 3.0)]
    assert forgotten(shop, lists.now, ANN)[1:] == ({}, {})


def test_a_place_where_nothing_was_published_is_refused(target):
    with pytest.raises(SinkError, match="nothing was ever published there: correct --sink"):
        open_lists(target.url)


def test_delta_tables_are_refused(new_target, lists):
    """No file of theirs may be rewritten behind the back of their log."""
    target = new_target("folder")
    target.publish(lists.make(1.0, [ANN, BOB]))
    (Path(target.url) / "scores" / "_delta_log").mkdir()
    with pytest.raises(SinkError, match="holds Delta tables: delete the customers' rows with SQL"):
        open_lists(target.url)


def test_a_database_of_before_gets_its_table_of_erasures(database, lists):
    database.publish(lists.make(1.0, [ANN, BOB]))
    path = database.url.rpartition(":///")[2]
    if database.kind == "postgres":
        server, _, schema = database.url.partition("&schema=")
        with psycopg.connect(server) as con:
            con.execute(f"DROP TABLE {schema}.erasures")
    elif database.kind == "sqlite":
        with contextlib.closing(sqlite3.connect(path)) as con:
            con.execute("DROP TABLE erasures")
    else:
        with duckdb.connect(path) as con:
            con.execute("DROP TABLE erasures")
    assert forgotten(database, lists.now, ANN)[1:] == ({}, {})
    assert database.rows("erasures", ["revision", "rows_left"]) == [(1, 1)]


def test_sqlite_keeps_no_bytes_of_them(new_target, lists):
    target = new_target("sqlite")
    refused = lists.quarantine("a", raw=lines_of(ANN))
    target.publish(lists.make(1.0, [ANN, *(f"c{n}" for n in range(2_000))]), quarantine=refused)
    forgotten(target, lists.now, ANN)
    path = Path(target.url.rpartition(":///")[2])
    assert not any(ANN.encode() in file.read_bytes() for file in path.parent.glob(f"{path.name}*"))


def test_what_killed_runs_left_goes_too(new_target, lists):
    """A list that was never moved into its place, whole and cut short; an erasure that was killed."""
    target = new_target("folder")
    made = lists.make(1.0, [ANN, BOB])
    target.publish(made)
    folder = Path(target.url) / "scores" / f"as_of={lists.day}"
    whole = made.path.read_bytes()
    (folder / ".scores.parquet.tmp").write_bytes(whole)
    (folder / ".scores.parquet.1.tmp").write_bytes(whole[:-100])
    other = folder.with_name("as_of=2024-01-01")
    other.mkdir()
    (other / ".scores.parquet.tmp").write_bytes(whole)
    assert forgotten(target, lists.now, ANN)[1:] == ({}, {})
    assert [path.name for path in folder.parent.rglob("*.*")] == ["scores.parquet"]
    assert target.read() == [(lists.day, BOB, 1.0)]


def test_a_damaged_list_is_told(new_target, lists):
    target = new_target("folder")
    target.publish(lists.make(1.0, [ANN, BOB]))
    (path,) = (Path(target.url) / "scores").rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:200])
    _, _, left = forgotten(target, lists.now, ANN)
    why = f"{path}: cannot be read (ArrowInvalid): restore it or move it away"
    assert left == {str(path): f"cannot be read (ArrowInvalid), {why}"}


def test_both_formats_in_one_folder(new_target, lists):
    target = new_target("folder")
    target.publish(lists.make(1.0, [ANN, BOB], DAYS[0]))
    made = lists.make(2.0, [ANN, BOB], DAYS[1])
    open_sink(target.url, "csv").publish(made.path, made.run, lists.now, restate=False, quarantine=None)
    assert forgotten(target, lists.now, ANN)[1:] == ({}, {})
    left = [path.read_bytes() for path in Path(target.url).rglob("scores.*") if path.is_file()]
    assert len(left) == 2 and not any(ANN.encode() in content for content in left)

"""Databases that refuse or are busy. Authority: their own libraries, in processes of their own."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import psycopg
import pytest

from churnlab.errors import SinkError, TryLaterError
from churnlab.operations.sinks.retrying import Patience

NOW = datetime(2024, 3, 1, tzinfo=UTC)
HASTY = Patience(total_seconds=0.2, first_seconds=0.01, longest_seconds=0.05)
OCCUPYING = """\
import duckdb, sqlite3, sys
if sys.argv[1] == "duckdb":
    con = duckdb.connect(sys.argv[2])
else:
    con = sqlite3.connect(sys.argv[2])
    con.execute("BEGIN IMMEDIATE")
print("open", flush=True)
sys.stdin.read()
"""


def run_sql(target, sql):
    """By the database's own library."""
    path = target.url.rpartition(":///")[2]
    if target.kind == "postgres":
        server, _, schema = target.url.partition("&schema=")
        with psycopg.connect(server, options=f"-c search_path={schema}") as con:
            con.execute(sql)
    elif target.kind == "sqlite":
        with contextlib.closing(sqlite3.connect(path)) as con:
            con.execute(sql)
            con.commit()
    else:
        with duckdb.connect(path) as con:
            con.execute(sql)


def publish(target, made, patience=HASTY):
    return target.open(patience).publish(made.path, made.run, NOW, restate=False, quarantine=None)


@pytest.mark.parametrize("name", ["scores", "scores_superseded", "publications", "quarantine"])
def test_a_table_of_that_name_with_other_columns_is_refused(database, lists, name):
    run_sql(database, f"CREATE TABLE {name} (as_of DATE, mine INTEGER)")
    with pytest.raises(SinkError, match=rf"table {name} is not one of churnlab's \(column \w+\): rename it"):
        publish(database, lists.make(1.0))
    run_sql(database, f"INSERT INTO {name} (mine) VALUES (1)")  # it is as it was


@pytest.mark.parametrize("earlier", [["secret-customer", "b", "c"], 3])
def test_a_customer_twice_is_refused_and_not_named(database, lists, earlier):
    publish(database, lists.make(1.0, earlier))
    twice = lists.make(2.0, ["secret-customer", "secret-customer"])
    with pytest.raises(SinkError, match="a customer occurs twice") as raised:
        publish(database, twice)
    told = "".join(traceback.format_exception(raised.value))
    assert "secret-customer" not in told
    assert database.markers() == [1.0] * 3
    assert len(database.open().history()) == 1


def test_keys_of_the_tables(database, lists):
    """A second row of a customer and date, or of a date and revision, finds no room."""
    publish(database, lists.make(1.0, ["a"]))
    for table in ("scores", "publications"):
        with pytest.raises((sqlite3.IntegrityError, duckdb.ConstraintException, psycopg.IntegrityError)):
            run_sql(database, f"INSERT INTO {table} SELECT * FROM {table}")


def test_types_of_the_columns(new_target, lists):
    """As PostgreSQL and DuckDB tell them; SQLite keeps dates as ISO 8601 text."""
    for kind in ("postgres", "duckdb"):
        target = new_target(kind)
        publish(target, lists.make(1.0, ["a"]))
        url = target.url
        sql = (
            "SELECT column_name, lower(data_type) FROM information_schema.columns "
            "WHERE table_name = 'scores' AND column_name IN ('as_of', 'clv', 'T', 'priority_rank', 'reasons')"
        )
        if kind == "postgres":
            server, _, schema = url.partition("&schema=")
            with psycopg.connect(server) as con:
                found = dict(con.execute(f"{sql} AND table_schema = '{schema}'").fetchall())
        else:
            with duckdb.connect(url.rpartition(":///")[2]) as con:
                found = dict(con.execute(sql).fetchall())
        text, number = ("text", "double precision") if kind == "postgres" else ("varchar", "double")
        assert found == {
            "as_of": "date",
            "clv": number,
            "T": number,
            "priority_rank": "bigint",
            "reasons": text,
        }


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_file_that_another_process_is_writing(new_target, lists, kind):
    target = new_target(kind)
    publish(target, lists.make(2.0))
    command = [sys.executable, "-c", OCCUPYING, kind, target.url.rpartition(":///")[2]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(TryLaterError, match=r": another process .*: run the same command again later$"):
            publish(target, lists.make(1.0))

        def let_go(_):
            other.stdin.close()
            other.wait()

        assert publish(target, lists.make(1.0), Patience(60, 0.01, sleep=let_go)).revision == 2
    assert target.markers() == [1.0] * 3


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_file_that_is_no_database(new_target, lists, kind):
    target = new_target(kind)
    path = Path(target.url.rpartition(":///")[2])
    path.write_text("no database " * 1_000)
    with pytest.raises(SinkError, match=rf"^{kind}:///\S+: it .*: c"):
        publish(target, lists.make(1.0))
    assert path.read_text() == "no database " * 1_000

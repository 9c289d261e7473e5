"""PostgreSQL's own ways to fail, on a real server: sessions cut off, rights, passwords, outages."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from churnlab.errors import SinkError, TryLaterError
from churnlab.operations.sinks import adbc, databases
from churnlab.operations.sinks.retrying import Patience
from churnlab.operations.sinks.targets import open_sink

NOW = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.fixture
def target(new_target):
    return new_target("postgres")


@pytest.fixture
def server(target):
    """A superuser's own connection."""
    with psycopg.connect(target.url.partition("&schema=")[0], autocommit=True) as con:
        yield con


@pytest.fixture
def pauses():
    return []


def publish(target, made, pauses, url=None, total=60.0):
    """With pauses noted and not waited for."""
    sink = open_sink(url or target.url, "parquet", Patience(total, 0.01, 0.02, pauses.append))
    return sink.publish(made.path, made.run, NOW, restate=False, quarantine=None)


def cut_off(server):
    """Terminate every session of churnlab, and wait until they are gone."""
    found = server.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE application_name LIKE 'churnlab %'"
    ).fetchall()
    assert found == [(True,)]


def test_cut_off_in_mid_load(target, lists, server, pauses, monkeypatch):
    """The second batch is on its way when the session is cut off; the list is loaded again from its start."""
    whole, cuts = databases.stored, []

    def cut(*arguments, **options):
        reader = whole(*arguments, **options)

        def batches():
            for number, batch in enumerate(reader):
                if number == 1 and not cuts:
                    cuts.append(number)
                    cut_off(server)
                yield batch

        return type(reader).from_batches(reader.schema, batches())

    monkeypatch.setattr("churnlab.operations.sinks.lists.BATCH_ROWS", 2_000)
    monkeypatch.setattr(databases, "stored", cut)
    target.publish(lists.make(1.0))
    cuts.clear()
    assert publish(target, lists.make(2.0, 20_000), pauses).revision == 2
    assert (cuts, len(pauses)) == ([1], 1)
    assert target.markers() == [2.0] * 20_000


@pytest.mark.parametrize("committed", [False, True])
def test_the_answer_to_a_commit_is_lost(target, lists, server, pauses, monkeypatch, committed):
    """Either way there is one publication and one list; where the commit went through, it is not repeated."""
    target.publish(lists.make(9.0))
    commit, commits = adbc.AdbcConnection.commit, []

    def cut(self):
        commits.append(self)
        if len(commits) > 1:
            return commit(self)
        if committed:
            commit(self)
        cut_off(server)
        return self.rows("SELECT 1") if committed else commit(self)

    monkeypatch.setattr(adbc.AdbcConnection, "commit", cut)
    made = lists.make(1.0)
    assert publish(target, made, pauses).is_of(made.run)
    assert len(commits) == (1 if committed else 2)
    assert len(pauses) == 1
    assert target.markers() == [1.0] * 3
    assert [past.revision for past in target.open().history()] == [1, 2]


def test_a_lock_is_taken_again_after_its_session_was_cut_off(target, lists, server, pauses):
    made = lists.make(1.0)
    sink = open_sink(target.url, "parquet", Patience(60, 0.01, 0.02, pauses.append))
    with sink.lock(lists.day):
        cut_off(server)
        sink.publish(made.path, made.run, NOW, restate=False, quarantine=None)
        with pytest.raises(TryLaterError, match="is being published"), target.open().lock(lists.day):
            pass
    assert target.markers() == [1.0] * 3


def test_a_server_that_is_away(lists, pauses):
    """Nobody listens on port 1."""
    with pytest.raises(TryLaterError) as raised:
        publish(None, lists.make(1.0), pauses, "postgresql://ann:geheim@127.0.0.1:1/shop", total=0.05)
    assert str(raised.value) == (
        "postgresql://127.0.0.1:1/shop: the server is away, busy or starting: "
        "run the same command again later"
    )
    assert pauses


def test_a_table_that_another_session_locks(target, lists, server, pauses):
    target.publish(lists.make(1.0))
    schema = target.url.rpartition("=")[2]
    url = f"{target.url}&options=-c%20lock_timeout%3D50"
    with server.transaction():
        server.execute(f"LOCK TABLE {schema}.scores IN EXCLUSIVE MODE")
        with pytest.raises(TryLaterError, match="away, busy or starting"):
            publish(target, lists.make(2.0), pauses, url, total=0.2)
        assert target.markers() == [1.0] * 3
    assert pauses
    assert publish(target, lists.make(2.0), pauses, url).revision == 2


@pytest.fixture
def as_clerk(target, server):
    """The URL for a user who may read and use the schema, with a password that the server asks for."""
    parts = urlsplit(target.url)
    rules = Path(parse_qs(parts.query)["host"][0]) / "pg_hba.conf"
    if "clerk" not in rules.read_text():
        rules.write_text("local all clerk scram-sha-256\n" + rules.read_text())
        server.execute("CREATE ROLE clerk LOGIN PASSWORD 'geheim'")
    server.execute("SELECT pg_reload_conf()")
    server.execute(f"GRANT USAGE ON SCHEMA {target.url.rpartition('=')[2]} TO clerk")
    return lambda password: parts._replace(netloc=f"clerk:{password}@").geturl()


def test_a_wrong_password_is_not_tried_twice(as_clerk, lists, pauses):
    with pytest.raises(SinkError, match=r"it refuses the user or the password: check both$") as raised:
        publish(None, lists.make(1.0), pauses, as_clerk("falsch"))
    assert pauses == []
    assert "falsch" not in str(raised.value)
    assert "clerk" not in str(raised.value)


def test_a_missing_right_is_not_tried_twice(target, as_clerk, lists, server, pauses):
    with pytest.raises(SinkError, match=r"lacks a right: grant CREATE on the schema"):
        publish(None, lists.make(1.0), pauses, as_clerk("geheim"))
    target.publish(lists.make(1.0))
    schema = target.url.rpartition("=")[2]
    server.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO clerk")
    with pytest.raises(SinkError, match=r"lacks a right"):
        publish(None, lists.make(2.0), pauses, as_clerk("geheim"))
    assert pauses == []
    assert target.markers() == [1.0] * 3
    server.execute(f"GRANT INSERT, DELETE ON ALL TABLES IN SCHEMA {schema} TO clerk")
    assert publish(None, lists.make(2.0), pauses, as_clerk("geheim")).revision == 2


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("/postgres?", "/nowhere?"), "there is no such user or database"),
        (("postgres:@", "nobody:@"), "there is no such user or database"),
        (("&schema=", "&bogus="), "a part or parameter that PostgreSQL does not know"),
        (("&schema=", "&schema=no_"), "there is no such schema: create it"),
    ],
)
def test_a_url_that_leads_nowhere_is_not_tried_twice(target, lists, pauses, change, line):
    with pytest.raises(SinkError, match=line):
        publish(target, lists.make(1.0), pauses, target.url.replace(*change))
    assert pauses == []


def test_nothing_is_visible_before_the_commit(target, lists, server, monkeypatch):
    """Another session looks after every statement, those with moments among their values included."""
    target.publish(lists.make(1.0), quarantine=lists.quarantine("old"))
    schema = target.url.rpartition("=")[2]
    run_one, seen = adbc.AdbcConnection.rows, []

    def rows(self, sql, values=()):
        found = run_one(self, sql, values)
        tables = ("scores", "scores_superseded", "quarantine", "publications")
        counts = [server.execute(f"SELECT count(*) FROM {schema}.{table}").fetchone()[0] for table in tables]
        seen.append((sql.split()[0], *counts))
        return found

    monkeypatch.setattr(adbc.AdbcConnection, "rows", rows)
    sink, made = target.open(), lists.make(2.0, 5)
    sink.publish(made.path, made.run, NOW, restate=True, quarantine=None)
    assert seen.pop() == ("SELECT", 5, 3, 0, 2)  # the lock is given up after the commit
    assert {one[1:] for one in seen} == {(3, 0, 1, 1)}
    assert [one[0] for one in seen[-5:]] == ["INSERT", "DELETE", "INSERT", "DELETE", "INSERT"]
    assert target.markers() == [2.0] * 5


def test_two_runs_create_the_tables_together(target, lists):
    from concurrent.futures import ThreadPoolExecutor
    from datetime import date

    made = [lists.make(1.0, 2, date(2024, 1, day)) for day in range(1, 7)]
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(target.publish, made))
    assert [past.revision for past in done] == [1] * 6
    assert len(target.markers()) == 12


def test_sessions_notice_a_peer_that_vanished(target, lists):
    """Settings of the server for this session; the client's are in the address that it connects to."""
    sink = open_sink(target.url)
    with sink.lock(lists.day), sink._connection(lists.day) as con:
        setting = "SELECT current_setting($1) AS value"
        assert con.rows(setting, ("client_connection_check_interval",)) == [{"value": "5s"}]
        assert con.rows(setting, ("application_name",))[0]["value"].startswith("churnlab ")
    assert parse_qs(urlsplit(sink._url).query)["keepalives_idle"] == ["30"]

"""Publishes to PostgreSQL."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from churnlab.data.readers.postgres import OUTAGES
from churnlab.errors import SinkError, TryLaterError
from churnlab.operations.sinks.adbc import AdbcConnection, driver
from churnlab.operations.sinks.databases import Connection, DatabaseSink
from churnlab.operations.sinks.retrying import PassingError, Patience, persist

COLUMNS = (
    "SELECT column_name::text AS name FROM information_schema.columns "
    "WHERE table_schema = current_schema() AND table_name = $1"
)
# what a vanished peer is found out by, on both sides of the connection
CLIENT_SETTINGS = {
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
SERVER_SETTINGS = """\
SELECT set_config(name, value, false) FROM pg_settings JOIN (VALUES
  ('tcp_keepalives_idle', '30'), ('tcp_keepalives_interval', '10'), ('tcp_keepalives_count', '3'),
  ('client_connection_check_interval', '5s')
) AS wanted (name, value) USING (name)"""
HOLDER = """\
SELECT a.application_name::text AS name, a.backend_start AS since, a.client_addr::text AS address
FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.classid::bigint = $1 AND l.objid::bigint = $2"""
# Appendix A of PostgreSQL's manual: lost connections, serialization, deadlock, shutdown, start, no free slot
PASSING_STATES = ("08", "40001", "40P01", "53300", "55P03", "57P01", "57P02", "57P03", "57P05")
LOST_STATES = ("08", "57P")
PASSING_WORDS = (*OUTAGES, "Failed to prepare query: \n")  # nothing is said of a connection that is gone
FINDINGS = {
    "22": "it refuses a value of the scores",
    "23": "it refuses a row: a customer occurs twice, or the table has constraints of its own",
    "25006": "it may only be read: name the primary server",
    "28": "it refuses the user or the password: check both",
    "3D": "there is no such database: check the URL",
    "3F": "there is no such schema: create it or correct ?schema=",
    "42501": "the user lacks a right: grant CREATE on the schema; SELECT, INSERT, DELETE on its tables",
    "53100": "the server's disk is full: make room",
    "53200": "the server is out of memory",
    "57014": "the server cancelled the work: raise its statement_timeout for this user",
}
FINDINGS_BY_WORDS = {
    "authentication failed": "it refuses the user or the password: check both",
    "no password supplied": "it wants a password: put it into the URL",
    "pg_hba.conf": "its pg_hba.conf admits no such user from here",
    "does not exist": "there is no such user or database: check the URL",
    "invalid URI": "the URL has a part or parameter that PostgreSQL does not know",
    "could not translate host name": "there is no such host: check the URL",
    "certificate": "its certificate cannot be trusted: check sslmode and sslrootcert",
}


class PostgresSink(DatabaseSink):
    """A Sink in PostgreSQL: in the schema named by the URL's ?schema=, else in the first of the search path.

    The lock of a date is an advisory one, held by a session that dies with its process. A list is copied into
    a temporary table of that session, which dies with it, too.
    """

    def __init__(self, url: str, shown: str, patience: Patience) -> None:
        super().__init__(shown, patience)
        self._driver = driver("postgresql")
        self._url, self._schema = _connection_url(url)
        self._sessions: dict[date, AdbcConnection | None] = {}

    @contextmanager
    def _exclusively(self, day: date) -> Iterator[None]:
        self._sessions[day] = persist(lambda: self._locked(day, again=False), self._patience)
        try:
            yield
        finally:
            self._drop(day)
            del self._sessions[day]

    @contextmanager
    def _connection(self, day: date | None) -> Iterator[Connection]:
        if day is None:
            con = self._opened()
        else:
            con = self._sessions[day] = self._sessions[day] or self._locked(day, again=True)
        try:
            yield con
        except self._driver.Error as error:
            if day is not None and _is_lost(error):
                self._drop(day)
            raise self._fault(error) from None
        finally:
            if day is None:
                _close(con)

    def _opened(self) -> AdbcConnection:
        """A new session with its settings.

        Raises
        ------
        PassingError, SinkError
            The server cannot be reached or refuses.
        """
        con = None
        try:
            con = AdbcConnection(self._driver.connect(self._url, autocommit=True), COLUMNS)
            con.rows(SERVER_SETTINGS)
            if self._schema is not None:
                con.rows("SELECT set_config('search_path', quote_ident($1), false)", (self._schema,))
            if con.rows("SELECT current_schema()::text AS name")[0]["name"] is None:
                raise SinkError(f"{self.shown}: {FINDINGS['3F']}")
        except BaseException as error:
            if con is not None:
                _close(con)
            if isinstance(error, self._driver.Error):
                raise self._fault(error) from None
            raise
        return con

    def _locked(self, day: date, *, again: bool) -> AdbcConnection:
        """A session with the lock of a date; `again`: the one that had it is lost, maybe not gone yet."""
        con = self._opened()
        try:
            schema = con.rows("SELECT current_schema()::text AS name")[0]["name"]
            key = (_key(schema), day.toordinal())
            taken = "SELECT pg_try_advisory_lock(CAST($1 AS INT), CAST($2 AS INT)) AS taken"
            if con.rows(taken, key)[0]["taken"]:
                return con
            holders = con.rows(HOLDER, (key[0] % 2**32, key[1]))
        except self._driver.Error as error:
            _close(con)
            raise self._fault(error) from None
        _close(con)
        line = f"{self.shown}: {day} is being published by {_described(holders)}"
        if again or any(_is_dead(str(holder["name"])) for holder in holders):
            raise PassingError(line)
        raise TryLaterError(f"{line}: run the same command again later")

    def _before_creating(self, con: Connection) -> None:
        con.rows("SELECT pg_advisory_xact_lock(CAST($1 AS INT), 0)", (_key("tables"),))

    def _drop(self, day: date) -> None:
        con = self._sessions[day]
        if con is not None:
            _close(con)
            self._sessions[day] = None

    def _fault(self, error: Any) -> Exception:
        """What to tell of it; its own words may quote rows, the address or the user."""
        state, words = error.sqlstate or "", str(error)
        if state.startswith(PASSING_STATES) if state else any(phrase in words for phrase in PASSING_WORDS):
            return PassingError(f"{self.shown}: the server is away, busy or starting")
        known = FINDINGS if state else FINDINGS_BY_WORDS
        found = (said for sign, said in known.items() if (state.startswith(sign) if state else sign in words))
        refusal = f"PostgreSQL refuses ({'SQLSTATE ' + state if state else type(error).__name__})"
        return SinkError(f"{self.shown}: {next(found, refusal)}")


def _connection_url(url: str) -> tuple[str, str | None]:
    """The URL for libpq, with what a vanished peer is found out by; and the schema named in it."""
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    schema = given.pop("schema", None)
    ours = {"application_name": f"churnlab {socket.gethostname()[:40]} {os.getpid()}"}
    query = urlencode(CLIENT_SETTINGS | ours | given, quote_via=quote)
    return parts._replace(scheme="postgresql", query=query).geturl(), schema


def _key(text: str) -> int:
    """A signed number of 32 bits, as advisory locks have."""
    return int.from_bytes(hashlib.sha256(f"churnlab {text}".encode()).digest()[:4], signed=True)


def _is_lost(error: Any) -> bool:
    return error.sqlstate is None or error.sqlstate.startswith(LOST_STATES)


def _described(holders: list[dict[str, Any]]) -> str:
    """Who, as far as the server tells this user."""
    if not holders or not holders[0]["name"]:
        return "another session"
    _, _, owner = str(holders[0]["name"]).partition(" ")
    host, _, pid = owner.rpartition(" ")
    return f"process {pid} on {host} since {holders[0]['since'].astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _is_dead(name: str) -> bool:
    """Whether a session is of a process of this machine that is gone; the server will notice in a moment."""
    host, _, pid = name.removeprefix("churnlab ").rpartition(" ")
    if host != socket.gethostname()[:40] or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _close(con: AdbcConnection) -> None:
    with suppress(Exception):  # a lost connection has no locks any more
        con.rows("SELECT pg_advisory_unlock_all()::text")  # the session itself may take its time to end
    with suppress(Exception):
        con.close()

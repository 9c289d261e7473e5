"""Reads a table or a query of a database row by row, and keeps its address to itself."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from churnlab.config import Database
from churnlab.data.readers import postgres
from churnlab.data.readers.files import shown
from churnlab.data.readers.raw_lines import Request, Row
from churnlab.errors import AwayError, ConfigError, DataError

if TYPE_CHECKING:
    import sqlalchemy as sa

EXTRAS = {"postgresql": 'pip install "churnlab[postgres]"', "duckdb": 'pip install "churnlab[duckdb]"'}
PLAIN_POSTGRES = re.compile(r"^postgres(ql)?$")
SHORTEST_PART = 4  # a shorter part of the address cannot be blotted out without spoiling other words


def name(database: Database) -> str:
    """What lines of a database have for `source_file`."""
    return database.table or "query"


def rows(request: Request) -> Iterator[Row]:
    """The mapped cells of every row, fetched `chunk_rows` at a time in a transaction that may only read.

    Raises
    ------
    ConfigError
        The URL is not in the environment, or is none.
    AwayError
        The database cannot be reached at the moment.
    DataError
        The driver is not installed, the database refuses, or a mapped column is not there. No message holds
        any part of the URL.
    """
    database = request.source.database
    assert database is not None  # sources.read: only then
    url = _url(database, request.section)
    with _told(url, request.section), _connected(url, database) as connection:
        result, positions = _result(connection, database, request)
        with result:
            for row in result:
                yield [row[place] for place in positions]


def _url(database: Database, section: str) -> sa.URL:
    """The address, with a driver that the extras install."""
    import sqlalchemy as sa  # noqa: PLC0415 - slow to import; files do without

    key = f"{section}.database.url" if database.url_env is None else database.url_env
    text = database.url if database.url_env is None else os.environ.get(database.url_env, "").strip()
    if not text:
        raise ConfigError(
            f"{section}.database.url_env: the environment variable {database.url_env} is not set: "
            "export it with the URL of the database"
        )
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigError(f"{key}: is no database URL: write it as postgresql://user@host/database") from None
    return url.set(drivername=PLAIN_POSTGRES.sub("postgresql+psycopg", url.drivername))


@contextmanager
def _connected(url: sa.URL, database: Database) -> Iterator[sa.Connection]:
    """A connection that streams, cannot write, and is gone afterwards."""
    import sqlalchemy as sa  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    backend = url.get_backend_name()
    if backend == "sqlite":
        _check_sqlite_file(url)
    only_reading = {"read_only": True} if backend == "duckdb" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sa.exc.SAWarning)  # they repeat parts of the URL
        engine = sa.create_engine(url, poolclass=NullPool, connect_args=only_reading, hide_parameters=True)
    with engine.connect() as connection:
        if connection.dialect.driver == "psycopg":
            postgres.read_any_moment(connection.connection.dbapi_connection)
        yield connection.execution_options(
            stream_results=True, yield_per=database.chunk_rows, **_read_only_options(connection, backend)
        )


def _check_sqlite_file(url: sa.URL) -> None:
    """SQLite would make an empty database where there is none."""
    if url.database and not url.database.startswith("file:") and not Path(url.database).is_file():
        raise FileNotFoundError(2, "the database file is not there")


def _read_only_options(connection: sa.Connection, backend: str) -> dict[str, Any]:
    if backend == "postgresql":
        return {"postgresql_readonly": True}
    if backend == "sqlite":
        connection.exec_driver_sql("PRAGMA query_only = ON")
    elif backend in ("mysql", "mariadb"):
        connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
    return {}


def _result(
    connection: sa.Connection, database: Database, request: Request
) -> tuple[sa.CursorResult[Any], list[int]]:
    """The running statement, and where in its rows the mapped columns stand."""
    import sqlalchemy as sa  # noqa: PLC0415

    if database.query is not None:
        result = connection.execution_options(no_parameters=True).exec_driver_sql(database.query)
        if not result.returns_rows:
            raise DataError(f"{request.section}.database.query: gives no rows: write a SELECT")
        return result, request.positions(list(result.keys()), name(database))
    table = sa.table(str(database.table), schema=database.db_schema)
    nothing = sa.select(sa.text("*")).select_from(table).where(sa.false())
    with connection.execute(nothing) as probe:
        request.positions(list(probe.keys()), name(database))
    wanted = list(dict.fromkeys(request.mapped.values()))
    result = connection.execute(sa.select(*map(sa.column, wanted)).select_from(table))
    return result, [wanted.index(column) for column in request.mapped.values()]


@contextmanager
def _told(url: sa.URL, section: str) -> Iterator[None]:
    """Whatever goes wrong becomes one line without the address; the cause, which may hold it, is dropped."""
    import sqlalchemy as sa  # noqa: PLC0415

    try:
        yield
    except (ModuleNotFoundError, sa.exc.NoSuchModuleError):
        remedy = EXTRAS.get(url.get_backend_name(), "install the SQLAlchemy driver that the URL names")
        raise DataError(
            f"{section}.database: the driver of the database is not installed: {remedy}"
        ) from None
    except sa.exc.OperationalError as error:
        kind = AwayError if postgres.is_away(str(error.orig)) else DataError
        raise kind(_refusal(error, url, section)) from None
    except (sa.exc.SQLAlchemyError, OSError, ValueError, TypeError, ImportError, ArithmeticError) as error:
        raise DataError(_refusal(error, url, section)) from None


def _refusal(error: Exception, url: sa.URL, section: str) -> str:
    return (
        f"{section}.database: cannot be read ({_finding(error, url)}): "
        "check the address, the rights, and the name of the table or the query"
    )


def _finding(error: Exception, url: sa.URL) -> str:
    """The driver's class of error and the first line that it says, with every part of the URL blotted out."""
    found = getattr(error, "orig", None) or error
    lines = str(found).strip().splitlines()
    parts = _secrets(url)
    if not lines or min((len(part) for part in parts), default=SHORTEST_PART) < SHORTEST_PART:
        return type(found).__name__
    line = lines[0]
    for part in sorted(parts, key=len, reverse=True):
        line = re.sub(re.escape(part), "…", line, flags=re.IGNORECASE)
    return f"{type(found).__name__}: {shown(line, 200)}"


def _secrets(url: sa.URL) -> set[str]:
    """Every part of a URL, as it is and as it is written in one."""
    values = [url.render_as_string(hide_password=False), url.username, url.password, url.host, url.database]
    values.append(None if url.port is None else str(url.port))
    values += [value for values_of in url.query.values() for value in _several(values_of)]
    plain = {str(value) for value in values if value}
    return plain | {quote(value, safe="") for value in plain} | {quote_plus(value) for value in plain}


def _several(values: str | tuple[str, ...]) -> tuple[str, ...]:
    return (values,) if isinstance(values, str) else values

"""Authority: rows inserted by hand into real databases: PostgreSQL, SQLite, DuckDB."""

import math
import sqlite3
import sys
import tracemalloc
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import duckdb
import psycopg
import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from churnlab.config import Database, Source
from churnlab.data import sources
from churnlab.data.readers import databases
from churnlab.data.readers.raw_lines import Request
from churnlab.errors import AwayError, ConfigError, DataError

MAPPED = {"customer_id": "id", "ts": "when", "amount": "v"}
TYPED = {"numbers": ("amount",), "moments": ("ts",)}
VARIABLE = "SHOP_DATABASE"
NASTY = 'we"ird; DROP TABLE "orders" --%(x)s :y'


def source(**keys):
    return Source(database=Database(**{"url_env": VARIABLE} | keys))


def fetched(mapped=None, **keys):
    return [list(row) for row in databases.rows(Request(source(**keys), mapped or MAPPED))]


@pytest.fixture
def sqlite_file(tmp_path, monkeypatch):
    path = tmp_path / "shop.sqlite"
    monkeypatch.setenv(VARIABLE, f"sqlite:///{path}")
    with sqlite3.connect(path) as con:
        con.execute('CREATE TABLE orders (id TEXT, "when" TEXT, v, other)')
        con.executemany(
            "INSERT INTO orders VALUES (?, ?, ?, 'x')",
            [("001", "2024-03-01", 12.5), ("Ελένη", None, 7), (None, "2024-03-02 10:00:00", "seven")],
        )
    con.close()
    return path


@pytest.fixture
def duckdb_file(tmp_path, monkeypatch):
    path = tmp_path / "shop.duckdb"
    monkeypatch.setenv(VARIABLE, f"duckdb:///{path}")
    with duckdb.connect(str(path)) as con:
        con.execute(
            "CREATE TABLE orders AS SELECT * FROM (VALUES "
            "(9007199254740993, TIMESTAMPTZ '2024-03-01 10:00:00+03:30', 12.50::DECIMAL(10,2)), "
            '(NULL, NULL, NULL)) AS t(id, "when", v)'
        )
    return path


@pytest.fixture
def postgres(postgres_url, monkeypatch):
    """Runs statements in an empty database of the server, which is the one in the environment."""
    monkeypatch.setenv(VARIABLE, postgres_url)
    engine = sa.create_engine(sa.make_url(postgres_url).set(drivername="postgresql+psycopg"))

    def run(*statements):
        with engine.begin() as con:
            for statement in statements:
                con.execution_options(no_parameters=True).exec_driver_sql(statement)

    run("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    yield run
    engine.dispose()


def test_sqlite(sqlite_file):
    rows = [["001", "2024-03-01", 12.5], ["Ελένη", None, 7], [None, "2024-03-02 10:00:00", "seven"]]
    assert fetched(table="orders") == rows
    assert fetched(table="orders", db_schema="main") == rows
    assert fetched(table="orders", chunk_rows=1) == rows
    assert fetched(query="SELECT v, \"when\", id FROM orders WHERE id LIKE '0%'") == rows[:1]


def test_duckdb(duckdb_file):
    tehran = timezone(timedelta(hours=3, minutes=30))
    rows = [[9007199254740993, datetime(2024, 3, 1, 10, tzinfo=tehran), Decimal("12.50")], [None, None, None]]
    assert fetched(table="orders") == fetched(query="FROM orders") == rows


def test_postgres_types_and_digits(postgres):
    postgres(
        'CREATE TABLE orders (id bigint, "when" timestamptz, v numeric, d date, f float8, j jsonb, b bool)',
        "INSERT INTO orders VALUES (9007199254740993, '2024-03-01 10:00+03:30', 0.0000001, '2024-03-01', "
        "'NaN', '{\"a\": [1, 2]}', true), (1, NULL, 'NaN', NULL, 'Infinity', NULL, NULL)",
    )
    more = {"discount": "f", "order_id": "j", "channel": "b", "product_id": "d"}
    assert fetched(MAPPED | {"product_id": "d", "channel": "b"}, table="orders")[0] == [
        9007199254740993,
        datetime(2024, 3, 1, 6, 30, tzinfo=UTC),
        Decimal("1E-7"),
        date(2024, 3, 1),
        True,
    ]
    assert len(fetched(MAPPED | more, table="orders", db_schema="public")) == 2


def test_raw_lines_of_a_database(con, postgres):
    postgres(
        'CREATE TABLE orders (id bigint, "when" timestamptz, v numeric, f float8, j jsonb, d date)',
        "INSERT INTO orders VALUES (9007199254740993, '2024-03-01 10:00+03:30', 0.0000001, 'NaN', "
        "'{\"a\": [1, 2]}', '2024-03-01'), (1, NULL, 'NaN', 'Infinity', '{}', NULL)",
    )
    mapped = MAPPED | {"discount": "f", "order_id": "j", "channel": "f", "signup": "d"}
    table = sources.read(
        con, source(table="orders"), mapped, numbers=["amount", "discount"], moments=["ts", "signup"]
    )
    first, second = table.to_pyarrow().to_pylist()
    assert (first["typed_amount"], first.pop("typed_discount") is None) == (1e-7, False)
    assert first == {
        "source_file": "orders",
        "source_row": 1,
        "malformed": None,
        "customer_id": "9007199254740993",
        "ts": "2024-03-01T06:30:00+00:00",
        "amount": "0.0000001",
        "discount": "nan",
        "order_id": '{"a":[1,2]}',
        "channel": None,
        "signup": "2024-03-01",
        "typed_amount": 1e-7,
        "typed_ts": "2024-03-01T06:30:00+00:00",
        "typed_signup": "2024-03-01",
    }
    assert math.isnan(second["typed_amount"])
    assert (second["typed_discount"], second["discount"], second["channel"]) == (math.inf, "inf", "inf")
    assert (second["source_row"], second["ts"], second["typed_ts"], second["order_id"]) == (
        2,
        None,
        None,
        None,
    )
    query = sources.read(con, source(query="SELECT * FROM orders"), MAPPED, **TYPED)
    assert query.source_file.to_pyarrow().to_pylist() == ["query", "query"]


@pytest.mark.parametrize("kind", ["sqlite", "duckdb", "postgres"])
def test_names_are_names_and_never_sql(kind, request, monkeypatch, tmp_path):
    quoted = '"' + NASTY.replace('"', '""') + '"'
    make = [
        "CREATE TABLE orders (x int)",
        f"CREATE TABLE {quoted} ({quoted} int, plain int)",
        f"INSERT INTO {quoted} VALUES (7, 8)",
    ]
    if kind == "postgres":
        request.getfixturevalue("postgres")(*make, f"CREATE SCHEMA IF NOT EXISTS {quoted}")
    else:
        monkeypatch.setenv(VARIABLE, f"{kind}:///{tmp_path}/n.db")
        with {"sqlite": sqlite3, "duckdb": duckdb}[kind].connect(str(tmp_path / "n.db")) as con:
            for statement in make:
                con.execute(statement)
    assert fetched({"customer_id": NASTY, "order_id": "plain"}, table=NASTY) == [[7, 8]]
    with pytest.raises(DataError, match=r"^orders: column '[^\n]*' is not there: [^\n]*; it has: x$"):
        fetched({"customer_id": NASTY}, table="orders")
    with pytest.raises(DataError, match="cannot be read"):
        fetched({"customer_id": "x"}, table="orders; --")


def test_a_query_is_given_as_it_is(postgres):
    postgres("CREATE TABLE t (id text)", "INSERT INTO t VALUES ('100%'), ('a:b'), ('x')")
    query = "SELECT id FROM t WHERE id LIKE '%\\%' OR id = 'a:b' ORDER BY id::text"
    assert fetched({"customer_id": "id"}, query=query) == [["100%"], ["a:b"]]


@pytest.mark.parametrize("kind", ["sqlite_file", "duckdb_file", "postgres"])
def test_nothing_can_be_written(kind, request):
    run = request.getfixturevalue(kind)
    if kind == "postgres":
        run('CREATE TABLE orders (id int, "when" int, v int)', "INSERT INTO orders VALUES (1, 2, 3)")
    before = len(fetched(table="orders"))
    for query in ("DELETE FROM orders", "DELETE FROM orders RETURNING *", "DROP TABLE orders"):
        with pytest.raises(DataError, match=r"^data\.database"):
            fetched(query=query)
    assert len(fetched(table="orders")) == before > 0


def test_a_table_as_large_as_you_like_is_held_in_chunks(tmp_path, monkeypatch):
    """200,000 rows of 500 characters are 100 MB; a chunk of 1,000 is half a megabyte."""
    monkeypatch.setenv(VARIABLE, f"sqlite:///{tmp_path}/large.sqlite")
    with sqlite3.connect(tmp_path / "large.sqlite") as con:
        con.execute("CREATE TABLE t (id TEXT)")
        con.execute(
            "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) "
            "SELECT printf('%0500d', i) FROM n"
        )
    con.close()
    assert peak_of_reading() < 5_000_000


def test_postgres_streams_too(postgres):
    postgres("CREATE TABLE t AS SELECT lpad(i::text, 500, '0') AS id FROM generate_series(1, 200000) AS s(i)")
    assert peak_of_reading() < 5_000_000


def peak_of_reading():
    request = Request(source(table="t", chunk_rows=1_000), {"customer_id": "id"})
    next(databases.rows(request))  # imports
    tracemalloc.start()
    count = sum(1 for _ in databases.rows(request))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 200_000
    return peak


def test_postgres_keeps_the_rows_until_they_are_fetched(postgres):
    """The driver's own memory is not seen above: it must be a cursor of the server, asked chunk by chunk."""
    postgres("CREATE TABLE t AS SELECT i AS id FROM generate_series(1, 1000) AS s(i)")
    cursors = []

    def note(_con, cursor, *_):
        cursors.append(cursor)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        rows = databases.rows(Request(source(table="t", chunk_rows=10), {"customer_id": "id"}))
        first = [row[0] for _, row in zip(range(25), rows, strict=False)]
        at_server = cursors[-1].rownumber
        rows.close()
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    assert first == list(range(1, 26))
    assert isinstance(cursors[-1], psycopg.ServerCursor)
    assert at_server <= 50


@pytest.mark.parametrize(
    "fails",
    [
        "CASE WHEN i = 5000 THEN 1 / (i - 5000) END",
        "CASE WHEN i = 5000 THEN pg_terminate_backend(pg_backend_pid()) END",
    ],
)
def test_a_read_that_breaks_in_the_middle_leaves_nothing(con, postgres, fails, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    query = f"SELECT i AS id, {fails} AS v FROM generate_series(1, 9000) AS s(i)"
    with pytest.raises(DataError, match=r"^data\.database: cannot be read \([^\n]*\): [^\n]*$"):
        sources.read(con, source(query=query, chunk_rows=100), {"customer_id": "id", "amount": "v"}, **TYPED)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


URL = "postgresql://bobthebuyer:s3cr3t%2Fword@db.internal.example:54321/salesdata?application_name=nightlyjob"
PARTS = ["bobthebuyer", "s3cr3t", "db.internal.example", "54321", "salesdata", "nightlyjob", "postgresql://"]


def message_of(action):
    with pytest.raises((DataError, ConfigError)) as caught:
        action()
    shown = [caught.value]
    while (cause := shown[-1].__cause__) is not None:
        shown.append(cause)
    text = " ".join(str(error) for error in shown)
    assert "\n" not in text
    return text


def test_no_message_holds_any_part_of_the_url(monkeypatch):
    monkeypatch.setenv(VARIABLE, URL)
    text = message_of(lambda: fetched(table="orders"))
    assert text.startswith("data.database: cannot be read (")
    assert not [part for part in PARTS if part.lower() in text.lower()]


def test_a_login_that_the_server_refuses_names_nobody(monkeypatch, postgres_url):
    url = sa.make_url(postgres_url).set(username="bobthebuyer", password="s3cr3tword")
    monkeypatch.setenv(VARIABLE, url.render_as_string(hide_password=False))
    text = message_of(lambda: fetched(table="orders"))
    assert "OperationalError" in text
    assert not [part for part in ("bobthebuyer", "s3cr3tword", url.query["host"]) if part in text]


@pytest.mark.parametrize(("user", "host", "away"), [(None, "/nowhere", True), ("nobody-here", None, False)])
def test_a_server_that_is_away_is_told_from_one_that_refuses(monkeypatch, postgres_url, user, host, away):
    url = sa.make_url(postgres_url)
    url = url.set(username=user or url.username, query=dict(url.query) | ({"host": host} if host else {}))
    monkeypatch.setenv(VARIABLE, url.render_as_string(hide_password=False))
    with pytest.raises(DataError) as caught:
        fetched(table="orders")
    assert isinstance(caught.value, AwayError) == away


@pytest.mark.filterwarnings("error::sqlalchemy.exc.SAWarning")
def test_an_address_that_the_driver_does_not_understand_is_not_repeated(monkeypatch, tmp_path):
    (tmp_path / "a.db").touch()
    for url in (f"sqlite:///{tmp_path}/a.db?s3cr3tword=1", "postgresql://bobthebuyer@host/x?s3cr3tword=1"):
        monkeypatch.setenv(VARIABLE, url)
        text = message_of(lambda: fetched(table="orders"))
        assert not [part for part in ("s3cr3tword", "bobthebuyer") if part in text]


def test_a_password_too_short_to_blot_out_hides_the_whole_message(monkeypatch):
    monkeypatch.setenv(VARIABLE, "postgresql://bo:e@127.0.0.1:1/shop")
    text = message_of(lambda: fetched(table="orders"))
    assert text.startswith("data.database: cannot be read (OperationalError): ")


@pytest.mark.parametrize("kind", ["sqlite_file", "duckdb_file", "postgres"])
def test_a_table_that_is_not_there_is_named(kind, request):
    request.getfixturevalue(kind)
    assert "nosuch" in message_of(lambda: fetched(table="nosuch"))


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_variable_that_is_not_set_is_named(monkeypatch, value):
    monkeypatch.delenv(VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(ConfigError, match=rf"^data\.database\.url_env: [^\n]*{VARIABLE} is not set: [^\n]+$"):
        fetched(table="orders")


@pytest.mark.parametrize("url", ["s3cr3tword", "postgresql://u:s3cr3tword@host:port/x", "://s3cr3tword"])
def test_what_is_no_url_is_not_repeated(monkeypatch, url):
    monkeypatch.setenv(VARIABLE, url)
    with pytest.raises(ConfigError, match=rf"^{VARIABLE}: is no database URL: [^\n]+$") as caught:
        fetched(table="orders")
    assert "s3cr3tword" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["klingon://bobthebuyer:s3cr3tword@host/x", "mysql+pymysql://bobthebuyer:s3cr3tword@host/x"]
)
def test_a_missing_driver_is_said_so(monkeypatch, url):
    monkeypatch.setenv(VARIABLE, url)
    assert "driver of the database is not installed" in message_of(lambda: fetched(table="orders"))


@pytest.mark.parametrize(
    ("module", "url", "extra"),
    [("psycopg", "postgresql://host/x", "postgres"), ("duckdb_engine", "duckdb:///x", "duckdb")],
)
def test_the_extra_to_install_is_named(monkeypatch, module, url, extra):
    monkeypatch.setenv(VARIABLE, url)
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sa.dialects.registry.impls, "duckdb", raising=False)
    assert f'pip install "churnlab[{extra}]"' in message_of(lambda: fetched(table="orders"))


def test_a_database_file_that_is_not_there_is_not_made(monkeypatch, tmp_path):
    for kind in ("sqlite", "duckdb"):
        monkeypatch.setenv(VARIABLE, f"{kind}:///{tmp_path}/secretfolder/none.db")
        (tmp_path / "secretfolder").mkdir(exist_ok=True)
        assert "secretfolder" not in message_of(lambda: fetched(table="orders"))
        assert list((tmp_path / "secretfolder").iterdir()) == []


def test_what_is_no_database_file_is_said_so(monkeypatch, tmp_path):
    (tmp_path / "a.db").write_text("id,when,v\n" * 1_000)
    for kind in ("sqlite", "duckdb"):
        monkeypatch.setenv(VARIABLE, f"{kind}:///{tmp_path}/a.db")
        assert "cannot be read" in message_of(lambda: fetched(table="orders"))


def test_a_query_without_rows_of_its_own(sqlite_file):
    with pytest.raises(DataError, match=r"^data\.database\.query: gives no rows: write a SELECT$"):
        fetched(query="PRAGMA cache_size = 100")


def test_a_column_that_a_query_gives_twice_is_refused(sqlite_file):
    with pytest.raises(DataError, match=r"^query: column 'id' is there twice: "):
        fetched(query='SELECT id, id, "when", v FROM orders')


def test_an_empty_table_is_a_table_without_rows(con, sqlite_file):
    table = sources.read(con, source(query="SELECT * FROM orders WHERE id = 'none'"), MAPPED, **TYPED)
    assert table.count().execute() == 0
    assert "typed_amount" in table.columns


def test_incremental_is_for_files(con, sqlite_file, tmp_path):
    wrong = Source(database=Database(url_env=VARIABLE, table="orders"), incremental=True)
    with pytest.raises(ConfigError, match=r"^data\.incremental: is for files: "):
        sources.read(con, wrong, MAPPED, landing=tmp_path)


def test_a_password_does_not_belong_into_the_file():
    with pytest.raises(ValidationError, match="url holds a password"):
        Database(url="postgresql://a:b@host/x", table="t")

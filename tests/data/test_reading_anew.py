"""Law: whether lines are read anew by each query or kept changes nothing; nor does the ceiling of memory."""

from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from churnlab.config import Engine
from churnlab.data import parsing
from churnlab.data.ingestion import ingest
from churnlab.engine import connect

START = datetime(2024, 1, 1)
SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("order_id", pa.string()),
        ("ts", pa.timestamp("us")),
        ("amount", pa.float64()),
        ("quantity", pa.float64()),
        ("product_id", pa.string()),
        ("channel", pa.string()),
    ]
)
MOMENTS = st.one_of(
    st.integers(0, 200).map(lambda hours: START + timedelta(hours=hours)),
    st.sampled_from([None, datetime(1900, 1, 1), datetime(2250, 1, 1), datetime(2040, 1, 1)]),
)
AMOUNT = st.sampled_from(
    [None, 1.5, 0.1, 19.99, 100 / 3, 0.0, -1.5, -500.0, float("nan"), float("inf"), 2e15]
)
LINE = st.tuples(
    st.sampled_from(["c1", "c2", "0c", "01", "1", "n1", None, " ", "\u200b", "NaN", " n/a ", "#REF!"]),
    st.sampled_from(["o1", "o2", "o3", None, "", "\u00a0"]),
    MOMENTS,
    AMOUNT,
    st.sampled_from([1.0, 0.25, -1.0]),
    st.sampled_from(["p1", "p2", None, ""]),
    st.sampled_from(["web", "shop", None]),
)
COLUMNS = {name: name for name in SCHEMA.names}
SEVERAL_FILES = st.lists(st.lists(LINE, min_size=1, max_size=15), min_size=1, max_size=3)


def all_of(found):
    tables = [found.orders.to_pyarrow(), found.quarantine.to_pyarrow()]
    return [table.to_pylist() for table in tables], found.summary, found.cautions


@given(files=SEVERAL_FILES, changes=st.sampled_from([{}, {"customer_ids": "integer"}, {"currency": "EUR"}]))
@examples(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lines_read_anew_are_judged_as_lines_that_are_kept(con, settings, tmp_path, files, changes):
    for old in tmp_path.glob("*.parquet"):
        old.unlink()
    for number, lines in enumerate(files):
        rows = [dict(zip(SCHEMA.names, line, strict=True)) for line in lines]
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), tmp_path / f"{number}.parquet")
    data = settings(tmp_path / "*.parquet", COLUMNS, **changes)
    anew = all_of(ingest(con, data))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parsing, "are_native", lambda *_: False)
        kept = all_of(ingest(con, data))
    assert repr(anew) == repr(kept)
    assert anew[1]["rows_read"] == sum(map(len, files))


def test_little_memory_gives_the_same_result(settings, tmp_path):
    con = connect(Engine(threads=2, memory_limit="1GB"))
    lines = con.sql(
        "SELECT 'c' || (n * 7919 % 20011) AS customer_id, 'o' || (n // 2 * 31 % 100003) AS order_id,"
        " TIMESTAMP '2024-01-01' + to_minutes(n * 13 % 500000) AS ts, (n % 9973) / 100 AS amount,"
        " 'p' || (n % 101) AS product_id FROM range(300000) t(n)"
    )
    con.to_parquet(lines, tmp_path / "lines.parquet")
    columns = {name: name for name in ("customer_id", "order_id", "ts", "amount", "product_id")}
    data = settings(tmp_path / "lines.parquet", columns)
    wide = ingest(con, data)
    tight = ingest(connect(Engine(threads=1, memory_limit="60MB")), data)
    assert tight.summary == wide.summary and tight.summary["orders"] > 100_000
    assert tight.orders.to_pyarrow().equals(wide.orders.to_pyarrow())

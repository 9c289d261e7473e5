"""Ingest on Spark. Authority: DuckDB's answer row for row, and the published data versions."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churnlab.config import Columns, CsvFormat, Data, Engine
from churnlab.data.ingestion import ingest
from churnlab.engine import connect

VERSIONS = {"cdnow": "b6882b4b", "complete_journey": "13e53ac1"}
ENGINE = Engine(threads=1)
TABLES = ("orders", "quarantine", "customers", "interactions", "contacts")
MESSY = """\
kunde;wann;betrag;stück;beleg
001;05.01.2024;10,00;1;A1
 1;06.01.2024;1.234,56 €;2;A2
é;07.01.2024 13:45;-5,00;-1;A3
é;08.01.2024;(7,50);1;A4
مریم;۰۹.۰۱.۲۰۲۴;۱۲٫۵;1;A5
002;31.02.2024;3,00;1;A6
003;10.01.2024;drei;1;A7
;11.01.2024;4,00;1;A8
NULL;11.01.2024;4,00;1;A9
004;11.01.1950;4,00;1;B1
004;12.01.2024;0,00000000000001;1;B2
004;12.01.2024;100000000,10;1;B3
"004";13.01.2024;"2,00
";1;B4
005;14.01.2024
ς;15.01.2024;1,00;1;B5
"""
MOMENTS = """\
customer_id,ts,amount
a,2024-10-27T00:30:00Z,1.5
b,2024-10-27 02:30:00+02:00,1e1
c,2024-03-31T02:30,2.25
d,2024-10-27T02:30:00.125,3
e,20240101,4
f,2024-01-01T25:00,5
"""


def assert_same_tables(one, other):
    for name in TABLES:
        here, there = getattr(one, name).to_pyarrow(), getattr(other, name).to_pyarrow()
        assert there.schema.equals(here.schema)
        assert there.to_pylist() == here.to_pylist(), name
    assert other.summary == one.summary
    assert other.cautions == one.cautions


def test_a_built_in_log_is_the_same(log, spark):
    found = ingest(spark, log.params.data)
    assert found.summary == log.summary
    assert found.summary["data_version"].startswith(VERSIONS[log.params.data.dataset])
    orders = found.orders.to_pyarrow()
    assert orders.equals(pq.read_table(log.file))  # to the last bit, in the same order
    assert not found.quarantine.to_pyarrow().num_rows


def test_text_of_every_kind_is_read_alike(spark, tmp_path):
    (tmp_path / "messy.csv").write_text(MESSY, encoding="utf-8")
    words = {
        "customer_id": "kunde",
        "ts": "wann",
        "amount": "betrag",
        "quantity": "stück",
        "order_id": "beleg",
    }
    form = CsvFormat(delimiter=";", decimal=",", date_format=("%d.%m.%Y", "%d.%m.%Y %H:%M"))
    data = Data(
        path=str(tmp_path / "messy.csv"),
        timezone="Europe/Berlin",
        csv=form,
        columns=Columns(**words),
        customer_ids="text",
        exact_duplicates="quarantine",
    )
    here = ingest(connect(ENGINE), data)
    assert here.summary["rows_quarantined"] >= 6
    assert_same_tables(here, ingest(spark, data))


def test_moments_of_two_clocks_are_read_alike(spark, tmp_path):
    """An hour that is shown twice, one that is not shown, and offsets."""
    (tmp_path / "log.csv").write_text(MOMENTS, encoding="utf-8")
    data = Data(
        path=str(tmp_path / "log.csv"),
        timezone="Asia/Tehran",
        source_timezone="Europe/Berlin",
        columns=Columns(amount="amount"),
    )
    here = ingest(connect(ENGINE), data)
    assert here.summary["rows_accepted"] == 5
    assert_same_tables(here, ingest(spark, data))


@pytest.mark.parametrize("instants", [True, False])
def test_files_of_typed_columns_are_read_by_spark_itself(spark, tmp_path, instants):
    """Ids of floats, instants or moments, signs in names that stand for something in a pattern."""
    folder = tmp_path / "a [1]{b},c+d %20"
    folder.mkdir()
    moment = pa.timestamp("us", tz="UTC" if instants else None)
    for part in range(2):
        table = pa.table(
            {
                "customer_id": pa.array([1e7, 2.5, None, float("nan")]),
                "ts": pa.array([1_700_000_000_123_456 + part, 1, 1_700_000_000_000_000, None], moment),
                "amount": pa.array([0.1, 1e-20, float("nan"), 6e-14]),
                "Amount": pa.array(["x"] * 4),
            }
        )
        pq.write_table(table, folder / f"part=[{part}] *.parquet")
    data = Data(path=str(folder), timezone="Asia/Tehran", columns=Columns(amount="amount"))
    assert_same_tables(ingest(connect(ENGINE), data), ingest(spark, data))

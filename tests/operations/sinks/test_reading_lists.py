"""Columns of a list read back. Authority: the list that was published."""

from __future__ import annotations

from datetime import date

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churnlab.errors import SinkError
from churnlab.operations.scoring import SCORES
from churnlab.operations.sinks.list_files import narrow, rows
from churnlab.operations.sinks.targets import open_sink

NAMES = ["plain", "=1+1", " leading", 'say "hi"', "O'Neill", "مشتری ۱۲", "two\r\nlines", "NULL", "$1 %s", ""]
OTHER_DAY = date(2024, 2, 28)


def read(target, day):
    sink = target.open()
    try:
        batches = sink.read_list(day, ["customer_id", "clv"], lambda batch: batch)
    finally:
        sink.close()
    return sorted((row["customer_id"], row["clv"]) for batch in batches for row in batch.to_pylist())


def test_the_current_list_of_the_date_is_read(target, lists):
    assert read(target, lists.day) == []
    target.publish(lists.make(9.0, 5, OTHER_DAY))
    target.publish(lists.make(1.0, ["replaced"]))
    target.publish(lists.make(2.0, NAMES), restate=True)
    assert read(target, lists.day) == sorted((name, 2.0) for name in NAMES)
    assert read(target, date(2024, 2, 27)) == []


def test_an_older_list_lacks_a_column_and_is_read_all_the_same(tmp_path, lists):
    file = tmp_path / "scores.parquet"
    older = pq.read_table(lists.make(1.0, ["a"]).path).drop_columns("buying_style_confidence")
    pq.write_table(older, file)
    (row,) = rows(file, SCORES, "a")
    assert row["buying_style_confidence"] is None
    assert row["clv"] == 1.0
    assert pa.Table.from_batches(list(narrow(file, SCORES, ["clv"])))["clv"].to_pylist() == [1.0]


def test_a_table_of_an_earlier_churnlab_says_which_column_to_add(tmp_path, lists):
    path = tmp_path / "lists.db"
    sink = open_sink(f"duckdb:///{path}")
    made = lists.make(1.0)
    sink.publish(made.path, made.run, lists.now, restate=False, quarantine=None)
    with duckdb.connect(str(path)) as con:
        con.execute("CREATE TABLE kept AS SELECT * EXCLUDE (buying_style_confidence) FROM scores")
        con.execute("DROP TABLE scores; ALTER TABLE kept RENAME TO scores")
    with pytest.raises(SinkError, match="ADD COLUMN") as refused:
        sink.publish(made.path, made.run, lists.now, restate=False, quarantine=None)
    with duckdb.connect(str(path)) as con:
        con.execute(str(refused.value).partition("run ")[2])
    again = lists.make(2.0)
    assert sink.publish(again.path, again.run, lists.now, restate=False, quarantine=None).revision == 2

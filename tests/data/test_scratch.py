"""Authority: the rows that were kept, and the folder in which they are."""

import gc
import tempfile
from pathlib import Path

import duckdb
import ibis
import pytest

from churnlab.config import Engine
from churnlab.data import scratch
from churnlab.engine import connect
from churnlab.errors import DataError


def test_rows_are_kept_in_their_order_with_their_types(con):
    numbers = con.sql(
        "SELECT n, 'c' || (n * 7919 % 300007) AS id, DATE '2024-01-01' AS day FROM range(300007) t(n)"
    )
    kept = scratch.kept(con, numbers.order_by("id"))
    ids = kept.to_pyarrow()["id"].to_pylist()
    assert ids == sorted(f"c{n}" for n in range(300_007))
    assert kept.schema() == numbers.schema()


def test_the_file_goes_when_the_connection_does(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    con = connect(Engine(threads=1, memory_limit="200MB"))
    kept = scratch.kept(con, ibis.memtable({"n": [1]}))
    assert len(list(tmp_path.glob("*/rows.parquet"))) == 1
    del con, kept
    gc.collect()
    assert not list(tmp_path.glob("*/rows.parquet"))


def test_a_folder_that_cannot_be_written_is_one_line(con, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(DataError, match=r"gone: cannot be written \(No such file or directory\): free space"):
        scratch.kept(con, ibis.memtable({"n": [1]}))


def test_a_file_that_cannot_be_written_is_one_line(con, tmp_path, monkeypatch):
    monkeypatch.setattr(scratch, "place", lambda _: tmp_path / "gone" / "rows.parquet")
    with pytest.raises(DataError, match=r"cannot be written \(No such file or directory\): free space"):
        scratch.kept(con, ibis.memtable({"n": [1]}))


def test_what_cannot_be_read_is_not_taken_for_what_cannot_be_written(con, tmp_path):
    source = Path(tmp_path / "rows.parquet")
    duckdb.sql("SELECT 1 AS n").write_parquet(str(source))
    table = con.read_parquet(str(source))
    source.unlink()
    with pytest.raises(duckdb.IOException):
        scratch.kept(con, table)

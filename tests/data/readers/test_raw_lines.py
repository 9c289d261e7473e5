"""Authority: records written by hand."""

import random
import tracemalloc
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churnlab.config import Source
from churnlab.data.readers.raw_lines import ROWS_PER_CHUNK, Request, write
from churnlab.errors import DataError

REQUEST = Request(
    Source(), {"customer_id": "id", "ts": "when", "amount": "v"}, numbers={"amount"}, moments={"ts"}
)


def test_text(tmp_path):
    write(
        [("a", [["1", "x", None], "broken"]), ("b", [["2", "y", "3"]])], REQUEST, tmp_path / "t", typed=False
    )
    assert pq.read_table(tmp_path / "t").to_pydict() == {
        "source_file": ["a", "a", "b"],
        "source_row": [1, 2, 1],
        "malformed": [None, "broken", None],
        "customer_id": ["1", None, "2"],
        "ts": ["x", None, "y"],
        "amount": [None, None, "3"],
    }


def test_values(tmp_path):
    rows = [[1, datetime(2024, 3, 1), 2.5], ["1", "2024-03-01", "2.5"], "broken", [1, 2, True]]
    write([("a", rows)], REQUEST, tmp_path / "t", typed=True)
    found = pq.read_table(tmp_path / "t")
    assert found.schema.field("typed_amount").type == pa.float64()
    assert found["typed_amount"].to_pylist() == [2.5, None, None, None]
    assert found["typed_ts"].to_pylist() == ["2024-03-01T00:00:00", None, None, None]
    assert found["amount"].to_pylist() == ["2.5", "2.5", None, "true"]


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_chunks_join_without_a_seam(tmp_path, more):
    size = 2 * ROWS_PER_CHUNK + more
    write([("a", ([str(n), None, None] for n in range(1, size + 1)))], REQUEST, tmp_path / "t", typed=False)
    found = pq.read_table(tmp_path / "t").to_pydict()
    assert found["source_row"] == list(range(1, size + 1))
    assert found["customer_id"] == [str(n) for n in range(1, size + 1)]


def test_rows_of_a_million_characters_each_are_not_held_together(tmp_path):
    """400 MB in all; a chunk is some 8 MB as Python's text, as Arrow's, and compressed."""
    generator = random.Random(7)
    rows = (["1", "x", generator.randbytes(500_000).hex()] for _ in range(400))
    before = pa.total_allocated_bytes()
    pool = pa.default_memory_pool()
    peaks = []

    def watched():
        for values in rows:
            peaks.append(pool.bytes_allocated() - before)
            yield values

    tracemalloc.start()
    write([("a", watched())], REQUEST, tmp_path / "t", typed=False)
    peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    assert max(peaks) < 60_000_000
    assert pq.read_metadata(tmp_path / "t").num_rows == 400


def test_no_files_no_rows_and_no_lines(tmp_path):
    write([], REQUEST, tmp_path / "t", typed=True)
    write([("a", [])], REQUEST, tmp_path / "u", typed=True)
    assert pq.read_table(tmp_path / "t").num_rows == pq.read_table(tmp_path / "u").num_rows == 0


def test_an_error_leaves_nothing(tmp_path):
    def broken():
        yield ["1", "2", "3"]
        raise DataError("a: is broken")

    with pytest.raises(DataError, match=r"^a: is broken$"):
        write([("a", broken())], REQUEST, tmp_path / "t", typed=False)
    assert list(tmp_path.iterdir()) == []


def test_positions():
    assert REQUEST.positions(["v", "x", "when", "id"], "a") == [3, 2, 0]
    with pytest.raises(
        DataError,
        match=r"^a: column 'id' is not there: correct data\.columns\.customer_id or data\.key; it has: v$",
    ):
        REQUEST.positions(["v"], "a", "key")

"""Authority: what pyarrow writes of the whole table, and the rows read back."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from churnlab import engine

TABLE = pa.table(
    {
        "id": pa.array([f"c{n}" if n % 9 else None for n in range(500)], pa.string()),
        "n": pa.array(range(500), pa.int64()),
        "day": pa.array(range(500), pa.date32()),
    }
)


def reader(table, sizes):
    """The table in batches of these sizes, and one of what is left."""
    batches, at = [], 0
    for size in [*sizes, len(table)]:
        batches += table.slice(at, size).combine_chunks().to_batches()
        at += size
    return pa.RecordBatchReader.from_batches(table.schema, iter(batches))


@given(sizes=st.lists(st.integers(0, 200), max_size=9), n=st.integers(0, 500))
@examples(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_batches_give_the_bytes_of_the_whole_table(tmp_path, sizes, n):
    table = TABLE.slice(0, n)
    engine.write_parquet(reader(table, sizes), tmp_path / "batches.parquet")
    engine.write_parquet(table.combine_chunks(), tmp_path / "whole.parquet")
    assert (tmp_path / "batches.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


@pytest.mark.parametrize(
    ("n", "groups"), [(0, [0]), (99, [99]), (100, [100]), (101, [100, 1]), (300, [100] * 3)]
)
def test_a_long_table_is_cut_into_row_groups(tmp_path, monkeypatch, n, groups):
    monkeypatch.setattr(engine, "ROWS_PER_GROUP", 100)
    engine.write_parquet(reader(TABLE.slice(0, n), [7, 250]), tmp_path / "t.parquet")
    found = pq.ParquetFile(tmp_path / "t.parquet")
    assert [found.metadata.row_group(g).num_rows for g in range(found.num_row_groups)] == groups
    assert found.read().equals(TABLE.slice(0, n))


def test_a_reader_that_fails_leaves_the_old_file(tmp_path):
    def fails():
        yield from TABLE.to_batches()
        raise ValueError("broken")

    path = tmp_path / "t.parquet"
    engine.write_parquet(TABLE, path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="broken"):
        engine.write_parquet(pa.RecordBatchReader.from_batches(TABLE.schema, fails()), path)
    assert [path.name] == [file.name for file in tmp_path.iterdir()] and path.read_bytes() == before

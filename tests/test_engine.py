"""What is read back of a Parquet file. Authority: the frame that was written."""

from pathlib import Path

import pandas as pd
import pyarrow.compute as pc
import pytest

from churnlab.engine import read_parquet, write_parquet

FRAME = pd.DataFrame({"customer_id": ["a", "b", "c"], "clv": [1.0, 2.0, 3.0], "as_of": [7, 8, 9]})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_parquet(FRAME, tmp_path / "scores.parquet")
    return tmp_path / "scores.parquet"


def test_all_columns_are_read_unless_some_are_named(file: Path) -> None:
    pd.testing.assert_frame_equal(read_parquet(file), FRAME)
    some = read_parquet(file, ["as_of", "cutoff", "customer_id"])
    pd.testing.assert_frame_equal(some, FRAME[["customer_id", "as_of"]])


def test_rows_may_be_chosen_by_columns_that_are_not_read(file: Path) -> None:
    found = read_parquet(file, ["clv"], pc.field("customer_id").isin(["c", "a", "x"]))
    assert found["clv"].tolist() == [1.0, 3.0]

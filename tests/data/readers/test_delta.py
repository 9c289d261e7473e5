"""Delta tables as sources. Authority: delta-rs wrote them, and pyarrow tells what they hold."""

from __future__ import annotations

import json
import struct
from zlib import crc32

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from churnlab.config import Columns, Data
from churnlab.data.ingestion import ingest
from churnlab.errors import DataError


@pytest.fixture
def folder(tmp_path):
    """Two files were written, and of the first a row was deleted, which wrote it anew."""
    folder = tmp_path / "sales é"
    for part in (["a", "b"], ["c", "d"]):
        rows = {"customer_id": part, "ts": ["2024-01-05", "2024-01-06"], "amount": [1.5, 2.5]}
        write_deltalake(folder, pa.table(rows), mode="append")
    DeltaTable(folder).delete("customer_id = 'b'")
    return folder


def data(folder, **changes):
    return Data(path=str(folder), timezone="UTC", columns=Columns(amount="amount"), **changes)


@pytest.mark.parametrize("form", ["auto", "delta"])
def test_the_rows_of_now_are_read_and_no_others(con, folder, form):
    assert len(list(folder.glob("*.parquet"))) == 3
    found = ingest(con, data(folder, format=form))
    assert found.orders.to_pyarrow()["customer_id"].to_pylist() == ["a", "c", "d"]
    assert found.summary["rows_read"] == 3


def test_a_folder_asked_for_as_parquet_is_read_as_it_lies(con, folder):
    assert ingest(con, data(folder, format="parquet")).summary["rows_read"] == 5


def test_a_folder_without_a_log_is_no_delta_table(con, tmp_path):
    with pytest.raises(DataError, match=f"{tmp_path.name}: is no Delta table .*name its folder"):
        ingest(con, data(tmp_path, format="delta"))


def test_a_damaged_log_is_one_line(con, folder):
    for entry in (folder / "_delta_log").iterdir():
        entry.write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="the log of this Delta table cannot be read"):
        ingest(con, data(folder))


def change_log(folder, version, change):
    """Write the actions of a version of the table anew."""
    log = folder / "_delta_log" / f"{version:020}.json"
    actions = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    for action in actions:
        change(action)
    log.write_text("\n".join(map(json.dumps, actions)), encoding="utf-8")


def test_rows_marked_as_deleted_are_not_read_as_if_they_were_there(con, tmp_path):
    """A vector of deletions of row 1, byte by byte as the protocol of Delta tables has it."""
    folder = tmp_path / "marked"
    rows = pa.table({"customer_id": ["a", "b"], "ts": ["2024-01-05"] * 2, "amount": [1.0, 2.0]})
    write_deltalake(folder, rows, configuration={"delta.enableDeletionVectors": "true"})
    assert ingest(con, data(folder)).summary["rows_read"] == 2
    bitmap = struct.pack("<IIHHIH", 12346, 1, 0, 0, 16, 1)  # Roaring: one container of one value, 1
    content = struct.pack("<IQI", 1681511377, 1, 0) + bitmap
    file = folder / "deletions.bin"
    file.write_bytes(b"\1" + struct.pack(">I", len(content)) + content + struct.pack(">I", crc32(content)))
    vector = {"storageType": "p", "pathOrInlineDv": file.as_uri(), "offset": 1, "sizeInBytes": len(content)}

    def mark(action):
        if "add" in action:
            action["add"]["deletionVector"] = vector | {"cardinality": 1}

    change_log(folder, 0, mark)
    with pytest.raises(DataError, match="marked: rows of this Delta table are marked as deleted"):
        ingest(con, data(folder))


def test_mapped_columns_are_refused(con, tmp_path):
    folder = tmp_path / "renamed"
    rows = pa.table({"customer_id": ["a"], "ts": ["2024-01-05"], "amount": [1.0]})
    write_deltalake(folder, rows)

    def rename(action):
        if "metaData" in action:
            action["metaData"]["configuration"]["delta.columnMapping.mode"] = "name"

    change_log(folder, 0, rename)
    with pytest.raises(DataError, match="renamed: this Delta table uses columnMapping"):
        ingest(con, data(folder))


def test_a_path_that_would_stop_the_process_is_one_line(con, tmp_path):
    (tmp_path / "a[1]" / "_delta_log").mkdir(parents=True)
    with pytest.raises(DataError, match=r"a\[1\]: Delta tables cannot be read .*: rename it"):
        ingest(con, data(tmp_path / "a[1]"))


def test_tables_in_partitions_are_read_whole(con, tmp_path):
    rows = {
        "customer_id": ["a", "b"],
        "ts": ["2024-01-05"] * 2,
        "amount": [1.0, 2.0],
        "land": ["Ελ x/%2", "b +"],
    }
    write_deltalake(tmp_path / "parts", pa.table(rows), partition_by=["land"])
    found = ingest(con, data(tmp_path / "parts"))
    assert found.orders.to_pyarrow()["customer_id"].to_pylist() == ["a", "b"]

"""The list of the forgotten. Authority: hand-made lists, and Python's hmac as the reader of marks."""

from __future__ import annotations

import csv
import hashlib
import hmac
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from churnlab.data.forgotten import forgotten_ids, remember_forgotten
from churnlab.errors import DataError

DAY = date(2024, 2, 29)
SALT, MARK = "0123456789abcdef" * 2, "ab" * 32
HEADER = "salt,mark,forgotten_on\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "params" / "forgotten.csv"


def rows(path):
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def listed(con, ids, path):
    table = pa.table({"customer_id": pa.array(ids, pa.string())})
    found = forgotten_ids(con, con.create_table("known", table, temp=True, overwrite=True), path)
    return None if found is None else sorted(found.to_pyarrow()["customer_id"].to_pylist())


def test_who_is_remembered_is_found_and_nobody_else(con, path):
    remember_forgotten(path, ["ann@example.org", "مریم", "007"], DAY)
    assert listed(con, ["7", "007", "Ann@example.org", "ann@example.org", "مریم "], path) == [
        "007",
        "ann@example.org",
    ]
    assert listed(con, ["somebody"], path) == []


def test_the_list_holds_marks_of_one_salt_and_no_id(path):
    marks = remember_forgotten(path, ["ann@example.org"], DAY)
    marks += remember_forgotten(path, ["bob@example.org"], date(2024, 3, 1))
    entries = rows(path)
    salt = entries[0]["salt"]
    expected = [
        hmac.new(salt.encode(), name.encode(), hashlib.sha256).hexdigest()
        for name in ("ann@example.org", "bob@example.org")
    ]
    assert marks == expected == [entry["mark"] for entry in entries]
    assert {entry["salt"] for entry in entries} == {salt}
    assert [entry["forgotten_on"] for entry in entries] == ["2024-02-29", "2024-03-01"]
    assert "example" not in path.read_text(encoding="utf-8")


def test_two_lists_have_two_salts(tmp_path):
    marks = [remember_forgotten(tmp_path / name, ["ann"], DAY) for name in ("a.csv", "b.csv")]
    assert marks[0] != marks[1]


def test_asking_again_changes_nothing(path):
    remember_forgotten(path, ["ann"], DAY)
    before = path.read_bytes()
    remember_forgotten(path, ["ann", "ann"], date(2030, 1, 1))
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", [None, "", HEADER, "\ufeff" + HEADER])
def test_a_list_without_entries_is_none(con, tmp_path, text):
    path = tmp_path / "list.csv"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    assert listed(con, ["ann"], path) is None


def test_the_shipped_list_is_empty(con):
    shipped = Path(__file__).parents[2] / "params" / "forgotten.csv"
    assert shipped.read_text(encoding="utf-8") == HEADER
    assert listed(con, ["ann"], shipped) is None


def test_a_spreadsheet_may_have_saved_it(con, path):
    """Byte-order mark, other line ends and a blank last line are no damage."""
    remember_forgotten(path, ["ann"], DAY)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert listed(con, ["ann", "bob"], path) == ["ann"]


@pytest.mark.parametrize(
    "content",
    [
        b"salt,mark\n",
        f"{HEADER}{SALT},{MARK}\n".encode(),
        f"{HEADER}{SALT},{MARK[:-1]},2024-01-01\n".encode(),
        f"{HEADER}{SALT[:-1]},{MARK},2024-01-01\n".encode(),
        f"{HEADER}{SALT},{MARK},01/01/2024\n".encode(),
        f"{HEADER}{SALT},{MARK},2024-01-01\n{SALT[::-1]},{MARK},2024-01-01\n".encode(),
        f'{HEADER}"{SALT},{MARK},2024-01-01\n'.encode(),
        b"\xff\xfe\x00",
    ],
    ids=["header", "cells", "mark", "salt", "day", "two salts", "quote", "encoding"],
)
def test_a_damaged_list_is_one_line_and_never_taken_as_empty(con, tmp_path, content):
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    for use in (lambda: listed(con, ["ann"], path), lambda: remember_forgotten(path, ["ann"], DAY)):
        with pytest.raises(DataError, match="restore the list") as raised:
            use()
        assert "\n" not in str(raised.value)
    assert path.read_bytes() == content


def test_a_folder_is_no_list(con, tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        listed(con, ["ann"], tmp_path)

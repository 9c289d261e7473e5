"""Keyed hashes of ids. Authority: the test cases of RFC 4231 for HMAC-SHA-256."""

from __future__ import annotations

import pyarrow as pa
import pytest

from churnlab.config import Privacy
from churnlab.data.pseudonyms import pseudonym, pseudonym_table, read_key
from churnlab.errors import ConfigError

KEY = b"a key of the user's own"


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        (b"\x0b" * 20, "Hi There", "b0344c61d8db38535ca8afceaf0bf12b"),
        (b"Jefe", "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c7"),
        (
            b"\xaa" * 131,
            "Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f",
        ),
        (
            b"\xaa" * 131,
            "This is a test using a larger than block-size key and a larger than block-size data. The key "
            "needs to be hashed before being used by the HMAC algorithm.",
            "9b09ffa71b942fcb27635fbcd5b0e944",
        ),
    ],
    ids=["case 1", "case 2", "case 6", "case 7"],
)
def test_rfc_4231(key, text, expected):
    assert pseudonym(key, text) == expected


def table_of(con, ids):
    column = pa.array(ids, pa.string())
    return con.create_table("ids_to_hash", pa.table({"customer_id": column}), temp=True, overwrite=True)


@pytest.mark.parametrize("n", [0, 3, 65_536, 131_073])
def test_every_id_has_its_pseudonym_whatever_the_batches(con, n):
    ids = [f"müller-{i}@example.org" for i in range(n)]
    found = pseudonym_table(con, table_of(con, ids), KEY).to_pyarrow().to_pylist()
    assert {row["customer_id"]: row["pseudonym"] for row in found} == {i: pseudonym(KEY, i) for i in ids}
    assert len(found) == n


def test_ids_in_any_script_and_with_any_blanks_stay_apart(con):
    ids = ["مریم", "Ελένη", " 1", "1", "1 ", "01", "😀", "1\n"]
    found = pseudonym_table(con, table_of(con, ids), KEY).to_pandas()
    assert sorted(found["customer_id"]) == sorted(ids)
    assert found["pseudonym"].str.fullmatch("[0-9a-f]{32}").all()
    assert found["pseudonym"].is_unique


def test_an_id_given_twice_is_a_defect_of_the_caller(con):
    with pytest.raises(AssertionError, match="2 ids have 1 pseudonyms"):
        pseudonym_table(con, table_of(con, ["same", "same"]), KEY)


def test_the_key_comes_from_the_named_variable(monkeypatch):
    monkeypatch.setenv("SHOP_KEY", "sixteen letters!")
    assert read_key(Privacy(key_env="SHOP_KEY")) == b"sixteen letters!"


@pytest.mark.parametrize("value", [None, "", "fifteen letters"])
def test_a_key_that_is_missing_or_short_is_one_line_without_it(monkeypatch, value):
    monkeypatch.delenv("SHOP_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("SHOP_KEY", value)
    with pytest.raises(ConfigError, match="environment variable SHOP_KEY") as raised:
        read_key(Privacy(key_env="SHOP_KEY"))
    assert "\n" not in str(raised.value)
    assert "fifteen" not in str(raised.value)

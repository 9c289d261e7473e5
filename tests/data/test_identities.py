"""Authority: ids spelt by hand under each policy; RFC 4231's construction as the standard library has it."""

import hmac
from datetime import date

import pyarrow as pa
import pytest

from churnlab.data import identities
from churnlab.data.forgotten import remember_forgotten
from churnlab.errors import ConfigError, DataError

KEY = "a key of more than sixteen characters"


@pytest.fixture
def judged(con, settings, tmp_path):
    """Id and problem of each cell."""

    def run(*cells, **changes):
        privacy = {"forgotten": str(tmp_path / "forgotten.csv")} | changes.pop("privacy", {})
        data = settings("x.csv", privacy=privacy, **changes)
        lines = pa.table({"n": range(len(cells)), "customer_id": pa.array(cells, pa.string())})
        raw = con.create_table("ids", lines, temp=True, overwrite=True)
        rows = identities.identified(con, raw, data).order_by("n").to_pyarrow().to_pylist()
        return [(row["customer_id"], row["problem_customer_id"]) for row in rows]

    return run


def test_exact_ids_stay_as_written(judged):
    assert judged("123", "00123", "123.0", " x ", "é", "e\u0301") == [
        (name, None) for name in ("123", "00123", "123.0", " x ", "é", "e\u0301")
    ]


def test_text_ids_are_trimmed_and_composed(judged):
    found = judged(" x\u00a0", "\u200fمریم", "e\u0301", customer_ids="text")
    assert found == [("x", None), ("مریم", None), ("é", None)]


def test_whole_number_ids_are_one_however_written(judged):
    found = judged("123", "00123", "123.0", "۱۲۳", "1.23E+05", "abc", "", customer_ids="integer")
    assert found[:4] == [("123", None)] * 4
    assert [problem for _, problem in found[4:]] == [
        "customer_id_not_whole",
        "customer_id_not_whole",
        "customer_id_missing",
    ]


@pytest.mark.parametrize(
    "cell", [None, "", "\u00a0", "\u200b", "NaN", " null ", "None", "#N/A", "#REF!", "#div/0!"]
)
def test_what_stands_for_no_customer(judged, cell):
    assert judged(cell)[0][1] == "customer_id_missing"


def test_the_words_for_no_customer_are_the_shops_to_say(judged):
    found = judged("nan", "anonymous", missing_ids=["anonymous"])
    assert [problem for _, problem in found] == [None, "customer_id_missing"]


def test_excluded_customers_by_the_policy_of_ids(judged, tmp_path):
    listed = tmp_path / "staff.csv"
    listed.write_text("customer_id\n00123\nمریم\n", encoding="utf-8")
    assert [p for _, p in judged("123", "00123", "مریم", "4", exclude_customers=str(listed))] == [
        None, "customer_excluded", "customer_excluded", None,
    ]  # fmt: skip
    whole = judged("123.0", "4", exclude_customers=str(listed), customer_ids="integer")
    assert [problem for _, problem in whole] == ["customer_excluded", None]


def test_a_list_that_is_not_there(judged, tmp_path):
    with pytest.raises(
        DataError, match=r"^data\.exclude_customers: .*: name a UTF-8 CSV with one id a line$"
    ):
        judged("1", exclude_customers=str(tmp_path / "none.csv"))


def test_the_forgotten_are_known_by_their_marks(judged, tmp_path):
    remember_forgotten(tmp_path / "forgotten.csv", ["7"], date(2024, 1, 1))
    assert judged("7", "8") == [("7", "customer_forgotten"), ("8", None)]


def test_hashed_ids(judged, monkeypatch):
    monkeypatch.setenv("CHURNLAB_ID_KEY", KEY)
    found = judged("123", "00123", "abc", None, customer_ids="integer", privacy={"hash_ids": True})
    expected = hmac.new(KEY.encode(), b"123", "sha256").hexdigest()[:32]
    assert found == [
        (expected, None),
        (expected, None),
        (None, "customer_id_not_whole"),
        (None, "customer_id_missing"),
    ]


def test_hashing_needs_a_key(judged, monkeypatch):
    monkeypatch.delenv("CHURNLAB_ID_KEY", raising=False)
    with pytest.raises(ConfigError, match="CHURNLAB_ID_KEY"):
        judged("1", privacy={"hash_ids": True})


@pytest.mark.parametrize(
    ("row", "policy", "is_theirs"),
    [
        ("2024-01-05;7;5.00", "exact", True),
        ('7,"a",5,5', "exact", True),
        ("x| 007 |5", "integer", True),
        ("x| 007 |5", "exact", False),
        ("77,17,7.0", "exact", False),
        ("7", "exact", True),
    ],
)
def test_a_broken_row_does_not_tell_of_the_forgotten(con, settings, tmp_path, row, policy, is_theirs):
    """Cut at what parts cells by hand."""
    listed = tmp_path / "forgotten.csv"
    remember_forgotten(listed, ["7"], date(2024, 1, 1))
    data = settings("x.csv", privacy={"forgotten": str(listed)}, customer_ids=policy)
    lines = pa.table(
        {
            "customer_id": pa.array([None, None, "8"]),
            "malformed": pa.array([row, "other;row", None]),
            "n": [0, 1, 2],
        }
    )
    raw = con.create_table("broken", lines, temp=True, overwrite=True)
    found = identities.identified(con, raw, data).order_by("n").to_pyarrow()["malformed"].to_pylist()
    assert found == ["erased" if is_theirs else row, "other;row", None]


@pytest.mark.parametrize("hash_ids", [False, True])
def test_the_forgotten_referred_nobody(con, settings, tmp_path, monkeypatch, hash_ids):
    monkeypatch.setenv("SHOP_KEY", KEY)
    listed = tmp_path / "forgotten.csv"
    remember_forgotten(listed, ["7"], date(2024, 1, 1))
    privacy = {"forgotten": str(listed), "hash_ids": hash_ids, "key_env": "SHOP_KEY"}
    lines = pa.table({"referrer": pa.array(["7", "8", None, "7"]), "n": [0, 1, 2, 3]})
    table = con.create_table("referred", lines, temp=True, overwrite=True)
    found = identities.referrers(con, table, settings("x.csv", privacy=privacy)).order_by("n")
    digest = hmac.new(KEY.encode(), b"8", "sha256").hexdigest()[:32]
    assert found.to_pyarrow()["referrer"].to_pylist() == [None, digest if hash_ids else "8", None, None]

"""`churnlab forget` and `churnlab pseudonym`. Authority: their contract - one line on stderr, exit code 2."""

from __future__ import annotations

import csv
import io
import json
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from churnlab.data.pseudonyms import pseudonym
from churnlab.engine import write_parquet

ANN, BOB = "ann@example.org", "bob@example.org"
KEY = "sixteen letters!"


@pytest.fixture(autouse=True)
def temporary_folder(monkeypatch, tmp_path_factory):
    """One that holds nothing of other runs."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))


@pytest.fixture
def mistake(churnlab):
    """Run what must fail, and give its one line."""

    def run(*words: object) -> str:
        code, _, err = churnlab(*words)
        assert (code, err.count("\n"), err[-1]) == (2, 1, "\n")
        return err

    return run


@pytest.fixture
def orders(tmp_path, small_log):
    """The orders of Ann and Bob in a workspace with its params.yaml."""
    settings = json.loads(json.dumps(small_log.settings, default=str)) | {"workspace": "."}
    settings["data"]["privacy"] = {"hash_ids": False, "key_env": "SHOP_KEY"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    path = tmp_path / "data" / "orders.parquet"
    write_parquet(pa.table({"customer_id": [ANN, BOB]}), path)
    return path


def ids_in(path: Path) -> list[str]:
    return pq.read_table(path)["customer_id"].to_pylist()


def test_forget(churnlab, orders):
    assert churnlab("forget", ANN) == (
        0,
        "file\trows erased\tcells emptied\tthen\ndata/orders.parquet\t1\t0\tremaining 0\n"
        "Files searched: 1; files that still name them: 0.\n",
        "",
    )
    assert ids_in(orders) == [BOB]


def test_forget_again_or_somebody_unknown(churnlab, orders):
    for name in (ANN, ANN, "nobody@example.org"):
        code, out, err = churnlab("forget", name)
        assert (code, err) == (0, "")
        assert "example" not in out
    assert out.splitlines()[0] == "Nothing was found."
    assert len(Path("params/forgotten.csv").read_text().splitlines()) == 3


def test_forget_as_a_terminal_shows_it(churnlab, orders, monkeypatch):
    screen = io.StringIO()
    screen.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdout", screen)
    code, _, _ = churnlab("forget", ANN)
    assert code == 0
    shown = screen.getvalue()
    assert "rows erased" in shown and "data/orders.parquet" in shown and "example" not in shown


def test_forget_a_dry_run(churnlab, orders):
    before = orders.read_bytes()
    code, out, _ = churnlab("forget", ANN, "--dry-run")
    assert (code, out.splitlines()[1:]) == (
        0,
        ["data/orders.parquet\t1\t0\tfound", "Files searched: 1; nothing was changed."],
    )
    assert orders.read_bytes() == before
    assert not Path("params").exists()


def test_forget_those_in_a_file_and_in_other_folders(churnlab, orders, tmp_path):
    (tmp_path / "ids.txt").write_text(f"{ANN}\r\n\n{BOB}\n", encoding="utf-8-sig")
    write_parquet(pa.table({"customer_id": [BOB, "eve"]}), tmp_path / "night" / "scores.parquet")
    code, _, _ = churnlab("forget", "--file", "ids.txt", "--also", "night")
    assert code == 0
    assert (ids_in(orders), ids_in(tmp_path / "night" / "scores.parquet")) == ([], ["eve"])


def test_what_remains_is_exit_code_2_and_named(churnlab, orders, tmp_path):
    for number in range(5):
        (tmp_path / "data" / f"{number}.json").write_text(json.dumps([ANN]), encoding="utf-8")
    code, out, err = churnlab("forget", ANN)
    assert code == 2
    assert "data/0.json\t0\t0\t1 left" in out.splitlines()
    assert err.startswith("forget: 5 files still name them: data/0.json (1 left); data/1.json (1 left); ")
    assert err.count("\n") == 1 and "and 2 more files" in err and "example" not in err


def test_a_place_where_nothing_was_published(mistake, orders, monkeypatch):
    """Before anything is erased: a mistyped name must not pass for a clean place."""
    monkeypatch.setenv("SHOP_SINK", "sqlite:///lists.db")
    for target in ("env:SHOP_SINK", "scoers"):
        found = mistake("forget", ANN, "--sink", target)
        assert found.endswith(": nothing was ever published there: correct --sink\n")
    assert ids_in(orders) == [ANN, BOB]


def test_another_folder_that_is_not_there(mistake, orders):
    assert mistake("forget", ANN, "--also", "nihgt").startswith("--also: nihgt is not there")
    assert ids_in(orders) == [ANN, BOB]


@pytest.mark.parametrize("command", ["forget", "pseudonym"])
def test_nobody_is_named(mistake, orders, monkeypatch, command):
    monkeypatch.setenv("SHOP_KEY", KEY)
    assert mistake(command).startswith("CUSTOMER_ID: none is named")
    assert mistake(command, "--file", "none.txt").startswith("--file: none.txt cannot be read")
    assert mistake(command, ANN, "--params", "none.yaml").startswith("none.yaml: cannot be read")


def test_pseudonyms_of_a_few(churnlab, orders, monkeypatch):
    monkeypatch.setenv("SHOP_KEY", KEY)
    expected = "".join(f"{name}\t{pseudonym(KEY.encode(), name)}\n" for name in (ANN, BOB))
    assert churnlab("pseudonym", ANN, BOB, ANN) == (0, expected, "")


def test_pseudonyms_of_many(churnlab, orders, monkeypatch, tmp_path):
    monkeypatch.setenv("SHOP_KEY", KEY)
    names = [ANN, "=cmd", "مریم"]
    (tmp_path / "ids.txt").write_text("\n".join(names), encoding="utf-8")
    assert churnlab("pseudonym", "--file", "ids.txt", "--out", "pairs.csv") == (0, "pairs.csv\n", "")
    with (tmp_path / "pairs.csv").open(encoding="utf-8-sig", newline="") as handle:
        found = list(csv.reader(handle))
    assert found[1:] == [[n if n != "=cmd" else "'=cmd", pseudonym(KEY.encode(), n)] for n in names]


@pytest.mark.parametrize("value", ["", "too short"])
def test_without_a_key_there_are_no_pseudonyms(mistake, orders, monkeypatch, value):
    monkeypatch.setenv("SHOP_KEY", value)
    line = mistake("pseudonym", ANN)
    assert "environment variable SHOP_KEY" in line
    assert "too short" not in line and "example" not in line


@pytest.mark.parametrize("command", ["forget", "pseudonym"])
def test_help(churnlab, command):
    code, out, err = churnlab(command, "--help")
    assert (code, err) == (0, "")
    assert "CUSTOMER_ID" in out and "--file" in out

"""`churnlab migration`. Authority: two lists that are written here."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churnlab.engine import read_parquet
from churnlab.operations.scoring import SCORES
from churnlab.operations.sinks.publication import RunIdentity
from churnlab.operations.sinks.targets import open_sink

NAMES = ["=1+1", "bee", "cee"]
FIRST, SECOND = date(2024, 6, 30), date(2024, 7, 31)


def write(path, day, risk, model="7"):
    rows = [
        {
            "customer_id": name,
            "as_of": day,
            "risk_label": label,
            "value_label": "low",
            "lifecycle_type": "active",
            "buying_style": "unassigned",
            "clv": 10.0,
            "model_version": model,
        }
        for name, label in zip(NAMES, risk, strict=True)
    ]
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, SCORES), path)
    return path


@pytest.fixture
def files(tmp_path):
    before = write(tmp_path / "june" / "scores.parquet", FIRST, ["low", "low", "high"])
    return before, write(tmp_path / "july" / "scores.parquet", SECOND, ["high", "low", "high"])


def moves(path):
    found = read_parquet(path)
    found = found[(found["column"] == "risk_label") & (found["from"] != found["to"])]
    return found[["from", "to", "customers", "clv_after"]].to_numpy().tolist()


def test_files_and_folders_are_compared_and_nobody_is_named(files, tmp_path, churnlab):
    before, after = files
    out = tmp_path / "moves.parquet"
    code, shown, err = churnlab("migration", "--before", before, "--after", after.parent, "--out", out)
    assert code == 0, err
    assert moves(out) == [["low", "high", 1, 10.0]]
    assert "risk_label: 2 of 3 as before" in shown
    assert not any(name in shown for name in NAMES)
    assert "different models" not in shown


def test_another_model_is_told(files, tmp_path, churnlab):
    later = write(tmp_path / "later.parquet", SECOND, ["low"] * 3, model="8")
    assert "different models" in churnlab("migration", "--before", files[0], "--after", later)[1]


@pytest.mark.parametrize("kind", ["parquet", "csv", "delta", "sqlite", "duckdb"])
def test_lists_of_every_sink_are_compared(files, kind, tmp_path, churnlab):
    is_folder = kind in ("parquet", "csv", "delta")
    target = str(tmp_path / "lists") if is_folder else f"{kind}:///{tmp_path}/lists.db"
    words = ("--format", kind) if is_folder else ()
    sink = open_sink(target, kind if is_folder else "parquet")
    for day, file in zip((FIRST, SECOND), files, strict=True):
        run = RunIdentity(day, "7", "run", "data", "params", "code", len(NAMES), "0" * 64)
        sink.publish(file, run, datetime(2024, 8, 1, tzinfo=UTC), restate=False, quarantine=None)
    out = tmp_path / "moves.parquet"
    command = ("migration", "--sink", target, *words, "--from", FIRST, "--to")
    code, shown, err = churnlab(*command, SECOND, "--out", out)
    assert code == 0, err
    assert moves(out) == [["low", "high", 1, 10.0]]
    assert "3 of 3 as before" in shown
    code, _, err = churnlab(*command, "2024-08-31")
    assert (code, err.count("\n")) == (2, 1)
    assert "holds no list of 2024-08-31" in err


def test_a_mistake_is_one_line(files, tmp_path, churnlab):
    bare = tmp_path / "bare.parquet"
    pd.DataFrame({"customer_id": ["a"]}).to_parquet(bare)
    twice = tmp_path / "twice.parquet"
    pq.write_table(pa.concat_tables([pq.read_table(files[0])] * 2), twice)
    text = tmp_path / "text.parquet"
    text.write_text("not a list", encoding="utf-8")
    for after, finding in (
        (bare, "has no column"),
        (tmp_path / "nowhere", "is not there"),
        (text, "cannot be read"),
        (twice, "names a customer twice"),
    ):
        code, _, err = churnlab("migration", "--before", files[0], "--after", after)
        assert (code, err.count("\n")) == (2, 1), err
        assert finding in err
    assert churnlab("migration", "--before", files[0])[0] == 2
    assert churnlab("migration", "--sink", tmp_path, "--from", FIRST, "--after", files[0])[0] == 2

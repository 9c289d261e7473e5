"""What becomes of every broken input of the corpus. Authority: index.yaml, judged by hand."""

from __future__ import annotations

import datetime
import json
import re
import sqlite3
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from churnlab.config import Columns, Data, Engine
from churnlab.data.contract import REASONS
from churnlab.data.ingestion import ingest
from churnlab.engine import connect
from churnlab.pipelines import ingest as stage
from churnlab.pipelines._run import main

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WORDS = ("customer_id", "ts", "amount")
INDEX = yaml.safe_load((HERE / "index.yaml").read_text(encoding="utf-8"))
CASES = [case for section, cases in INDEX.items() if section != "three" for case in cases]
READ = [case for case in CASES if "message" not in case]
REFUSED = [case for case in CASES if "message" in case]
COMPARED = ["customer_id", "order_id", "ts", "day", "amount", "gross", "returned", "is_purchase", "n_lines"]


def by_name(cases: list[dict[str, Any]]) -> Any:
    return pytest.mark.parametrize("case", cases, ids=[case["name"] for case in cases])


@pytest.fixture(scope="module")
def con():
    return connect(Engine(threads=1, memory_limit="1GB"))


@pytest.fixture(scope="module")
def clean_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("clean")


@pytest.fixture
def settings(builders, tmp_path, monkeypatch):
    """Section `data` of a case, as params.yaml would have it; its file is built, its environment set."""

    def build(case: dict[str, Any]) -> dict[str, Any]:
        (tmp_path / "built").mkdir()
        if "build" in case:
            builders[case["build"]](tmp_path / "built")
        for name, value in case.get("env", {}).items():
            monkeypatch.setenv(name, value)
        given = placed(case["data"], tmp_path)
        columns = {"amount": "amount", **given.pop("columns", {})}
        return {"timezone": "UTC", "columns": columns, **given}

    return build


def placed(value: Any, folder: Path) -> Any:
    """With files/ and built/ as the folders that they are."""
    if isinstance(value, dict):
        return {name: placed(part, folder) for name, part in value.items()}
    if not isinstance(value, str):
        return value
    if value == "built" or value.startswith("built/"):
        return str(folder / value)
    return (str(HERE / value) if value.startswith("files/") else value).replace(
        "sqlite:///built", f"sqlite:///{folder}/built"
    )


@by_name(READ)
def test_rows_are_accepted_or_quarantined_one_by_one(case, settings, con, clean_folder, tmp_path):
    data = Data.model_validate(settings(case))
    found = ingest(con, data)
    quarantine = found.quarantine.to_pyarrow()
    stage.require_all_rows(found.summary, found.orders.to_pyarrow(), quarantine)
    table = case.get("table", "transactions")
    summary = found.summary if table == "transactions" else found.summary["tables"][table]
    expected = case.get("accepted", len(case.get("good", ())))
    assert summary["rows_accepted"] == expected
    assert summary["rows_read"] == expected + len(quarantine)
    if "refused" in case:
        assert len(quarantine) == case["refused"]
    else:
        assert reasons_of(quarantine, table, case["quarantine"]) == case["quarantine"]
    explained(quarantine)
    if "good" in case:
        rows = tuple(map(tuple, case["good"]))
        assert found.orders.to_pyarrow().select(COMPARED) == clean(
            con, rows, tuple(case.get("words", WORDS)), clean_folder
        )
    elif table != "transactions":
        assert getattr(found, table).to_pyarrow() == without_refused(
            con, data, table, case["quarantine"], tmp_path
        )


def reasons_of(quarantine: pa.Table, table: str, expected: dict[Any, str]) -> dict[Any, str]:
    """Place → reason of the refused rows, places written as in the case."""
    rows = quarantine.to_pylist()
    assert {row["table"] for row in rows} <= {table}
    named = any(isinstance(place, str) for place in expected)
    return {
        f"{row['source_file']} {row['source_row']}" if named else row["source_row"]: row["reason"]
        for row in rows
    }


def explained(quarantine: pa.Table) -> None:
    """Every refused row keeps what it held and says how to mend it."""
    for row in quarantine.slice(0, 100).to_pylist():
        assert row["detail"] == REASONS[row["reason"]]
        assert isinstance(json.loads(row["raw"]), dict)


@cache
def clean(con: Any, rows: tuple[Any, ...], words: tuple[str, ...], folder: Path) -> pa.Table:
    """The orders of a Parquet file that holds good rows only, whose types leave nothing to be read."""
    columns = dict(zip(words, map(list, zip(*rows, strict=True)), strict=True))
    columns["ts"] = [datetime.datetime.fromisoformat(text) for text in columns["ts"]]
    columns["amount"] = [float(number) for number in columns["amount"]]
    path = folder / f"{abs(hash((rows, words)))}.parquet"
    pq.write_table(pa.table(columns), path)
    data = Data(path=str(path), timezone="UTC", columns=Columns(**{word: word for word in words}))
    found = ingest(con, data)
    assert found.summary["rows_quarantined"] == 0
    return found.orders.to_pyarrow().select(COMPARED)


def without_refused(con: Any, data: Data, name: str, refused: dict[int, str], folder: Path) -> pa.Table:
    """What an optional table gives once its refused rows are taken out of its file."""
    section = getattr(data, name)
    header, *lines = Path(section.path).read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for number, line in enumerate(lines, 1) if number not in refused]
    path = folder / "kept.csv"
    path.write_text("".join([header, *kept]), encoding="utf-8")
    section = section.model_copy(update={"path": str(path)})
    found = ingest(con, data.model_copy(update={name: section}))
    assert found.summary["tables"][name]["rows_quarantined"] == 0
    return getattr(found, name).to_pyarrow()


@by_name(REFUSED)
def test_what_cannot_be_read_is_one_line(case, settings, tmp_path, capsys):
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params |= {"workspace": str(tmp_path / "run"), "data": settings(case)}
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(params, allow_unicode=True), encoding="utf-8")
    with pytest.raises(SystemExit) as stopped:
        main(stage.run, ["--params", str(file)])
    message = capsys.readouterr().err
    assert stopped.value.code == 2
    assert message.count("\n") == 1
    assert re.fullmatch(case["message"], message.removesuffix("\n")), message
    written = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert [path.name for path in written] in ([], ["quarantine.parquet"])


def test_nothing_was_made_or_dropped(builders, tmp_path):
    """The hostile query and names of the cases leave the database as it is."""
    builders["sqlite"](tmp_path)
    with sqlite3.connect(tmp_path / "shop.db") as database:
        assert database.execute("SELECT count(*) FROM orders").fetchone() == (3,)


def test_every_reason_has_a_case():
    told = {reason for case in READ for reason in case.get("quarantine", {}).values()}
    assert told == set(REASONS)


def test_the_corpus_is_large_and_no_case_is_told_twice():
    names = [case["name"] for case in CASES]
    assert len(names) == len(set(names)) >= 60


def test_every_file_of_the_corpus_is_used():
    told = json.dumps([case["data"] for case in CASES])
    assert {path.name for path in (HERE / "files").iterdir() if f"files/{path.name}" not in told} == set()

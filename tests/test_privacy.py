"""Customers are known to the tables only, and can be forgotten. Authority: every byte of a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from churnlab import cli
from churnlab.pipelines._run import main as stage_main

MARK = "@kundin.example"  # ends every id of the log, and stands nowhere else
SECRET = "hunter2-correct-horse"
TABLES = {
    "log.csv",  # the source
    "data/orders.parquet",
    "data/quarantine.parquet",
    "data/snapshots.parquet",
    "data/current.parquet",
    "reports/backtest.parquet",
    "outputs/scores.parquet",
    "outputs/priority_list.parquet",
    "outputs/priority_list.csv",
    "outputs/messages.jsonl",
    "outputs/verdicts.parquet",
    "outputs/report.html",
    "nightly/scores.parquet",
    "nightly/quarantine.parquet",
}
REFUSED, BROKEN = f"refused{MARK}", f"broken{MARK}"


@dataclass
class Shop:
    """A folder in which all stages and a nightly job have run, and what they said."""

    folder: Path
    said: str

    def churnlab(self, *words: str) -> subprocess.CompletedProcess[str]:
        return churnlab(self.folder, *words)

    def texts(self) -> Iterator[tuple[str, str]]:
        """Every file as text: tables as their cells, all else as its bytes."""
        for file in sorted(self.folder.rglob("*")):
            if not file.is_file():
                continue
            name = file.relative_to(self.folder).as_posix()
            yield name, file.read_bytes().decode("utf-8", errors="replace")
            if file.suffix == ".parquet":
                yield name, str(pq.read_table(file).to_pydict())

    def naming(self, text: str) -> set[str]:
        return {name for name, content in self.texts() if text in content}


VARIABLES = {"SHOP_URL": f"postgresql://shop:{SECRET}@db.example/shop", "SHOP_KEY": SECRET}
ONE_AFTER_THE_OTHER = """
import json, sys
from churnlab import cli
for words in json.loads(sys.argv[1]):
    sys.argv = ["churnlab", *words]
    try:
        cli.main()
    except SystemExit as done:
        if done.code:
            raise
"""


def churnlab(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run(folder, "-m", "churnlab.cli", *words)


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Python as a process of its own, which may write to `folder` and to a folder for what is temporary."""
    environment = {**os.environ, **VARIABLES}
    environment.pop("MLFLOW_TRACKING_URI", None)
    temporary = folder.parent / f"{folder.name}-temporary"
    temporary.mkdir(exist_ok=True)
    environment["TMPDIR"] = str(temporary)
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def write_log(frame: pd.DataFrame, path: Path) -> None:
    """The small log with addresses as ids, a line that is refused, and one that cannot be taken apart."""
    named = frame.assign(customer_id="c." + frame["customer_id"] + MARK)
    text = named.to_csv(index=False)
    path.write_text(f"{text}{REFUSED},yesterday,5.00\n2022-06-01,{BROKEN},,5.00,x\n", encoding="utf-8")


@pytest.fixture(scope="module")
def shop(small_log, tmp_path_factory) -> Shop:
    folder = tmp_path_factory.mktemp("privacy")
    write_log(small_log.frame, folder / "log.csv")
    settings: dict[str, Any] = {**small_log.settings, "workspace": "."}
    settings["data"] = {**settings["data"], "path": "log.csv", "privacy": {"key_env": "SHOP_KEY"}}
    (folder / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    commands = [["run"], ["score", "--out", "nightly"], ["models", "list"]]
    done = run(folder, "-c", ONE_AFTER_THE_OTHER, json.dumps(commands))
    assert done.returncode == 0, done.stderr
    return Shop(folder, done.stdout + done.stderr)


def test_what_commands_say_names_nobody(shop):
    assert "Priority list: " in shop.said
    assert MARK not in shop.said


def test_only_tables_and_the_page_name_customers(shop):
    """Models, metrics, plots, manifests, MLflow's store and its artifacts do not."""
    assert {"mlflow.db", "data/ingest.json", "reports/manifest.json", "models/clv.json"} <= {
        name for name, _ in shop.texts()
    }
    assert any(name.startswith("mlartifacts/") for name, _ in shop.texts())
    assert shop.naming(MARK) == TABLES


def test_secrets_of_the_environment_are_kept_nowhere(shop):
    assert SECRET not in shop.said
    assert shop.naming(SECRET) == set()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("path", "nowhere.csv"),
        ("timezone", "Mars/Olympus"),
        ("columns", {"customer_id": "customer_id", "ts": "ts", "amount": "customer_id"}),
        ("columns", {"customer_id": "customer_id", "ts": "amount", "amount": "amount"}),
        ("columns", {"customer_id": "customer", "ts": "ts", "amount": "amount"}),
        ("earliest_date", "2030-01-01"),
        ("database", f"postgresql://shop:{SECRET}@db.example/shop"),
        ("database", {"url": [f"postgresql://db.example/shop?user=shop&password={SECRET}"], "table": "t"}),
        ("database", {"url": f"postgresql://shop:{SECRET}@db.example/shop", "table": "t"}),
    ],
)
def test_what_a_mistake_says_names_nobody(shop, tmp_path, monkeypatch, mistake, key, value):
    for name, held in VARIABLES.items():
        monkeypatch.setenv(name, held)
    settings = yaml.safe_load((shop.folder / "params.yaml").read_text(encoding="utf-8"))
    settings["workspace"] = str(tmp_path)
    settings["data"] |= {"path": str(shop.folder / "log.csv"), key: value}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    said = mistake("ingest", "--params", "params.yaml")
    assert MARK not in said and SECRET not in said


def test_a_file_without_a_header_is_refused_without_its_first_row(shop, tmp_path):
    (tmp_path / "log.csv").write_text(f"{REFUSED},2024-01-05,5.00\n" * 2, encoding="utf-8")
    (tmp_path / "params.yaml").write_bytes((shop.folder / "params.yaml").read_bytes())
    done = churnlab(tmp_path, "ingest")
    assert (done.returncode, done.stdout) == (2, "")
    assert "write a header row" in done.stderr and MARK not in done.stderr


def duplicated(*_: object) -> None:
    """A defect as it may happen: pandas puts the keys of both rows into its message."""
    frame = pd.DataFrame({"customer_id": [REFUSED, REFUSED]})
    frame.merge(frame, on="customer_id", validate="one_to_one")


def looked_up(*_: object) -> None:
    {}[REFUSED]


def caused(*_: object) -> None:
    try:
        duplicated()
    except ValueError as error:
        raise RuntimeError("while joining") from error


@pytest.mark.parametrize("defect", [duplicated, caused, looked_up])
@pytest.mark.parametrize("entry", ["churnlab", "dvc"])
def test_the_traceback_of_a_defect_quotes_no_row(shop, monkeypatch, capsys, defect, entry):
    monkeypatch.chdir(shop.folder)
    monkeypatch.setattr(cli, "app", defect)
    with pytest.raises(SystemExit) as exit_:
        cli.main() if entry == "churnlab" else stage_main(defect, ["--params", "params.yaml"])
    err = capsys.readouterr().err
    assert exit_.value.code == 1
    assert MARK not in err
    assert f"in {defect.__name__}\n" in err
    assert err.splitlines()[-1].endswith("the message is withheld, for it may quote customers' data")


def test_a_defect_that_quotes_nothing_keeps_its_message(shop, monkeypatch):
    def wrong(*_: object) -> None:
        try:
            duplicated()
        except ValueError:
            raise AssertionError("2 lines in orders, of 3 read") from None

    monkeypatch.chdir(shop.folder)
    monkeypatch.setattr(cli, "app", wrong)
    with pytest.raises(AssertionError, match="2 lines in orders, of 3 read"):
        cli.main()
    with pytest.raises(AssertionError, match="2 lines in orders, of 3 read"):
        stage_main(wrong, ["--params", "params.yaml"])


def test_two_are_forgotten(shop):
    """The last test here, for it takes them out of the tables: one on top of the list, one only refused."""
    first = pd.read_parquet(shop.folder / "outputs" / "priority_list.parquet")["customer_id"].iloc[0]
    assert "outputs/report.html" in shop.naming(first)
    tables = {name: pq.read_table(shop.folder / name) for name in TABLES if name.endswith(".parquet")}
    rows_read = sum(tables["data/orders.parquet"]["n_lines"].to_pylist())
    done = shop.churnlab("forget", first, REFUSED, BROKEN)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("files that still name them: 0.\n")
    assert MARK not in done.stdout
    assert [shop.naming(name) for name in (first, REFUSED, BROKEN)] == [{"log.csv"}] * 3
    for name, before in tables.items():
        after = pq.read_table(shop.folder / name)
        if "customer_id" in before.column_names:
            kept = [owner != first for owner in before["customer_id"].to_pylist()]
            # word for word: a table that is written anew may number its words otherwise
            assert after.to_pylist() == before.filter(kept).to_pylist()
        else:
            assert after.drop_columns(["raw"]).equals(before.drop_columns(["raw"]))
            assert after["raw"].to_pylist() == ['{"erased": true}'] * 2
    left = sum(pq.read_table(shop.folder / "data" / "orders.parquet")["n_lines"].to_pylist())
    assert 0 < left < rows_read
    record = json.loads((shop.folder / "reports" / "erasure.json").read_text(encoding="utf-8"))
    assert len(record["erasures"][0]["marks"]) == 3
    assert not (shop.folder / "outputs" / "report.html").exists()
    for stage in ("prioritise", "report"):
        assert shop.churnlab(stage).returncode == 0
    assert shop.naming(first) == {"log.csv"}


def test_the_source_does_not_bring_them_back(shop):
    """After the one above: their lines are still in the source, and refused without what they say."""
    forgotten = pd.read_parquet(shop.folder / "data" / "orders.parquet")["customer_id"].iloc[0]
    assert shop.churnlab("forget", forgotten).returncode == 0
    done = shop.churnlab("ingest")
    assert done.returncode == 0
    assert MARK not in done.stdout + done.stderr
    assert [shop.naming(name) for name in (forgotten, REFUSED, BROKEN)] == [{"log.csv"}] * 3
    quarantine = pd.read_parquet(shop.folder / "data" / "quarantine.parquet")
    theirs = quarantine[quarantine["reason"] == "customer_forgotten"]
    assert len(theirs) > 1
    assert set(theirs["raw"]) == {'{"erased": true}'}
    rows = json.loads((shop.folder / "data" / "ingest.json").read_text(encoding="utf-8"))
    assert rows["rows_read"] == rows["rows_accepted"] + len(quarantine)


def test_with_hashed_ids_only_the_source_names_customers(shop, tmp_path):
    """And those who hold the key find a customer by the pseudonym, until the customer is forgotten."""
    settings = yaml.safe_load((shop.folder / "params.yaml").read_text(encoding="utf-8"))
    settings["data"] |= {"privacy": {"hash_ids": True, "key_env": "SHOP_KEY"}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    (tmp_path / "log.csv").write_bytes((shop.folder / "log.csv").read_bytes())
    hashed = Shop(tmp_path, "")
    assert hashed.churnlab("ingest").returncode == 0
    assert hashed.naming(MARK) == {"log.csv"}
    name = f"c.c000{MARK}"
    found = hashed.churnlab("pseudonym", name).stdout.split()
    assert found[0] == name
    assert "data/orders.parquet" in hashed.naming(found[1])
    done = hashed.churnlab("forget", name)
    assert (done.returncode, done.stderr) == (0, "")
    assert hashed.churnlab("ingest").returncode == 0
    assert hashed.naming(found[1]) == set()
    assert hashed.naming(MARK) == {"log.csv"}


def test_lines_that_landed_are_emptied_and_not_read_again(shop, tmp_path):
    settings = yaml.safe_load((shop.folder / "params.yaml").read_text(encoding="utf-8"))
    settings["data"] |= {"path": "drops", "incremental": True}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    (tmp_path / "drops").mkdir()
    (tmp_path / "drops" / "log.csv").write_bytes((shop.folder / "log.csv").read_bytes())
    landed = Shop(tmp_path, "")
    assert landed.churnlab("ingest").returncode == 0
    before = json.loads((tmp_path / "data" / "ingest.json").read_text(encoding="utf-8"))
    name = f"c.c000{MARK}"
    assert any(file.startswith("data/landing/") for file in landed.naming(name))
    for words in (["forget", name], ["ingest"]):
        done = landed.churnlab(*words)
        assert (done.returncode, MARK in done.stdout + done.stderr) == (0, False)
        assert landed.naming(name) == {"drops/log.csv"}
    after = json.loads((tmp_path / "data" / "ingest.json").read_text(encoding="utf-8"))
    assert after["rows_read"] == before["rows_read"]
    assert after["customers"] == before["customers"] - 1

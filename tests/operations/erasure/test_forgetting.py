"""Erasing customers from a project. Authority: a workspace laid out by hand, a real DVC, and its bytes."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import ExitStack, closing
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from churnlab.config import Privacy
from churnlab.data.forgotten import remember_forgotten
from churnlab.data.pseudonyms import pseudonym
from churnlab.engine import write_parquet
from churnlab.errors import ConfigError, DataError
from churnlab.operations.erasure.forgetting import forget
from churnlab.operations.scoring import SCORES
from churnlab.operations.sinks.csv_files import write_csv
from churnlab.operations.sinks.list_files import FileFormat
from churnlab.operations.sinks.lists import QUARANTINE
from churnlab.operations.sinks.publication import RunIdentity
from churnlab.operations.sinks.targets import open_lists, open_sink

ANN, BOB = "ann@example.org", "bob@example.org"
NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
STAGE = """
import sys
import pyarrow as pa, pyarrow.parquet as pq
from pathlib import Path
Path("data").mkdir(exist_ok=True)
Path("models").mkdir(exist_ok=True)
pq.write_table(pa.table({"customer_id": open("names.txt").read().split()}), "data/orders.parquet")
Path("models/clv.json").write_text("{}")
"""
DVC_YAML = """
stages:
  ingest:
    cmd: python stage.py
    deps: [names.txt, stage.py]
    outs: [data/orders.parquet, models/clv.json]
"""


@pytest.fixture
def home(tmp_path, tmp_path_factory, monkeypatch):
    """An empty project that is the current folder, and that has its own place for temporary files."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def params(small_log, home):
    return small_log.params.model_copy(update={"workspace": "."})


def hashing(params, **privacy):
    return params.model_copy(update={"data": params.data.model_copy(update={"privacy": Privacy(**privacy)})})


@pytest.fixture
def shop(home):
    """A workspace in which Ann and Bob stand in every kind of file."""
    both = [ANN, BOB]
    write_parquet(pa.table({"customer_id": both, "amount": [1.0, 2.0]}), home / "data" / "orders.parquet")
    refused = {"reason": ["x", "x"], "raw": [json.dumps({"customer_id": name}) for name in both]}
    write_parquet(pa.table(refused), home / "data" / "quarantine.parquet")
    landed = pa.table({"customer_id": both, "malformed": pa.nulls(2, pa.string())})
    write_parquet(landed, home / "data" / "landing" / "000001.parquet")
    referred = pa.table({"customer_id": [BOB, "eve"], "referrer": [ANN, BOB]})
    write_parquet(referred, home / "data" / "customers.parquet")
    write_csv(pd.DataFrame({"customer_id": both}), home / "outputs" / "priority_list.csv")
    write_parquet(pa.table({"customer_id": both}), home / "outputs" / "potential.parquet")
    for name, text in {
        "outputs/report.html": f"<!doctype html><td>{ANN}</td>",
        "reports/metrics.json": '{"customers": 2}\n',
        "models/churn/member.txt": "leaf_count=2\n",
        "outputs/sent/2024-02-28.jsonl": "".join(f"{json.dumps({'customer_id': name})}\n" for name in both),
        "notes.txt": f"{ANN}: the user's own\n",
    }.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text, encoding="utf-8")
    return home


def bytes_of(folder: Path) -> dict[str, bytes]:
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def ids_in(path: Path) -> list[str]:
    return pq.read_table(path)["customer_id"].to_pylist()


def test_everywhere_and_nobody_else(shop, params):
    untouched = ("reports/metrics.json", "models/churn/member.txt", "notes.txt")
    before = bytes_of(shop)
    done = forget(params, [ANN], NOON)
    assert {record.file: (record.rows, record.cells, record.deleted) for record in done.files} == {
        "data/customers.parquet": (0, 1, False),
        "data/landing/000001.parquet": (1, 0, False),
        "data/orders.parquet": (1, 0, False),
        "data/quarantine.parquet": (0, 1, False),
        "outputs/potential.parquet": (1, 0, False),
        "outputs/priority_list.csv": (1, 0, False),
        "outputs/sent/2024-02-28.jsonl": (1, 0, False),
        "outputs/report.html": (0, 0, True),
    }
    assert done.remaining == {}
    after = bytes_of(shop)
    assert {name: after[name] for name in untouched} == {name: before[name] for name in untouched}
    assert set(before) - set(after) == {"outputs/report.html"}
    assert set(after) - set(before) == {"params/forgotten.csv", "reports/erasure.json"}
    assert ids_in(shop / "data" / "orders.parquet") == [BOB]
    assert pq.read_table(shop / "data" / "customers.parquet").to_pydict() == {
        "customer_id": [BOB, "eve"],
        "referrer": [None, BOB],
    }
    refused = pq.read_table(shop / "data" / "quarantine.parquet").to_pydict()
    assert refused == {"reason": ["x", "x"], "raw": ['{"erased": true}', json.dumps({"customer_id": BOB})]}
    for path in (p for p in shop.rglob("*.parquet")):
        for column in pq.read_table(path).columns:
            assert not any(ANN in (cell or "") for cell in column.cast(pa.string()).to_pylist())
    assert [name for name, content in after.items() if ANN.encode() in content] == ["notes.txt"]


def test_the_record_names_nobody_and_holds_the_checksums(shop, params):
    import hashlib

    orders = shop / "data" / "orders.parquet"
    before = hashlib.sha256(orders.read_bytes()).hexdigest()
    done = forget(params, [ANN], NOON)
    text = (shop / "reports" / "erasure.json").read_text(encoding="utf-8")
    assert "example" not in text
    (entry,) = json.loads(text)["erasures"]
    assert entry["at"] == "2024-02-29T12:00:00+00:00"
    assert (
        entry["marks"]
        == list(done.marks)
        == remember_forgotten(Path("params/forgotten.csv"), [ANN], date(2025, 1, 1))
    )
    record = next(file for file in entry["files"] if file["file"] == "data/orders.parquet")
    assert record["sha256_before"] == before
    assert record["sha256_after"] == hashlib.sha256(orders.read_bytes()).hexdigest()
    forget(params, [BOB], NOON)
    both = json.loads((shop / "reports" / "erasure.json").read_text(encoding="utf-8"))["erasures"]
    assert both[0] == entry and len(both) == 2


def test_a_second_time_changes_nothing_but_the_record(shop, params):
    forget(params, [ANN], NOON)
    before = bytes_of(shop)
    done = forget(params, [ANN], NOON)
    assert (done.files, done.remaining) == ((), {})
    after = bytes_of(shop)
    assert {name for name in after if after[name] != before[name]} == {"reports/erasure.json"}


def test_somebody_unknown_is_remembered(shop, params):
    before = bytes_of(shop)
    done = forget(params, ["nobody@example.org"], NOON)
    assert (done.files, done.remaining) == ((), {})
    assert len((shop / "params" / "forgotten.csv").read_text().splitlines()) == 2
    assert {name: bytes_of(shop)[name] for name in before} == before


def test_a_dry_run_changes_nothing(shop, params):
    before = bytes_of(shop)
    done = forget(params, [ANN], NOON, dry_run=True)
    assert bytes_of(shop) == before
    assert (len(done.files), done.remaining) == (8, {})


def test_a_dry_run_tells_what_cannot_be_read(shop, params):
    (shop / "data" / "cut.parquet").write_bytes((shop / "data" / "orders.parquet").read_bytes()[:100])
    done = forget(params, [ANN], NOON, dry_run=True)
    assert done.remaining == {"data/cut.parquet": "cannot be read (ArrowInvalid)"}


def test_what_a_killed_run_left_among_temporary_files_is_told(shop, params):
    (Path(tempfile.gettempdir()) / "churnlab-abc").mkdir()
    (said,) = forget(params, [ANN], NOON).beyond
    assert said.startswith(f"In {tempfile.gettempdir()} are 1 temporary folders churnlab-*")


@pytest.mark.parametrize("names", [[""], [ANN, "  "]])
def test_a_blank_id_is_nobody(shop, params, names):
    before = bytes_of(shop)
    with pytest.raises(DataError, match=f"1 of {len(names)} are no ids"):
        forget(params, names, NOON)
    assert bytes_of(shop) == before


@pytest.mark.parametrize("asked", ["123", "00123", " 123.0"])
def test_other_spellings_of_the_same_id_in_raw_lines(shop, params, asked):
    """Raw lines hold ids as the source wrote them, orders as `data.customer_ids` reads them."""
    whole = params.model_copy(update={"data": params.data.model_copy(update={"customer_ids": "integer"})})
    cells = ["00123", "123.0", "0123x", "۱۲۳", "1230"]
    landed = pa.table({"malformed": pa.nulls(5, pa.string()), "customer_id": cells, "referrer": cells[::-1]})
    write_parquet(landed, shop / "data" / "landing" / "2.parquet")
    refused = pa.table({"raw": [json.dumps({"customer_id": cell}, ensure_ascii=False) for cell in cells]})
    write_parquet(refused, shop / "data" / "quarantine.parquet")
    write_parquet(pa.table({"customer_id": ["123", "1230"]}), shop / "data" / "orders.parquet")
    done = forget(whole, [asked], NOON)
    assert done.remaining == {}
    assert pq.read_table(shop / "data" / "landing" / "2.parquet").to_pydict() == {
        "malformed": ["erased", "erased", None, "erased", None],
        "customer_id": [None, None, "0123x", None, "1230"],
        "referrer": [None, None, "0123x", None, None],
    }
    raw = pq.read_table(shop / "data" / "quarantine.parquet")["raw"].to_pylist()
    assert [json.loads(line).get("customer_id") for line in raw] == [None, None, "0123x", None, "1230"]
    assert ids_in(shop / "data" / "orders.parquet") == ["1230"]
    assert list(done.marks) == remember_forgotten(Path("params/forgotten.csv"), ["123"], date(2025, 1, 1))


def test_pseudonyms_and_raw_ids_both_go(shop, params, monkeypatch):
    monkeypatch.setenv("SHOP_KEY", "sixteen letters!")
    hashed = [pseudonym(b"sixteen letters!", name) for name in (ANN, BOB)]
    write_parquet(pa.table({"customer_id": hashed}), shop / "outputs" / "scores.parquet")
    done = forget(hashing(params, hash_ids=True, key_env="SHOP_KEY"), [ANN], NOON)
    assert ids_in(shop / "outputs" / "scores.parquet") == [hashed[1]]
    assert ids_in(shop / "data" / "orders.parquet") == [BOB]
    assert list(done.marks) == remember_forgotten(Path("params/forgotten.csv"), [ANN], date(2025, 1, 1))


def test_without_the_key_nothing_is_done(shop, params, monkeypatch):
    monkeypatch.delenv("SHOP_KEY", raising=False)
    before = bytes_of(shop)
    with pytest.raises(ConfigError, match="SHOP_KEY is not set"):
        forget(hashing(params, hash_ids=True, key_env="SHOP_KEY"), [ANN], NOON)
    assert bytes_of(shop) == before


def test_folders_of_nightly_runs(shop, params, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("nights")
    for folder in (elsewhere, shop / "nightly" / "2024-02-28"):
        write_parquet(pa.table({"customer_id": [ANN, BOB]}), folder / "scores.parquet")
    forget(params, [ANN], NOON)
    assert ids_in(elsewhere / "scores.parquet") == [ANN, BOB]
    done = forget(params, [ANN], NOON, also=[elsewhere])
    assert [record.file for record in done.files] == [str(elsewhere / "scores.parquet")]
    assert ids_in(elsewhere / "scores.parquet") == ids_in(shop / "nightly/2024-02-28/scores.parquet") == [BOB]


@pytest.mark.parametrize("named", ["data/exports", "data/exports/*.csv", "data/exports/log.csv"])
def test_the_source_stays_the_users_even_inside_the_workspace(shop, params, named):
    source = shop / "data" / "exports" / "log.csv"
    source.parent.mkdir()
    source.write_text(f"customer_id,ts,amount\n{ANN},2024-01-01,5\n", encoding="utf-8")
    before = source.read_bytes()
    mapped = params.model_copy(update={"data": params.data.model_copy(update={"path": named})})
    assert forget(mapped, [ANN], NOON).remaining == {}
    assert source.read_bytes() == before


def test_what_cannot_be_taken_out_is_told(shop, params):
    """In an MLflow store, in JSON, and in a table that cannot be read."""
    with sqlite3.connect(shop / "mlflow.db") as con:
        con.execute("CREATE TABLE tags (value TEXT)")
        con.execute("INSERT INTO tags VALUES (?)", [f"for {ANN}"])
    con.close()
    artifact = shop / "mlartifacts" / "1" / "params.json"
    artifact.parent.mkdir(parents=True)
    artifact.write_text(json.dumps({"note": ANN}), encoding="utf-8")
    (shop / "reports" / "plan.json").write_text(json.dumps([ANN, ANN]), encoding="utf-8")
    (shop / "data" / "cut.parquet").write_bytes((shop / "data" / "orders.parquet").read_bytes()[:100])
    done = forget(params, [ANN], NOON)
    assert done.remaining == {
        "data/cut.parquet": "cannot be read (ArrowInvalid)",
        "mlartifacts/1/params.json": "1 left",
        "mlflow.db": "1 left",
        "reports/plan.json": "2 left",
    }
    assert ids_in(shop / "data" / "orders.parquet") == [BOB]


def test_one_file_that_resists_keeps_no_other_from_being_erased(shop, params):
    """A folder in the way of the temporary file: the table cannot be written, whoever asks."""
    (shop / "data" / f".orders.parquet.{os.getpid()}.tmp").mkdir()
    done = forget(params, [ANN], NOON)
    assert list(done.remaining) == ["data/orders.parquet"]
    assert done.remaining["data/orders.parquet"].startswith("1 left, data/orders.parquet: cannot be written")
    assert ids_in(shop / "data" / "orders.parquet") == [ANN, BOB]
    assert ids_in(shop / "data" / "landing" / "000001.parquet") == [None, BOB]
    assert len((shop / "params" / "forgotten.csv").read_text().splitlines()) == 2


def test_what_a_killed_process_left_half_written_goes(shop, params):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    half = (shop / "data" / "orders.parquet").read_bytes()[:60]
    gone, kept = (shop / "data" / f".orders.parquet.{n}.tmp" for n in (ended.pid, os.getppid()))
    gone.write_bytes(half)
    kept.write_bytes(half)
    assert list(forget(params, [ANN], NOON).remaining) == [str(kept.relative_to(shop))]
    assert not gone.exists()


@pytest.mark.parametrize("place", ["params/forgotten.csv", "reports/erasure.json"])
def test_a_damaged_list_or_record_is_one_line_before_anything_is_done(shop, params, place):
    (shop / place).parent.mkdir(exist_ok=True)
    (shop / place).write_text("damaged", encoding="utf-8")
    before = bytes_of(shop)
    with pytest.raises(DataError, match=place):
        forget(params, [ANN], NOON)
    assert bytes_of(shop) == before


def dvc(*words):
    """As the command does it, in this process: to import DVC takes longer than what it is asked here."""
    from dvc.cli import main

    assert main(["-q", *words]) == 0


def configure(home, text):
    (home / ".dvc" / "config").write_text(
        f"[core]\nno_scm = true\nanalytics = false\n{text}", encoding="utf-8"
    )


@pytest.fixture
def project(home):
    """A DVC project with one stage, which reads names, and a source of its own."""
    (home / ".dvc").mkdir()
    configure(home, "")
    (home / "stage.py").write_text(STAGE, encoding="utf-8")
    (home / "dvc.yaml").write_text(DVC_YAML, encoding="utf-8")
    (home / "export.csv").write_text(f"customer_id\n{ANN}\n", encoding="utf-8")
    return home


def run_on(home, *names):
    (home / "names.txt").write_text(" ".join(names), encoding="utf-8")
    dvc("repro")


def objects(cache):
    return [file for file in (cache / "files").rglob("*") if file.is_file()]


@pytest.mark.parametrize(("cache", "link"), [(".dvc/cache", "copy"), ("elsewhere", "symlink")])
def test_every_version_in_the_cache_of_dvc_goes(project, params, cache, link):
    """Not what the user gave to DVC; and DVC makes again what was deleted."""
    configure(project, f"[cache]\ndir = {project / cache}\ntype = {link}\n")
    dvc("add", "export.csv")
    run_on(project, ANN, BOB, "eve")
    run_on(project, ANN, BOB)
    assert sum(ANN.encode() in file.read_bytes() for file in objects(project / cache)) == 3
    done = forget(params, [ANN], NOON)
    assert done.remaining == {}
    assert sorted(record.deleted for record in done.files) == [False, True, True]
    assert ids_in(project / "data" / "orders.parquet") == [BOB]
    left = [file for file in objects(project / cache) if ANN.encode() in file.read_bytes()]
    assert [file.read_text(encoding="utf-8") for file in left] == [f"customer_id\n{ANN}\n"]
    assert (project / "export.csv").read_text(encoding="utf-8") == f"customer_id\n{ANN}\n"
    (project / "data" / "orders.parquet").unlink()
    dvc("repro")
    assert ids_in(project / "data" / "orders.parquet") == [ANN, BOB]


def test_copies_that_experiments_work_in(project, params):
    copy = project / ".dvc" / "tmp" / "exps" / "standalone" / "tmp123"
    write_parquet(pa.table({"customer_id": [ANN, BOB]}), copy / "outputs" / "scores.parquet")
    (copy / "dvc.yaml").write_text(DVC_YAML, encoding="utf-8")
    forget(params, [ANN], NOON)
    assert ids_in(copy / "outputs" / "scores.parquet") == [BOB]


def test_a_remote_cannot_be_reached_from_here(project, params):
    assert forget(params, [ANN], NOON).beyond == ()
    configure(project, f"['remote \"backup\"']\nurl = {project / 'remote'}\n")
    (said,) = forget(params, [ANN], NOON).beyond
    assert "dvc gc --workspace --cloud --remote backup" in said


def test_the_command_named_for_remotes_removes_what_was_pushed(project, params):
    """Authority: DVC itself, on a remote that is a folder."""
    configure(project, f"['remote \"backup\"']\nurl = {project / 'remote'}\n")
    run_on(project, ANN, BOB)
    dvc("push", "--remote", "backup")
    assert sum(ANN.encode() in file.read_bytes() for file in objects(project / "remote")) == 1
    forget(params, [ANN], NOON)
    run_on(project, BOB)
    dvc("gc", "--workspace", "--cloud", "--remote", "backup", "--force")
    assert sum(ANN.encode() in file.read_bytes() for file in objects(project / "remote")) == 0


def test_while_dvc_runs_nothing_is_done(project, params):
    from dvc.repo import Repo

    write_parquet(pa.table({"customer_id": [ANN]}), project / "data" / "orders.parquet")
    with Repo(".") as repo, repo.lock, pytest.raises(DataError, match="DVC is running"):
        forget(params, [ANN], NOON)
    assert ids_in(project / "data" / "orders.parquet") == [ANN]


def test_a_server_is_named_as_not_searched(shop, params, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://user:secret@mlflow.example.org")
    (said,) = forget(params, [ANN], NOON, dry_run=True).beyond
    assert "https://***@mlflow.example.org was not searched" in said


def published_list(
    target: str, folder: Path, names: list[str], raw: list[str], file_format: FileFormat = "parquet"
) -> None:
    """A list of the names and these refused lines, at `target`."""
    day, rows = date(2024, 2, 28), len(names)
    kinds = {pa.string(): "x", pa.int64(): 1, pa.float64(): 1.0}

    def table(schema: pa.Schema, columns: dict, n: int) -> pa.Table:
        plain = {field.name: [kinds.get(field.type)] * n for field in schema}
        return pa.table({name: (plain | columns)[name] for name in schema.names}, schema=schema)

    scores, refused = folder / "list.parquet", folder / "refused.parquet"
    write_parquet(table(SCORES, {"customer_id": names, "as_of": [day] * rows}, rows), scores)
    write_parquet(table(QUARANTINE, {"raw": raw}, len(raw)), refused)
    run = RunIdentity(day, "7", "run", "data", "params", "code", rows, "digest")
    with closing(open_sink(target, file_format)) as sink:
        sink.publish(scores, run, NOON, restate=False, quarantine=refused)


@pytest.fixture(params=["folder", "sqlite", "duckdb"])
def target(request, tmp_path_factory) -> str:
    """Where Ann and Bob are on a list."""
    folder = tmp_path_factory.mktemp("published")
    place = folder / "lists"
    url = str(place) if request.param == "folder" else f"{request.param}:///{place}"
    published_list(url, folder, [ANN, BOB], [json.dumps({"customer_id": ANN})])
    return url


def test_published_lists_as_well(shop, params, target):
    def listed(name: str) -> int:
        return sum(len(sink.rows_of(name, date(2024, 2, 28))) for sink in sinks)

    with ExitStack() as opened:
        sinks = [opened.enter_context(closing(one)) for one in open_lists(target)]
        found = forget(params, [ANN], NOON, dry_run=True, sinks=sinks)
        assert sorted((one.rows, one.cells) for one in found.files[:2]) == [(0, 1), (1, 0)]
        assert (listed(ANN), listed(BOB)) == (1, 1)
        done = forget(params, [ANN], NOON, sinks=sinks)
        assert (done.files[:2], done.remaining) == (found.files[:2], {})
        assert found.sinks == done.sinks == (target,)
        assert (listed(ANN), listed(BOB)) == (0, 1)
    (entry,) = json.loads((shop / "reports" / "erasure.json").read_text(encoding="utf-8"))["erasures"]
    assert sorted((one["rows"], one["cells"]) for one in entry["files"][:2]) == [(0, 1), (1, 0)]
    assert "example" not in json.dumps(entry)


@pytest.mark.parametrize("kind", ["folder", "csv", "sqlite", "duckdb"])
def test_other_spellings_in_published_refused_lines(shop, params, kind, tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    url = str(folder / "lists") if kind in ("folder", "csv") else f"{kind}:///{folder / 'lists'}"
    whole = params.model_copy(update={"data": params.data.model_copy(update={"customer_ids": "integer"})})
    raw = [json.dumps({"customer_id": cell}) for cell in ("00123", "1230")]
    published_list(url, folder, ["123", "1230"], raw, "csv" if kind == "csv" else "parquet")
    sinks = open_lists(url)
    assert forget(whole, ["123"], NOON, sinks=sinks).remaining == {}
    left: set[str] = set().union(
        *(sink.among_refused(lambda lines: set(lines["raw"].to_pylist())) for sink in sinks)
    )
    assert left == {'{"erased": true}', raw[1]}


def test_files_of_a_delta_table_are_searched_and_left_whole(home, params):
    """Its log tells the size of each: a file without their rows would no longer be read."""
    both = pa.table({"customer_id": [ANN, BOB]})
    write_deltalake(home / "outputs" / "scores", both)
    before = bytes_of(home / "outputs")
    done = forget(params, [ANN], NOON)
    [file] = [name for name in before if name.endswith(".parquet")]
    assert list(done.remaining) == [
        f"outputs/{name}" for name in sorted(before)
    ]  # the log: least and greatest
    assert f"outputs/{file}" in done.remaining
    assert bytes_of(home / "outputs") == before

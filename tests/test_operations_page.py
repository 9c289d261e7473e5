"""docs/operations.md: every block of commands is run as it stands, on the small shop and PostgreSQL."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from _hook import listening

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?ms)^```bash\n(.*?)^```", PAGE)
(SQL,) = re.findall(r"(?ms)^```sql\n(.*?)^```", PAGE)
NIGHT, TARGET, RESTATED, MONTH, SEND, FORGET, ALERT, ANSWER = TESTED = (
    "churnlab audit c017 --date 2023-05-14 --sink scores\n",
    "churnlab score --params params.yaml --sink env:CHURNLAB_SINK\n",
    "--as-of 2023-05-12",
    "while",
    "churnlab send",
    "churnlab forget",
    "deploy/alert",
    "--json",
)
WRITTEN = {"benchmarks/faults.json"}  # by the benchmark
ELSEWHERE = ("systemctl", "docker")  # need what is not on a developer's machine


@pytest.fixture(scope="module")
def place(small_log: Any, small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as operators have it: params.yaml, the model, deploy/, and the list the page asks for."""
    folder = tmp_path_factory.mktemp("place")
    settings = {**small_log.settings, "workspace": "."}
    (folder / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    (folder / "models").mkdir()
    (folder / "models" / "packaged").symlink_to(small_model)
    (folder / "deploy").symlink_to(ROOT / "deploy")
    program = folder / "bin" / "churnlab"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -W ignore -m churnlab.cli "$@"\n')
    program.chmod(0o755)
    (folder / "bin" / "python").symlink_to(sys.executable)
    done = run("churnlab score --as-of 2023-05-14 --sink scores", folder)
    assert done.returncode == 0, done.stderr
    return folder


def run(script: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    environment |= {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "src"), **more}
    command = ["bash", "-e", "-o", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def block(word: str) -> str:
    """The one block that has the words in it."""
    (found,) = [text for text in BLOCKS if word in text and not text.startswith(ELSEWHERE)]
    return found


def test_every_block_is_run_here():
    """TESTED names them; what needs systemd or Docker is left out."""
    here = [text for text in BLOCKS if not text.startswith(ELSEWHERE)]
    assert sorted(here) == sorted(map(block, TESTED))


def test_last_night_is_published_and_told_of(place):
    done = run(block(NIGHT), place)
    assert done.returncode == 0, done.stderr
    assert "model_version: " in done.stdout and "churn_probability: " in done.stdout


def test_the_target_may_be_in_a_variable(place):
    done = run(block(TARGET), place, CHURNLAB_SINK="elsewhere")
    assert done.returncode == 0, done.stderr
    assert len(list((place / "elsewhere" / "scores").iterdir())) == 1


def test_days_are_told_anew_and_filled_back(place):
    month = block(MONTH).replace("2023-05-01", "2023-04-03")
    done = run(block(RESTATED) + month, place)
    assert done.returncode == 0, done.stderr
    days = {path.name.removeprefix("as_of=") for path in (place / "scores" / "scores").iterdir()}
    assert {"2023-05-12", "2023-04-01", "2023-04-02"} <= days
    assert "2023-04-03" not in days


def test_messages_are_handed_over(place):
    """To one customer of the list and one who has not bought yet, of today."""
    outputs, words = place / "outputs", {"channel": "email", "text": "سلام"}
    outputs.mkdir(exist_ok=True)
    scored = {"customer_id": ["a"], "as_of": [datetime.now(UTC).date()], "churn_probability": [0.5]}
    pq.write_table(pa.table(scored), outputs / "scores.parquet")
    listed = {"customer_id": ["a"], "churn_probability": [0.5], "action": ["note"], "group": ["treated"]}
    pq.write_table(pa.table(listed), outputs / "priority_list.parquet")
    newcomers = {"customer_id": ["b"], "action": ["gift"], "decision": ["treated"]}
    pq.write_table(pa.table(newcomers), outputs / "potential.parquet")
    sent = [{"customer_id": who, "action": what} | words for who, what in (("a", "note"), ("b", "gift"))]
    (outputs / "messages.jsonl").write_text("\n".join(map(json.dumps, sent)), encoding="utf-8")
    with listening() as hook:
        done = run(block(SEND), place, CHURNLAB_WEBHOOK_URL=hook.url)
    assert done.returncode == 0, done.stderr
    assert [row["customer_id"] for row in hook.rows] == ["a", "b"]
    assert done.stdout.splitlines()[-1] == "Accepted: 2"


def test_the_answer_is_one_object_for_each_revision(place):
    done = run(block(ANSWER), place)
    (line,) = done.stdout.splitlines()
    told = json.loads(line)
    assert told["row"]["customer_id"] == "c017"
    assert told["publication"]["as_of"] == "2023-05-14"


def test_the_alert_reads_what_the_job_wrote(place):
    """The list is of yesterday and adds up; the model of the small shop knows nothing of the years since."""
    done = run("churnlab score --sink scores", place)
    assert done.returncode == 0, done.stderr
    done = run(block(ALERT), place)
    assert done.returncode == 1, done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["model_cutoff"]


def test_the_rights_that_the_page_grants_are_enough_and_no_more(place, postgres_url):
    with closing(psycopg.connect(postgres_url, autocommit=True)) as connection:
        connection.execute("CREATE DATABASE operations")
    url = postgres_url.replace("/postgres?", "/operations?")
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute(SQL)
        connection.execute("CREATE ROLE analyst LOGIN IN ROLE retention_readers")
    writer = url.replace("postgres:@", "churnlab:@") + "&schema=retention"
    done = run("churnlab score --as-of 2023-05-14 --sink env:SINK", place, SINK=writer)
    assert done.returncode == 0, done.stderr
    with closing(psycopg.connect(url.replace("postgres:@", "analyst:@"), autocommit=True)) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM retention.scores").fetchone() or (0,)
        assert rows > 0
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM retention.scores")


def test_units_and_image_that_the_page_names_are_here():
    named = re.findall(r"[\w@-]+\.(?:service|timer)", PAGE)
    assert named
    for name in named:
        assert (ROOT / "deploy" / "systemd" / name).is_file(), name
    for path in set(re.findall(r"`((?:deploy|benchmarks|tests)/[\w/.-]+)`", PAGE)) - WRITTEN:
        assert (ROOT / path).exists(), path


def test_a_customer_leaves_the_lists_of_all_dates(place):
    """The last test here, for the others ask for this customer."""
    folder = place / "scores"
    files = [path for room in ("scores", "superseded") for path in (folder / room).rglob("scores.parquet")]
    before = {path: pq.ParquetFile(path).read(["customer_id"])["customer_id"].to_pylist() for path in files}
    assert any("c017" in names for names in before.values())
    done = run(block(FORGET), place)
    assert done.returncode == 0, done.stderr
    for path, names in before.items():
        after = pq.ParquetFile(path).read(["customer_id"])["customer_id"].to_pylist()
        assert after == [name for name in names if name != "c017"]

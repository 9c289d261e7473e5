"""Disks, folders and memory that fail: one line, exit code 2, and what was there before stays. Real faults.

Each runs in a process of its own: a limit on the size of files stands for the full disk, capabilities given
up make rights bind for root as well, and a killed process is one that was killed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

ROOT = Path(__file__).parents[1]
ROWS = 3_000
LIMITED = """\
import resource, sys
limit = int(sys.argv[1])
from churnlab.cli import main
import churnlab.data.ingestion, churnlab.operations.nightly, churnlab.pipelines.ingest
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.argv = ["churnlab", *sys.argv[2:]]
main()
"""
WITHOUT_RIGHTS = """\
import ctypes, sys
from churnlab.cli import main
words = ctypes.c_uint32 * 2
header, nothing = words(0x20080522, 0), (ctypes.c_uint32 * 6)()
assert ctypes.CDLL(None, use_errno=True).capset(header, nothing) == 0
sys.argv = ["churnlab", *sys.argv[1:]]
main()
"""
KILLED = """\
import os, signal, sys
from pathlib import Path
from churnlab.engine import write_atomically
def half(temporary):
    temporary.write_bytes(b"half of")
    os.kill(os.getpid(), signal.SIGKILL)
write_atomically(Path(sys.argv[1]), half)
"""
MEASURED = """\
import resource, sys
import pyarrow.parquet
from churnlab.config import CsvFormat, Source
from churnlab.data.readers import delimited, raw_lines
from pathlib import Path
path = Path(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
request = raw_lines.Request(Source(path=str(path)), {"customer_id": "customer_id", "amount": "amount"})
records = delimited.rows(path, path.name, request)
raw_lines.write([(path.name, records)], request, Path(sys.argv[2]), typed=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def run(script: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    environment["PYTHONPATH"] = str(ROOT / "src")
    command = [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def is_one_line(done: subprocess.CompletedProcess[str], pattern: str) -> None:
    assert re.fullmatch(pattern, done.stderr.removesuffix("\n")), done.stderr
    assert done.returncode == 2


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, temporary ones too; locks are left lying on purpose."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


@pytest.fixture
def shop(tmp_path):
    """Writes params.yaml for a table of transactions, with its workspace in `run`."""

    def write(name: str, rows: int, **engine: object) -> Path:
        columns = {
            "customer_id": [f"customer-{n * 7919 % 100_003}" for n in range(rows)],
            "ts": [f"2024-01-{1 + n % 28:02d}" for n in range(rows)],
            "amount": [float(n % 997) + 0.01 * (n % 89) for n in range(rows)],
        }
        path = tmp_path / name
        if path.suffix == ".parquet":
            pq.write_table(pa.table(columns), path)
        else:
            lines = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
            path.write_text("\n".join(["customer_id,ts,amount", *lines]) + "\n")
        settings = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        settings |= {"workspace": str(tmp_path / "run")}
        settings["data"] |= {"dataset": None, "path": str(path)}
        settings["engine"] |= engine
        settings["decisions"]["actions"] = str(ROOT / settings["decisions"]["actions"])
        file = tmp_path / f"{name}.yaml"
        file.write_text(yaml.safe_dump(settings), encoding="utf-8")
        return file

    return write


@pytest.mark.parametrize(
    ("name", "limit", "line"),
    [
        ("more.csv", 1_000, r".*: cannot be written \(File too large\): .*TMPDIR.*"),
        ("more.parquet", 4_000, r".*orders\.parquet: cannot be written \(File too large\): .*"),
        ("more.parquet", 100, r".*quarantine\.parquet: cannot be written \(File too large\): .*"),
    ],
)
def test_a_full_disk_during_ingest(shop, tmp_path, name, limit, line):
    first = run(LIMITED, 10**9, "ingest", "--params", shop("first.csv", 20), cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    before = content(tmp_path / "run")
    assert "data/orders.parquet" in before
    is_one_line(run(LIMITED, limit, "ingest", "--params", shop(name, ROWS), cwd=tmp_path), line)
    after = content(tmp_path / "run")
    assert after.pop("data/quarantine.parquet") is not None  # of the new run or of the old, but whole
    assert after == {path: held for path, held in before.items() if path != "data/quarantine.parquet"}
    pq.read_table(tmp_path / "run" / "data" / "quarantine.parquet")


def test_a_full_disk_where_the_landed_files_are_kept(shop, tmp_path):
    file = shop("more.csv", ROWS)
    settings = yaml.safe_load(file.read_text())
    settings["data"]["incremental"] = True
    file.write_text(yaml.safe_dump(settings))
    is_one_line(
        run(LIMITED, 1_000, "ingest", "--params", file, cwd=tmp_path),
        r".*landing/transactions/[0-9a-f]{64}\.parquet: cannot be written \(File too large\): .*",
    )
    assert content(tmp_path / "run") == {}


def test_a_full_disk_during_score(small_log, small_model, tmp_path):
    score = ["score", "--params", small_log.file, "--model", small_model, "--out", tmp_path / "out"]
    assert run(LIMITED, 10**9, *score, "--as-of", "2023-01-01", cwd=tmp_path).returncode == 0
    before = content(tmp_path / "out")
    done = run(LIMITED, 30_000, *score, cwd=tmp_path)
    is_one_line(done, r".*: cannot be written \(File too large\): .*")
    assert content(tmp_path / "out") == before


def test_a_folder_that_may_not_be_written_to(shop, tmp_path):
    file = shop("lines.csv", 20)
    (tmp_path / "run").mkdir(mode=0o555)
    is_one_line(
        run(WITHOUT_RIGHTS, "ingest", "--params", file, cwd=tmp_path),
        r".*quarantine\.parquet: cannot be written \(Permission denied\): check the folder and the disk",
    )
    assert content(tmp_path / "run") == {}


def test_a_file_where_the_folder_should_be(shop, tmp_path):
    file = shop("lines.csv", 20)
    (tmp_path / "run").write_text("mine")
    is_one_line(
        run(LIMITED, 10**9, "ingest", "--params", file, cwd=tmp_path),
        r".*quarantine\.parquet: cannot be written \(Not a directory\): check the folder and the disk",
    )
    assert (tmp_path / "run").read_text() == "mine"


def test_a_source_that_may_not_be_read(shop, tmp_path):
    file = shop("lines.csv", 20)
    (tmp_path / "lines.csv").chmod(0o000)
    is_one_line(
        run(WITHOUT_RIGHTS, "ingest", "--params", file, cwd=tmp_path),
        r"lines\.csv: cannot be read \(Permission denied\): check the file and its rights",
    )


@pytest.mark.parametrize("module", ["churnlab.cli", "churnlab.pipelines.ingest"])
def test_too_little_memory(shop, tmp_path, module):
    """As the command, and as the stage that DVC runs."""
    file = shop("lines.csv", ROWS, memory_limit="1MB")
    command = "ingest" if module == "churnlab.cli" else ""
    script = f"import runpy, sys; sys.argv[0] = 'x'; runpy.run_module({module!r}, run_name='__main__')"
    done = run(script, *command.split(), "--params", file, cwd=tmp_path)
    is_one_line(done, r"engine\.memory_limit: too little for this source: raise it in the file of parameters")
    assert content(tmp_path / "run") == {}


def test_killed_in_mid_write(tmp_path):
    old = tmp_path / "orders.parquet"
    old.write_bytes(b"the old file, whole")
    assert run(KILLED, old, cwd=tmp_path).returncode == -9
    assert old.read_bytes() == b"the old file, whole"


def test_a_line_of_two_gigabytes_takes_little_memory(tmp_path):
    """All but its ends is a hole on the disk, which reads as NUL."""
    path, target = tmp_path / "lines.csv", tmp_path / "raw.parquet"
    with path.open("wb") as handle:
        handle.write(b"customer_id,ts,amount\nc1,2024-01-05,10\nc2,")
        handle.seek(2**31)
        handle.write(b"\nc3,2024-01-06,20\n")
    done = run(MEASURED, path, target, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 200_000, "kilobytes"
    rows = pq.read_table(target).to_pylist()
    assert [(row["customer_id"], row["amount"]) for row in rows] == [("c1", "10"), (None, None), ("c3", "20")]
    assert rows[1]["malformed"].startswith("c2,\0")

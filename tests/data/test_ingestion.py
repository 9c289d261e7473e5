"""Two runs on the same landed lines. Authority: real processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from churnlab.config import Columns, Data, Engine
from churnlab.data.ingestion import ingest
from churnlab.engine import connect

HOLD = """
import sys
from filelock import FileLock
with FileLock(sys.argv[1]):
    print(1, flush=True)
    sys.stdin.read()
"""
INGEST = """
import sys
from pathlib import Path
from churnlab.config import Data, Engine
from churnlab.data.ingestion import ingest
from churnlab.engine import connect
def tell(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".landing.lock"):
        print("asks for the lock", flush=True)
sys.addaudithook(tell)
found = ingest(connect(Engine()), Data.model_validate_json(sys.argv[1]), Path(sys.argv[2]))
print(found.summary["rows_accepted"])
"""


def shop(folder: Path) -> Data:
    (folder / "drops").mkdir()
    lines = "".join(f"c{k},2024-01-{k:02d},1\n" for k in range(1, 9))
    (folder / "drops" / "a.csv").write_text(f"customer_id,ts,amount\n{lines}")
    return Data(
        path=str(folder / "drops"), incremental=True, columns=Columns(amount="amount"), timezone="UTC"
    )


def test_another_run_is_waited_for_and_a_dead_one_is_not(tmp_path):
    data, landing = shop(tmp_path), tmp_path / "data" / "landing"
    landing.parent.mkdir()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(landing.with_name(".landing.lock"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None and holder.stdout.readline() == b"1\n"
    waiting = subprocess.Popen(
        [sys.executable, "-c", INGEST, data.model_dump_json(), str(landing)], stdout=subprocess.PIPE
    )
    assert waiting.stdout is not None
    for _ in range(3):  # it asks again only after it was refused
        assert waiting.stdout.readline() == b"asks for the lock\n"
    assert waiting.poll() is None and not landing.exists()
    holder.kill()
    out, _ = waiting.communicate(timeout=60)
    assert out.splitlines()[-1] == b"8" and landing.exists()
    assert ingest(connect(Engine()), data, landing).summary["rows_accepted"] == 8

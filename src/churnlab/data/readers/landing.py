"""Keeps the raw lines of every file that was read, so that the next read opens only what changed."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from churnlab.data.readers import files
from churnlab.data.readers.files import Found, shown
from churnlab.data.readers.raw_lines import Request
from churnlab.engine import write_atomically, write_text
from churnlab.errors import DataError

LEDGER = "landing.json"
FORM = 1  # of the landed files; another one has everything read again
OURS = re.compile(r"[0-9a-f]{64}\.parquet|\.([0-9a-f]{64}\.parquet|landing\.json)\.\d+\.tmp")

Convert = Callable[[Found, Path], None]
"""Writes the raw lines of a file into a Parquet file."""


@dataclass(frozen=True)
class Entry:
    """A file as it was when it was read, and where its lines are."""

    file: str
    size: int
    mtime_ns: int
    sha256: str
    landed: str
    rows: int


def land(folder: Path, request: Request, convert: Convert) -> list[Path]:
    """The landed files that together hold the lines of the source, every changed or new file read anew.

    The ledger `landing.json` is written after the files that it names; what it does not name is removed.
    So whatever stops a run, ledger and files agree.

    Raises
    ------
    DataError
        Nothing was ever at the path; a file that was read before is gone and `vanished_files` is `refuse`;
        the ledger is damaged; a file cannot be read.
    """
    fingerprint = _fingerprint(request)
    known, is_current = _known(folder, fingerprint)
    found = {file.name: file for file in files.look(request.source)}
    _check_apart(folder, found, request.section)
    kept = _vanished(folder, known, found, request, is_current=is_current)
    usable = known if is_current else {}
    entries = kept + [
        _landed(folder, file, usable.get(name), fingerprint, convert) for name, file in found.items()
    ]
    if not entries:
        files.find(request.source, request.section)  # says that nothing is there
    entries.sort(key=lambda entry: entry.file)
    _write_ledger(folder, fingerprint, entries)
    _sweep(folder, entries)
    return [folder / entry.landed for entry in entries]


def _check_apart(folder: Path, found: dict[str, Found], section: str) -> None:
    """The landed files must not be taken for drops."""
    home = folder.resolve()
    for file in found.values():
        if file.path.resolve().is_relative_to(home):
            raise DataError(
                f"{section}.path: holds the folder in which churnlab keeps what it has read: "
                "put the files into a folder of their own"
            )


def _fingerprint(request: Request) -> str:
    """Digest of all that decides what the raw lines of a file are."""
    source = request.source
    said: dict[str, Any] = {
        "form": FORM,
        "mapped": list(request.mapped.items()),
        "numbers": sorted(request.numbers),
        "moments": sorted(request.moments),
        "format": source.format,
        "delimiter": source.csv.delimiter,
        "encoding": source.csv.encoding,
        "excel_sheet": source.excel_sheet,
    }
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _known(folder: Path, fingerprint: str) -> tuple[dict[str, Entry], bool]:
    """What the ledger says, and whether it was written under the settings of today."""
    ledger = folder / LEDGER
    if not ledger.exists():
        return {}, True
    try:
        found = json.loads(ledger.read_text(encoding="utf-8"))
        entries = [Entry(**entry) for entry in found["files"]]
        return {entry.file: entry for entry in entries}, found["fingerprint"] == fingerprint
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{ledger}: is not a readable ledger: remove its folder, and every file is read again"
        ) from error


def _vanished(
    folder: Path, known: dict[str, Entry], found: dict[str, Found], request: Request, *, is_current: bool
) -> list[Entry]:
    """The entries of files that are gone and still count."""
    choice = request.source.vanished_files
    gone = [entry for name, entry in known.items() if name not in found]
    if choice == "forget":
        return []
    if choice == "refuse" and gone:
        raise _gone(gone, "was read before and is no longer there", request, "keep or forget")
    lost = [entry for entry in gone if not (is_current and _is_whole(folder, entry))]
    if lost:
        raise _gone(lost, "is no longer there to be read by changed settings or again", request, "forget")
    return gone


def _gone(gone: list[Entry], finding: str, request: Request, choices: str) -> DataError:
    name = shown(gone[0].file) + (f" and {len(gone) - 1} more" if len(gone) > 1 else "")
    return DataError(f"{name}: {finding}: put it back, or set {request.section}.vanished_files to {choices}")


def _landed(folder: Path, file: Found, before: Entry | None, fingerprint: str, convert: Convert) -> Entry:
    """The entry of a file as it is now; it is converted if its content is not landed yet."""
    stat = _stat(file)
    whole = before if before is not None and _is_whole(folder, before) else None
    if whole is not None and (whole.size, whole.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
        return whole
    content = _sha256(file)
    if whole is not None and whole.sha256 == content:
        return Entry(**asdict(whole) | {"mtime_ns": stat.st_mtime_ns})
    landed = _landed_name(file.name, content, fingerprint)
    is_spoilt = before is not None and whole is None
    if is_spoilt or _rows(folder / landed) is None:  # an interrupted run may have left it
        write_atomically(folder / landed, lambda temporary: _convert(file, temporary, stat, convert))
    rows = _rows(folder / landed)
    assert rows is not None  # it was written just now, or read
    return Entry(file.name, stat.st_size, stat.st_mtime_ns, content, landed, rows)


def _convert(file: Found, target: Path, stat: os.stat_result, convert: Convert) -> None:
    """Convert a file that stays as it is meanwhile."""
    convert(file, target)
    after = _stat(file)
    if (after.st_size, after.st_mtime_ns) != (stat.st_size, stat.st_mtime_ns):
        raise DataError(f"{shown(file.name)}: changed while it was read: run again once it is complete")


def _is_whole(folder: Path, entry: Entry) -> bool:
    """The landed file is there, with all its rows."""
    return bool(OURS.fullmatch(entry.landed)) and _rows(folder / entry.landed) == entry.rows


def _rows(landed: Path) -> int | None:
    """How many rows a landed file has; null if it is not there or cannot be read."""
    try:
        return int(pq.read_metadata(landed).num_rows)
    except (OSError, pa.ArrowException):
        return None


def _landed_name(name: str, content: str, fingerprint: str) -> str:
    said = json.dumps([name, content, fingerprint])
    return f"{hashlib.sha256(said.encode('utf-8', 'surrogatepass')).hexdigest()}.parquet"


def _stat(file: Found) -> os.stat_result:
    try:
        return file.path.stat()
    except OSError as error:
        raise _unreadable(file, error) from error


def _sha256(file: Found) -> str:
    try:
        with file.path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Found, error: OSError) -> DataError:
    return DataError(f"{shown(file.name)}: cannot be read ({error.strerror}): check the file and its rights")


def _write_ledger(folder: Path, fingerprint: str, entries: list[Entry]) -> None:
    ledger = {"fingerprint": fingerprint, "files": [asdict(entry) for entry in entries]}
    write_text(json.dumps(ledger, indent=1) + "\n", folder / LEDGER)


def _sweep(folder: Path, entries: list[Entry]) -> None:
    """Remove what the ledger does not name, as restated files and interrupted runs leave it."""
    named = {entry.landed for entry in entries}
    for path in folder.iterdir():
        if path.name not in named and OURS.fullmatch(path.name):
            path.unlink(missing_ok=True)

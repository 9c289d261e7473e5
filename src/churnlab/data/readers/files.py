"""Finds the files that a path, a folder or a glob means."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from churnlab.config import Source
from churnlab.data.readers import delta
from churnlab.errors import DataError

ENDINGS: dict[str, tuple[str, ...]] = {
    "csv": (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz"),
    "jsonl": (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz"),
    "excel": (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"),
    "parquet": (".parquet", ".pq"),
}
JSON_ENDINGS = (".json", ".json.gz")  # in a folder of other files .json is as a rule no data
WILDCARDS = frozenset("*?[")


@dataclass(frozen=True)
class Found:
    """A file: where it is, its path from the folder on (`source_file`), and how it is to be read."""

    path: Path
    name: str
    kind: str


def find(source: Source, section: str) -> list[Found]:
    """The files of a source in the order of their names.

    A single file is called by its base name, all others by their path below the folder, or below the part
    of a glob that has no wildcards. Hidden files, and in a folder those that begin with an underscore, are
    passed over. A file reached by a link as well is there once. Of a Delta table it is the files that hold
    its rows now.

    Raises
    ------
    DataError
        Nothing is found, a folder cannot be listed, or what is found is no regular file.
    """
    found = list(look(source))
    if not found:
        raise DataError(
            f"{section}.path: nothing to read at {source.path!r}: "
            "name a CSV, JSON lines, Excel or Parquet file, a folder or a glob"
        )
    return found


def look(source: Source) -> Iterator[Found]:
    """As :func:`find`, but a folder may be empty."""
    root, paths = _paths(Path(source.path or "").expanduser(), source.format)
    for path in _once(paths):
        name = path.relative_to(root).as_posix()
        if not name.isascii() and name.encode("utf-8", "replace").decode() != name:
            raise DataError(f"{shown(name)}: its name is no valid UTF-8: rename the file")
        if not path.is_file():
            raise DataError(f"{shown(name)}: is no regular file: take it out of the path, or mend the link")
        yield Found(path, name, kind_of(name) if source.format in ("auto", "delta") else source.format)


def kind_of(name: str) -> str:
    """How a file of this name is read; text where nothing else is known."""
    lower = name.lower()
    if lower.endswith(JSON_ENDINGS):
        return "jsonl"
    return next((kind for kind, endings in ENDINGS.items() if lower.endswith(endings)), "csv")


def shown(name: str, most: int = 100) -> str:
    """A name from a source as part of a message of one line."""
    text = "".join(mark if mark.isprintable() else " " for mark in name)
    return text if len(text) <= most else f"{text[:most]}…"


def _paths(path: Path, kind: str) -> tuple[Path, list[Path]]:
    """The folder that names count from, and what is there."""
    path = Path(os.path.abspath(path))  # noqa: PTH100 - Path.resolve would follow links
    if kind == "delta" or (kind == "auto" and delta.is_table(path)):
        return path, delta.live_files(path)
    if path.is_dir():
        return path, list(_walk(path, kind))
    if path.exists():
        return path.parent, [path]
    parts = path.parts
    fixed = next((place for place, part in enumerate(parts) if WILDCARDS & set(part)), None)
    if fixed is None:
        return path.parent, []
    return Path(*parts[:fixed]), list(_matches(Path(*parts[:fixed]), parts[fixed:]))


def _walk(root: Path, kind: str) -> Iterator[Path]:
    """The files of a folder whose ending is of the kind; links to folders are not followed."""
    endings = ENDINGS.get(kind, tuple(ending for group in ENDINGS.values() for ending in group))
    if kind == "jsonl":
        endings += JSON_ENDINGS
    for folder, folders, names in os.walk(root, onerror=_cannot_list):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        for name in names:
            if not name.startswith((".", "_")) and name.lower().endswith(endings):
                yield Path(folder, name)


def _cannot_list(error: OSError) -> None:
    raise DataError(
        f"{shown(Path(error.filename).name)}: the folder cannot be listed ({error.strerror}): "
        "check its rights"
    ) from error


def _matches(root: Path, pattern: tuple[str, ...]) -> Iterator[Path]:
    """What a glob matches, folders left out. pathlib's `**` follows no links, so it always ends."""
    if pattern[-1] == "**":
        pattern = (*pattern, "*")
    try:
        matches = list(root.glob("/".join(pattern)))
    except ValueError:  # such as `a**`, which matches nothing
        return
    for path in matches:
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if not hidden and not path.is_dir():
            yield path


def _once(paths: Iterable[Path]) -> list[Path]:
    """Every file under one name, its own before that of a link to it, sorted by name."""
    kept: dict[str, Path] = {}
    for path in sorted(paths, key=lambda path: (path.is_symlink(), len(path.parts), path)):
        kept.setdefault(os.path.realpath(path), path)
    return sorted(kept.values())

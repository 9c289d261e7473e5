"""Puts files in their place so that they survive a power cut."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def hidden(target: Path) -> Path:
    """Where a file is written before it is moved into its place. The name is fixed: callers hold a lock."""
    return target.with_name(f".{target.name}.tmp")


def synced(path: Path) -> None:
    """Have the disk hold what was written to a file, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, so that their names survive, too."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        synced(path.parent)


def place(temporary: Path, target: Path) -> None:
    """Move a synced file into its place; readers see the old file or the new one."""
    make_folder(target.parent)
    temporary.replace(target)
    synced(target.parent)


def place_text(text: str, target: Path) -> None:
    """Write a small file into its place."""
    make_folder(target.parent)
    temporary = hidden(target)
    temporary.write_text(text, encoding="utf-8")
    synced(temporary)
    place(temporary, target)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()
    else:
        return
    synced(path.parent)


def duplicate(source: Path, target: Path) -> None:
    """A second name for a file that is never changed in place; a copy where the disk knows no such names."""
    make_folder(target.parent)
    temporary = hidden(target)
    temporary.unlink(missing_ok=True)
    try:
        temporary.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, temporary)
    synced(temporary)
    place(temporary, target)

"""What `churnlab forget` says: a table of files, never an id."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from churnlab.operations.erasure.forgetting import Erasure, FileRecord


def show(done: Erasure, is_dry_run: bool) -> None:
    """The files that named the customers, what was done to each, and what is left, on standard output.

    A table on a terminal; elsewhere one line per file, its columns apart by tabs.
    """
    rows = [(r.file, str(r.rows), str(r.cells), _after(r, done, is_dry_run)) for r in done.files]
    left = {record.file for record in done.files}
    rows += [(file, "0", "0", found) for file, found in done.remaining.items() if file not in left]
    if rows:
        _print(("file", "rows erased", "cells emptied", "then"), rows)
    else:
        print_line("Nothing was found.")
    outcome = "nothing was changed" if is_dry_run else f"files that still name them: {len(done.remaining)}"
    print_line(f"Files searched: {done.searched:,}; {outcome}.")
    for sink in done.sinks:
        print_line(f"Lists searched: {sink}.")
    for sentence in done.beyond:
        print_line(sentence)


def _after(record: FileRecord, done: Erasure, is_dry_run: bool) -> str:
    if is_dry_run:
        return "found"
    found = done.remaining.get(record.file, "remaining 0")
    return f"deleted, {found}" if record.deleted else found


def _print(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    if not sys.stdout.isatty():
        for row in (header, *rows):
            print_line("\t".join(row))
        return
    table = Table(box=SIMPLE_HEAD)
    for title in header:
        table.add_column(title, justify="right" if title in header[1:3] else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False).print(table)


def print_line(text: str) -> None:
    """One line on standard output."""
    sys.stdout.write(f"{text}\n")

"""Reads delimited text record by record and loses none, however broken."""

from __future__ import annotations

import codecs
import csv
import gzip
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from churnlab.config import CsvFormat
from churnlab.errors import ConfigError, DataError

GZIP_MAGIC = b"\x1f\x8b"
STAND_IN = (
    "\x1f"  # the unit separator takes the place of a delimiter that csv cannot use, being longer than one
)


class _Lines:
    """Physical lines, and which of them the current record has taken."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._again: deque[str] = deque()
        self.taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.taken.append(line)
        return line

    def keep_first(self) -> str:
        """The first line taken; the others will be read again, as records of their own."""
        first, *others = self.taken
        self._again.extendleft(reversed(others))
        return first.rstrip("\r\n")


class Records:
    """The header of a delimited text and, iterating, its records.

    A record is a list with as many cells as the header, or its text where it is malformed: more or fewer
    cells, or a quote that is not closed or not doubled. A broken quote costs the physical line it stands on
    and no other. Blank lines are no records.
    """

    def __init__(self, lines: Iterable[str], delimiter: str) -> None:
        self._delimiter = delimiter.replace("\\t", "\t")
        self._long = len(self._delimiter) > 1
        if self._long:
            lines = (line.replace(self._delimiter, STAND_IN) for line in lines)
        self._lines = _Lines(lines)
        mark = STAND_IN if self._long else self._delimiter
        self._cells = csv.reader(self._lines, delimiter=mark, strict=True)
        self.header: list[str] = []
        for cells in self._cells:
            if cells:
                self.header = [self._restored(cell).strip().removeprefix("\ufeff") for cell in cells]
                break

    def __iter__(self) -> Iterator[list[str] | str]:
        width = len(self.header)
        while True:
            self._lines.taken.clear()
            try:
                cells = next(self._cells)
            except StopIteration:
                return
            except csv.Error:
                cells = None
            if cells is None or (cells and len(cells) != width):
                yield self._restored(self._lines.keep_first())
            elif cells:
                yield [self._restored(cell) for cell in cells] if self._long else cells

    def _restored(self, text: str) -> str:
        return text.replace(STAND_IN, self._delimiter) if self._long else text


@contextmanager
def opened(path: Path, settings: CsvFormat) -> Iterator[Records]:
    """The records of a text file, plain or gzipped.

    Raises
    ------
    ConfigError
        `data.csv.encoding` or `data.csv.delimiter` is not usable.
    DataError
        The file cannot be read, is empty, or holds bytes that are not in the encoding.
    """
    encoding = _encoding(settings.encoding)
    if set(settings.delimiter) & set('"\r\n'):
        raise ConfigError(
            "data.csv.delimiter: holds a quote or a line end: name what stands between the cells"
        )
    try:
        with _text(path, encoding) as text:
            records = Records(text, settings.delimiter)
            if not records.header:
                raise DataError(f"{path.name}: is empty: export it again, with a header row")
            yield records
    except UnicodeError as error:
        raise DataError(
            f"{path.name}: holds bytes that are not {settings.encoding}: set data.csv.encoding to its own"
        ) from error
    except csv.Error as error:
        raise DataError(f"{path.name}: its header row has a stray quote: mend the header") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path.name}: its compression is cut or damaged: copy the file again") from error
    except OSError as error:
        raise DataError(
            f"{path.name}: cannot be read ({error.strerror}): check the file and its rights"
        ) from error


def _encoding(name: str) -> str:
    """Python's name of the encoding, with the byte-order mark of UTF-8 taken off if there is one."""
    try:
        known = codecs.lookup(name).name
        "".encode(known)
    except LookupError as error:
        raise ConfigError(
            f"data.csv.encoding: Python knows no text encoding {name!r}: try utf-8 or cp1252"
        ) from error
    return "utf-8-sig" if known == "utf-8" else known


def _text(path: Path, encoding: str) -> TextIO:
    with path.open("rb") as handle:
        zipped = handle.read(2) == GZIP_MAGIC
    if zipped:
        return gzip.open(path, "rt", encoding=encoding, newline="")
    return path.open(encoding=encoding, newline="")

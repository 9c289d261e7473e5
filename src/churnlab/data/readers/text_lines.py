"""Physical lines of a text file, plain or gzipped, in bounded memory."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from churnlab.data.readers.files import shown
from churnlab.errors import ConfigError, DataError

LONGEST_LINE = 2**20  # characters; what is longer is no record of any table
KEPT_CHARACTERS = 1_000  # of a malformed row
GZIP_MAGIC = b"\x1f\x8b"


class OverlongLine(str):
    """The beginning of a line that is longer than LONGEST_LINE; the rest was passed over."""

    __slots__ = ()


@contextmanager
def opened(path: Path, name: str, encoding: str, newline: str, section: str) -> Iterator[Iterator[str]]:
    """The physical lines of a file with their ends.

    Parameters
    ----------
    name
        What messages call the file.
    newline
        ``""``: lines end as on any system; ``"\\n"``: only so.

    Raises
    ------
    ConfigError
        `encoding` is none of Python's text encodings.
    DataError
        The file cannot be read, its compression is damaged, or it holds bytes that are not in the encoding.
    """
    codec = _codec(encoding, section)
    try:
        with _text(path, codec, newline) as text:
            yield _lines(text, ("\n",) if newline else ("\r", "\n"))
    except UnicodeError as error:
        raise DataError(
            f"{shown(name)}: holds bytes that are not {encoding}: set {section}.csv.encoding to its own "
            "(JSON lines are always UTF-8)"
        ) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{shown(name)}: its compression is cut or damaged: copy the file again") from error
    except OSError as error:
        raise DataError(
            f"{shown(name)}: cannot be read ({error.strerror}): check the file and its rights"
        ) from error


def malformed(line: str) -> str:
    """What is kept of a line that is no record."""
    text = line.rstrip("\r\n")
    if isinstance(line, OverlongLine) or len(text) > KEPT_CHARACTERS:
        return f"{text[:KEPT_CHARACTERS]}…"
    return text


def _lines(text: TextIO, ends: tuple[str, ...]) -> Iterator[str]:
    while line := text.readline(LONGEST_LINE + 2):  # two for the line's end
        if len(line.rstrip("\r\n")) > LONGEST_LINE:
            head = OverlongLine(line[:KEPT_CHARACTERS])
            while line and not line.endswith(ends):
                line = text.readline(LONGEST_LINE)
            yield head
        else:
            yield line


def _codec(name: str, section: str) -> str:
    """Python's name of the encoding, with the byte-order mark of UTF-8 taken off if there is one."""
    try:
        known = codecs.lookup(name).name
        "".encode(known)
    except LookupError as error:
        raise ConfigError(
            f"{section}.csv.encoding: Python knows no text encoding {name!r}: try utf-8 or cp1252"
        ) from error
    return "utf-8-sig" if known == "utf-8" else known


def _text(path: Path, codec: str, newline: str) -> TextIO:
    with path.open("rb") as handle:
        zipped = handle.read(2) == GZIP_MAGIC
    if zipped:
        return gzip.open(path, "rt", encoding=codec, newline=newline)
    return path.open(encoding=codec, newline=newline)

"""Reads delimited text record by record and loses none, however broken."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from churnlab.config import CsvFormat
from churnlab.data.readers import text_lines
from churnlab.data.readers.files import shown
from churnlab.data.readers.raw_lines import Request, Row
from churnlab.data.readers.text_lines import LONGEST_LINE, OverlongLine
from churnlab.errors import ConfigError, DataError

STAND_IN = (
    "\x1f"  # the unit separator takes the place of a delimiter that csv cannot use, being longer than one
)


class _Lines:
    """Physical lines, and which of them the current record has taken."""

    def __init__(self, lines: Iterable[str], delimiter: str) -> None:
        self._lines = iter(lines)
        self._delimiter = delimiter
        self._again: deque[str] = deque()
        self.taken: list[str] = []
        self._size = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.taken.append(line)
        self._size += len(line)
        if isinstance(line, OverlongLine) or self._size > LONGEST_LINE + 2:
            raise csv.Error("a record longer than any line may be")
        return line.replace(self._delimiter, STAND_IN) if len(self._delimiter) > 1 else line

    def start(self) -> None:
        """A new record begins."""
        self.taken.clear()
        self._size = 0

    def keep_first(self) -> str:
        """The first line taken; the others will be read again, as records of their own."""
        first, *others = self.taken
        self._again.extendleft(reversed(others))
        return text_lines.malformed(first)


class Records:
    """The header of a delimited text and, iterating, its records.

    A record is a list with as many cells as the header, or its text where it is malformed: more or fewer
    cells, a quote that is not closed or not doubled, or a line that is too long. A broken quote costs the
    physical line it stands on and no other. Blank lines are no records.
    """

    def __init__(self, lines: Iterable[str], delimiter: str) -> None:
        csv.field_size_limit(LONGEST_LINE + 2)  # lines are bounded here, with their quotes
        self._delimiter = delimiter.replace("\\t", "\t")
        self._long = len(self._delimiter) > 1
        self._lines = _Lines(lines, self._delimiter)
        mark = STAND_IN if self._long else self._delimiter
        self._cells = csv.reader(self._lines, delimiter=mark, strict=True)
        self.header: list[str] = []
        for cells in self._cells:
            self._lines.start()
            if cells:
                self.header = [self._restored(cell).strip().removeprefix("\ufeff") for cell in cells]
                break

    def __iter__(self) -> Iterator[list[str] | str]:
        width = len(self.header)
        while True:
            self._lines.start()
            try:
                cells = next(self._cells)
            except StopIteration:
                return
            except csv.Error:
                cells = None
            if cells is None or (cells and len(cells) != width):
                yield self._lines.keep_first()
            elif cells:
                yield [self._restored(cell) for cell in cells] if self._long else cells

    def _restored(self, text: str) -> str:
        return text.replace(STAND_IN, self._delimiter)


@contextmanager
def opened(path: Path, settings: CsvFormat, name: str = "", section: str = "data") -> Iterator[Records]:
    """The records of a text file, plain or gzipped; messages call it by `name`, or else its base name.

    Raises
    ------
    ConfigError
        The encoding or the delimiter is not usable.
    DataError
        The file cannot be read, is empty, or holds bytes that are not in the encoding.
    """
    name = name or path.name
    if set(settings.delimiter) & set('"\r\n'):
        raise ConfigError(
            f"{section}.csv.delimiter: holds a quote or a line end: name what stands between the cells"
        )
    with text_lines.opened(path, name, settings.encoding, "", section) as lines:
        try:
            records = Records(lines, settings.delimiter)
        except csv.Error as error:
            raise DataError(
                f"{shown(name)}: its header row has a stray quote, or no end: mend the header"
            ) from error
        if not records.header:
            raise DataError(f"{shown(name)}: is empty: export it again, with a header row")
        yield records


def rows(path: Path, name: str, request: Request) -> Iterator[Row]:
    """The mapped cells of every record of a file, or the text of what is none."""
    with opened(path, request.source.csv, name, request.section) as records:
        positions = request.positions(records.header, name, "csv.delimiter")
        for record in records:
            yield record if isinstance(record, str) else [record[place] for place in positions]

"""What calamine does not tell of a sheet in an .xlsx file: its extent and its error cells."""

from __future__ import annotations

import posixpath
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from xml.etree import ElementTree
from xml.parsers import expat

PLACE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
CHUNK = 2**20
WORKBOOK, LINKS = "xl/workbook.xml", "xl/_rels/workbook.xml.rels"


@dataclass
class Sheet:
    """`rows` and `columns` up to the last cell; `errors`: (row, column), from 0 -> `#N/A` and the like."""

    rows: int = 0
    columns: int = 0
    errors: dict[tuple[int, int], str] = field(default_factory=dict)


def unpacked_bytes(path: Path) -> int:
    """How large the parts of a zipped workbook say they are."""
    with zipfile.ZipFile(path) as archive:
        return sum(part.file_size for part in archive.infolist())


def scan(path: Path, name: str) -> Sheet:
    """Read through the cells of a sheet, given its name, without keeping them.

    Raises
    ------
    zipfile.BadZipFile, KeyError, ElementTree.ParseError, expat.ExpatError
        The file is no .xlsx, or a damaged one.
    """
    with zipfile.ZipFile(path) as archive, archive.open(_part(archive, name)) as handle:
        return _Scan().over(handle)


def _part(archive: zipfile.ZipFile, name: str) -> str:
    """Where in the archive the sheet is."""
    sheets = {
        element.get("name"): value
        for element in ElementTree.fromstring(archive.read(WORKBOOK)).iter()
        for key, value in element.items()
        if key.endswith("}id")
    }
    links = {link.get("Id"): link.get("Target", "") for link in ElementTree.fromstring(archive.read(LINKS))}
    return posixpath.normpath(posixpath.join("/xl", links[sheets[name]])).lstrip("/")


class _Scan:
    """One pass of expat over a sheet."""

    def __init__(self) -> None:
        self._sheet = Sheet()
        self._row = self._column = -1
        self._is_error = False
        self._text: list[str] | None = None

    def over(self, handle: IO[bytes]) -> Sheet:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        while piece := handle.read(CHUNK):
            parser.Parse(piece, False)
        parser.Parse(b"", True)
        return self._sheet

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        match name.rpartition(" ")[2]:
            case "row":
                self._row = int(attributes["r"]) - 1 if "r" in attributes else self._row + 1
                self._column = -1
            case "c":
                self._cell(attributes)
            case "v" if self._is_error:
                self._text = []

    def _cell(self, attributes: dict[str, str]) -> None:
        place = PLACE.fullmatch(attributes.get("r", ""))
        self._column = _number(place[1]) if place else self._column + 1
        if place:
            self._row = int(place[2]) - 1
        self._sheet.rows = max(self._sheet.rows, self._row + 1)
        self._sheet.columns = max(self._sheet.columns, self._column + 1)
        self._is_error = attributes.get("t") == "e"

    def _data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def _end(self, name: str) -> None:
        if self._text is not None and name.rpartition(" ")[2] == "v":
            self._sheet.errors[self._row, self._column] = "".join(self._text)
            self._text = None


def _number(letters: str) -> int:
    """A -> 0, Z -> 25, AA -> 26."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1

"""Reads one sheet of a workbook row by row."""

from __future__ import annotations

import datetime
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree
from xml.parsers import expat

from churnlab.data.readers import workbook_xml
from churnlab.data.readers.files import shown
from churnlab.data.readers.raw_lines import NAMES_SHOWN, Request, Row
from churnlab.errors import DataError

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

MOST_CELLS = 100_000_000  # within the bounds of a sheet, empty ones included: all are held in memory
MOST_BYTES = 2**31  # of a workbook, unpacked
WHOLE_LIMIT = 1e16  # Excel keeps 15 digits and has no integers
XML_ENDINGS = (".xlsx", ".xlsm")
ZIP_MAGIC = b"PK"
PANIC = (
    "PanicException"  # what Rust raises where calamine is not prepared for the damage; no module exports it
)

Errors = dict[tuple[int, int], str]
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    ElementTree.ParseError,
    expat.ExpatError,
    NotImplementedError,  # a form of zip that Python does not know
    RuntimeError,  # a part is encrypted
    KeyError,
    ValueError,
    EOFError,
)


def rows(path: Path, name: str, request: Request) -> Iterator[Row]:
    """The mapped cells of every row below the header, which is the first row that is not empty.

    Dates and moments have Python's types, whole numbers are int, empty cells None, blank rows no records.

    Raises
    ------
    DataError
        The package for it is not installed, the workbook is damaged or locked, or it has no such sheet.
    """
    sheet, errors = _opened(path, name, request)
    positions: list[int] | None = None
    for cells in _filled_rows(sheet, errors):
        if positions is None:
            header = ["" if cell is None else str(cell).strip() for cell in cells]
            positions = request.positions(header, name, "excel_sheet")
        else:
            yield [cells[place] for place in positions]
    if positions is None:
        raise DataError(
            f"{shown(name)}: its sheet {sheet.name!r} is empty: "
            f"name another with {request.section}.excel_sheet"
        )


def _opened(path: Path, name: str, request: Request) -> tuple[CalamineSheet, Errors]:
    """The sheet, and which of its cells hold an error."""
    try:
        import python_calamine as calamine  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise DataError(
            f'{shown(name)}: reading a workbook needs python-calamine: pip install "churnlab[excel]"'
        ) from error
    with _told(name, calamine.PasswordError, calamine.CalamineError):
        _check_size(path, name)
        workbook = calamine.CalamineWorkbook.from_path(path)
        sheet = _sheet_name(workbook, name, request)
        errors = _errors(path, name, sheet) if path.name.lower().endswith(XML_ENDINGS) else {}
        return workbook.get_sheet_by_name(sheet), errors


@contextmanager
def _told(name: str, locked: type[Exception], broken: type[Exception]) -> Iterator[None]:
    """Whatever a workbook makes calamine raise becomes one line."""
    try:
        yield
    except locked as error:
        raise DataError(f"{shown(name)}: is locked by a password: save it without one") from error
    except BaseException as error:
        if isinstance(error, OSError) and error.strerror:
            raise DataError(f"{shown(name)}: cannot be read ({error.strerror}): check its rights") from error
        if isinstance(error, (broken, OSError, *DAMAGE)) or type(error).__name__ == PANIC:
            raise DataError(
                f"{shown(name)}: is not a readable workbook: save it again as .xlsx, or export CSV"
            ) from error
        raise


def _check_size(path: Path, name: str) -> None:
    with path.open("rb") as handle:
        zipped = handle.read(2) == ZIP_MAGIC
    if zipped and workbook_xml.unpacked_bytes(path) > MOST_BYTES:
        raise DataError(f"{shown(name)}: is too large for a workbook: export CSV")


def _errors(path: Path, name: str, sheet: str) -> Errors:
    """The error cells of a sheet, which calamine gives as empty."""
    found = workbook_xml.scan(path, sheet)
    if found.rows * found.columns > MOST_CELLS:
        raise DataError(
            f"{shown(name)}: its sheet spans {found.rows} rows and {found.columns} columns: "
            "delete what stands far from the table"
        )
    return found.errors


def _sheet_name(workbook: CalamineWorkbook, name: str, request: Request) -> str:
    names = workbook.sheet_names
    wanted = request.source.excel_sheet or next(iter(names), "")
    if wanted not in names:
        listed = ", ".join(shown(sheet) for sheet in names[:NAMES_SHOWN])
        raise DataError(
            f"{shown(name)}: has no sheet {wanted!r}: correct {request.section}.excel_sheet; it has: {listed}"
        )
    return wanted


def _filled_rows(sheet: CalamineSheet, errors: Errors) -> Iterator[list[Any]]:
    """The rows with anything in them; all are of one width, which begins at the sheet's first column."""
    if sheet.start is None:
        return
    first = sheet.start[1]
    for number, values in enumerate(sheet.iter_rows()):
        cells = [_cell(value) for value in values]
        if errors:
            cells = [errors.get((number, first + place), cell) for place, cell in enumerate(cells)]
        if any(cell is not None for cell in cells):
            yield cells


def _cell(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < WHOLE_LIMIT:
        return int(value)
    if isinstance(value, datetime.timedelta):
        return str(value)
    return None if value == "" else value

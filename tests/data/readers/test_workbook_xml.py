"""Authority: sheets written by openpyxl, and cells placed by hand."""

import openpyxl
import pytest

from churnlab.data.readers.workbook_xml import Sheet, _number, scan, unpacked_bytes


@pytest.mark.parametrize(("letters", "number"), [("A", 0), ("Z", 25), ("AA", 26), ("XFD", 16_383)])
def test_letters_of_columns(letters, number):
    assert _number(letters) == number
    assert openpyxl.utils.column_index_from_string(letters) - 1 == number


def test_extent_and_errors_of_the_sheet_asked_for(tmp_path):
    path = tmp_path / "a.xlsx"
    book = openpyxl.Workbook()
    book.active["B2"] = "#N/A"
    other = book.create_sheet("Φύλλο & 2")
    other["C4"], other["AA1"], other["A3"] = "#REF!", "text #N/A", 1
    book.save(path)
    assert scan(path, "Sheet") == Sheet(2, 2, {(1, 1): "#N/A"})
    assert scan(path, "Φύλλο & 2") == Sheet(4, 27, {(3, 2): "#REF!"})
    assert unpacked_bytes(path) > path.stat().st_size

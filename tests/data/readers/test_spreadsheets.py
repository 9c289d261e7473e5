"""Authority: workbooks written by openpyxl (xlsx), xlwt (xls) and odfpy (ods) from rows given by hand."""

import zipfile
from datetime import date, datetime, timedelta

import openpyxl
import pytest
import xlwt
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P

from churnlab.config import Source
from churnlab.data.readers import spreadsheets
from churnlab.data.readers.raw_lines import Request
from churnlab.errors import DataError

HEADER = ["id", "when", "v"]
ROWS = [
    ["001", datetime(2024, 3, 1, 10, 30), 12.5],
    [123, date(2024, 3, 2), 7],
    ["Ελένη", "1402/12/11", "٧"],
    [2**53 - 1, None, True],
]
# Excel itself has no integers beyond 15 digits, no dates without a time of 0, no type but number and text
READ = [
    ["001", datetime(2024, 3, 1, 10, 30), 12.5],
    [123, date(2024, 3, 2), 7],
    ["Ελένη", "1402/12/11", "٧"],
    [2**53 - 1, None, True],
]


def write_xlsx(path, rows, title="Sheet"):
    book = openpyxl.Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(row)
    book.create_sheet("other").append(["nothing"])
    book.save(path)


def write_xls(path, rows, title="Sheet"):
    book = xlwt.Workbook()
    sheet = book.add_sheet(title)
    for number, row in enumerate(rows):
        for place, value in enumerate(row):
            form = {date: "YYYY-MM-DD", datetime: "YYYY-MM-DD hh:mm"}.get(type(value), "General")
            if value is not None:
                sheet.write(number, place, value, xlwt.easyxf(num_format_str=form))
    book.add_sheet("other").write(0, 0, "nothing")
    book.save(str(path))


def ods_cell(value):
    match value:
        case None:
            return TableCell()
        case bool():
            return TableCell(valuetype="boolean", booleanvalue=str(value).lower())
        case int() | float():
            return TableCell(valuetype="float", value=str(value))
        case date():
            return TableCell(valuetype="date", datevalue=value.isoformat())
    cell = TableCell(valuetype="string")
    cell.addElement(P(text=value))
    return cell


def write_ods(path, rows, title="Sheet"):
    document = OpenDocumentSpreadsheet()
    for name, content in ((title, rows), ("other", [["nothing"]])):
        table = Table(name=name)
        for row in content:
            line = TableRow()
            for value in row:
                line.addElement(ods_cell(value))
            table.addElement(line)
        document.spreadsheet.addElement(table)
    document.save(str(path))


WRITERS = {"xlsx": write_xlsx, "xls": write_xls, "ods": write_ods}


def read(path, sheet=None, mapped=None):
    request = Request(Source(excel_sheet=sheet), mapped or {"customer_id": "id", "ts": "when", "amount": "v"})
    return list(spreadsheets.rows(path, path.name, request))


@pytest.fixture(params=WRITERS)
def kind(request):
    return request.param


def test_cells_keep_their_types_in_every_kind_of_workbook(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    WRITERS[kind](path, [HEADER, *ROWS])
    assert read(path) == READ
    assert all(type(cell) is not float for cell in (row[0] for row in read(path)))


def test_the_first_row_that_is_not_empty_is_the_header_and_blank_rows_are_no_records(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    nothing = [None] * 4
    rows = [
        nothing,
        [None, "id ", "when", "v"],
        nothing,
        [None, "1", None, 2],
        nothing,
        [None, "3", None, None],
    ]
    WRITERS[kind](path, rows)
    assert read(path) == [["1", None, 2], ["3", None, None]]


def test_a_sheet_is_named_or_is_the_first(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    WRITERS[kind](path, [HEADER, *ROWS], title="Πωλήσεις")
    assert read(path) == read(path, "Πωλήσεις") == READ
    assert read(path, "other", {"customer_id": "nothing"}) == []
    with pytest.raises(
        DataError, match=r"^a\.\w+: has no sheet 'x': correct data\.excel_sheet; it has: Πωλήσεις, other$"
    ):
        read(path, "x")


def test_error_cells_are_their_text(tmp_path):
    path = tmp_path / "a.xlsx"
    book = openpyxl.Workbook()
    for row in ([None], [None, *HEADER], [None, "#N/A", None, "#REF!"], [None, "1", None, "#DIV/0!"]):
        book.active.append(row)
    book.save(path)
    assert read(path) == [["#N/A", None, "#REF!"], ["1", None, "#DIV/0!"]]


def test_error_cells_of_other_workbooks(tmp_path):
    write_ods(tmp_path / "a.ods", [HEADER, ["#N/A", None, "#REF!"]])
    assert read(tmp_path / "a.ods") == [["#N/A", None, "#REF!"]]


def test_a_span_of_time_is_text(tmp_path):
    write_xlsx(tmp_path / "a.xlsx", [HEADER, ["1", None, timedelta(hours=30)]])
    assert read(tmp_path / "a.xlsx") == [["1", None, "1 day, 6:00:00"]]


def test_a_missing_column_is_named_beside_those_there_are(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    WRITERS[kind](path, [["id", 2024], ["1", 2]])
    with pytest.raises(
        DataError,
        match=r"'when' is not there: correct data\.columns\.ts or data\.excel_sheet; it has: id, 2024$",
    ):
        read(path)


def test_an_empty_sheet_is_one_line(tmp_path, kind):
    WRITERS[kind](tmp_path / f"a.{kind}", [])
    with pytest.raises(DataError, match=r"^a\.\w+: its sheet 'Sheet' is empty: [^\n]+$"):
        read(tmp_path / f"a.{kind}")


@pytest.mark.parametrize("keep", [0, 10, 300, -200])
def test_a_damaged_workbook_is_one_line(tmp_path, kind, keep):
    path = tmp_path / f"a.{kind}"
    WRITERS[kind](path, [HEADER, *ROWS])
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"^a\.\w+: is not a readable workbook: [^\n]+$"):
        read(path)


@pytest.mark.parametrize("content", [b"id,when,v\n1,2,3\n", b"<html><table>", b"PK\x03\x04"])
def test_what_is_no_workbook_is_said_so(tmp_path, kind, content):
    (tmp_path / f"a.{kind}").write_bytes(content)
    with pytest.raises(DataError, match="is not a readable workbook"):
        read(tmp_path / f"a.{kind}")


def test_a_sheet_without_its_part_is_damaged(tmp_path):
    write_xlsx(tmp_path / "whole.xlsx", [HEADER, *ROWS])
    with zipfile.ZipFile(tmp_path / "whole.xlsx") as whole, zipfile.ZipFile(tmp_path / "a.xlsx", "w") as cut:
        for part in whole.namelist():
            if "worksheets/sheet1" not in part:
                cut.writestr(part, whole.read(part))
    with pytest.raises(DataError, match=r"^a\.xlsx: is not a readable workbook: "):
        read(tmp_path / "a.xlsx")


def test_a_locked_workbook_is_said_so(tmp_path):
    write_ods(tmp_path / "plain.ods", [HEADER, *ROWS])
    lock = b'<manifest:encryption-data manifest:checksum="x"/></manifest:file-entry>'
    with zipfile.ZipFile(tmp_path / "plain.ods") as plain, zipfile.ZipFile(tmp_path / "a.ods", "w") as locked:
        for part in plain.namelist():
            content = plain.read(part)
            if part == "META-INF/manifest.xml":
                head, entry, rest = content.partition(b'manifest:full-path="content.xml"')
                content = head + entry + rest.replace(b"/>", b">" + lock, 1)
            locked.writestr(part, content)
    with pytest.raises(DataError, match=r"^a\.ods: is locked by a password: [^\n]+$"):
        read(tmp_path / "a.ods")


def test_a_cell_far_away_does_not_take_all_memory(tmp_path):
    book = openpyxl.Workbook()
    book.active["A1"], book.active["XFD1048576"] = "id", "x"
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(DataError, match=r"^a\.xlsx: its sheet spans 1048576 rows and 16384 columns: [^\n]+$"):
        read(tmp_path / "a.xlsx")


def test_a_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "a.xlsx"
    write_xlsx(path, [HEADER, *ROWS])
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("xl/more.xml", "w", force_zip64=True) as part,
    ):
        for _ in range(2_200):
            part.write(b" " * 1_000_000)
    assert path.stat().st_size < 20_000_000
    with pytest.raises(DataError, match=r"^a\.xlsx: is too large for a workbook: export CSV$"):
        read(path)


def test_a_file_that_has_gone(tmp_path):
    with pytest.raises(DataError, match=r"^a\.xlsx: cannot be read \(No such file or directory\): "):
        read(tmp_path / "a.xlsx")

"""Authority: Python's csv.writer as the peer that wrote the text, and texts broken by hand."""

import csv
import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnlab.config import CsvFormat
from churnlab.data.delimited import Records, opened
from churnlab.errors import ConfigError, DataError


def read(text, delimiter=","):
    return list(Records(io.StringIO(text, newline=""), delimiter))


def form(**changes):
    return CsvFormat(**{"delimiter": ",", "encoding": "utf-8", "decimal": ".", "date_format": None} | changes)


cells = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters='",;\t\n'), max_size=8)


@given(st.lists(st.tuples(cells, cells, cells).filter(any), max_size=8), st.sampled_from(",;\t|"))
def test_what_the_csv_writer_wrote_is_read_back(rows, delimiter):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows([("a", "b", "c"), *rows])
    assert read(text.getvalue(), delimiter) == [list(row) for row in rows]


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("1,2", "too few"),
        ("1,2,3,4", "too many"),
        ('1,"2,3', "a quote never closed"),
        ('1,"2"x,3', "text after a quote"),
        ("   ", "white space only"),
    ],
)
def test_a_broken_row_costs_itself_only(broken, why):
    good = [["1", "x y", "3"], ["4", "5, or so", "6"], ["7", 'an 8" disc', "9"]]
    text = f'a,b,c\n1,x y,3\n{broken}\n4,"5, or so",6\n7,"an 8"" disc",9\n'
    found = read(text)
    assert [row for row in found if isinstance(row, list)] == good, why
    assert [row for row in found if isinstance(row, str)] == [broken]


def test_a_file_cut_within_a_quote_keeps_its_other_rows():
    assert read('a,b\n1,2\n3,"4\n5,6') == [["1", "2"], '3,"4', ["5", "6"]]


def test_blank_lines_are_no_records_and_a_cell_may_hold_line_ends():
    assert read('a,b\r\n\r\n1,"two\r\nlines"\r\n\r\n') == [["1", "two\r\nlines"]]


def test_a_delimiter_of_several_characters():
    assert read('a||b\n1||"x||y"\n2|3\n', "||") == [["1", "x||y"], "2|3"]


def test_a_tab_may_be_written_with_a_backslash():
    assert read("a\tb\n1\t2\n", "\\t") == [["1", "2"]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1253", "iso-8859-7"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_encodings_marks_and_gzip(tmp_path, encoding, pack):
    path = tmp_path / "names"
    path.write_bytes(pack("id,όνομα\n1,Ελένη\n".encode(encoding)))
    with opened(path, form(encoding="utf-8" if encoding == "utf-8-sig" else encoding)) as records:
        assert (records.header, list(records)) == (["id", "όνομα"], [["1", "Ελένη"]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"a,b\n1,\xff\n", "bytes that are not utf-8"),
        (gzip.compress(b"a,b\n" * 99)[:-12], "cut or damaged"),
        (b'"a,b\n', "header"),
    ],
)
def test_an_unreadable_file_is_one_line(tmp_path, content, message):
    path = tmp_path / "broken.csv"
    path.write_bytes(content)
    with (
        pytest.raises(DataError, match=rf"^broken\.csv: .*{message}.*: [^\n]+$"),
        opened(path, form()) as records,
    ):
        list(records)


@pytest.mark.parametrize("wrong", [{"encoding": "klingon"}, {"encoding": "base64"}, {"delimiter": '"'}])
def test_an_unusable_setting_is_named(tmp_path, wrong):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n")
    with pytest.raises(ConfigError, match=rf"^data\.csv\.{next(iter(wrong))}: "), opened(path, form(**wrong)):
        pass

"""Authority: Python's csv.writer as the peer that wrote the text, and texts broken by hand."""

import csv
import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnlab.config import CsvFormat, Source
from churnlab.data.readers.delimited import Records, opened, rows
from churnlab.data.readers.raw_lines import Request
from churnlab.data.readers.text_lines import LONGEST_LINE
from churnlab.errors import ChurnlabError, ConfigError, DataError


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
        (gzip.compress(b"a,b\n" * 99, mtime=0)[:-12], "cut or damaged"),
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


BODY = st.text('ab,"\n', max_size=60)


@given(BODY)
def test_every_physical_line_is_a_record_or_malformed_or_blank(body):
    """Lines of the text = lines that good records span + malformed rows + blank lines between them."""
    found = read(f"h1,h2\n{body}")
    good = [row for row in found if isinstance(row, list)]
    spanned = sum(1 + sum(cell.count("\n") for cell in row) for row in good)
    blank_within = sum(line == "" for row in good for cell in row for line in cell.split("\n")[1:-1])
    lines = list(io.StringIO(body))
    assert spanned + len(found) - len(good) + lines.count("\n") - blank_within == len(lines)
    assert all(row in body and "\n" not in row for row in found if isinstance(row, str))


plain_cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters='",\r\n'), max_size=5)


@given(st.lists(st.lists(plain_cells, min_size=1, max_size=3).map(",".join).filter(bool), max_size=9))
def test_without_quotes_every_line_stands_for_itself(lines):
    expected = [line.split(",") if line.count(",") == 1 else line for line in lines]
    assert read("\n".join(["a,b", *lines])) == expected


@given(st.binary(max_size=200), st.sampled_from(["utf-8", "utf-16", "cp1253"]), st.booleans())
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path_factory, content, encoding, zipped):
    path = tmp_path_factory.mktemp("fuzz") / "a.csv"
    path.write_bytes(gzip.compress(content) if zipped else content)
    request = Request(Source(csv=form(encoding=encoding)), {"customer_id": "a"})
    try:
        found = list(rows(path, "a.csv", request))
    except ChurnlabError as error:
        assert "\n" not in str(error)
    else:
        assert all(isinstance(row, (str, list)) for row in found)


def test_a_file_cut_anywhere_gives_no_half_row():
    """The last cell is quoted: a cut within a bare one, or before any of it, cannot be seen."""
    whole = 'a,b,c\n1,"2, 3","4"\n"5","6\n7","8"\n'
    complete = [["1", "2, 3", "4"], ["5", "6\n7", "8"]]
    for length in range(len("a,b,c\n"), len(whole) + 1):
        if whole[:length].endswith(('3",', '7",')):
            continue
        found = read(whole[:length])
        good = [row for row in found if isinstance(row, list)]
        assert good == complete[: len(good)]
    assert read(whole.rstrip("\n")) == complete


def test_a_cell_as_long_as_a_line_may_be_is_read():
    long = "x" * (LONGEST_LINE - 4)
    assert read(f'a,b\n1,"{long}"\n2,{long}\n') == [["1", long], ["2", long]]


def test_an_overlong_line_costs_itself_and_the_broken_quote_before_it():
    long = "x" * (LONGEST_LINE + 1)
    kept = "x" * 1_000 + "…"
    assert read_bounded(f"a,b\n1,2\n{long}\n3,4\n") == [["1", "2"], kept, ["3", "4"]]
    assert read_bounded(f'a,b\n1,"2\n{long}\n3,4\n') == ['1,"2', kept, ["3", "4"]]


def read_bounded(text):
    from churnlab.data.readers.text_lines import _lines

    return list(Records(_lines(io.StringIO(text, newline=""), ("\r", "\n")), ","))


def test_a_quote_that_swallows_line_after_line_is_bounded():
    """Every line ends within a quote, so that the record never would."""
    line = ',"' + "x" * 50_000 + "\n"
    text = f"a,b\n{line}" + f'{"y" * 50_000}",{line}' * 60
    assert all(isinstance(row, str) and len(row) <= 1_001 for row in read(text))
    assert len(read(text)) == 61


def test_a_malformed_row_keeps_a_thousand_characters():
    assert read("a,b\n" + "x" * 5_000) == ["x" * 1_000 + "…"]


def test_an_overlong_header_is_one_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a" * (LONGEST_LINE + 1))
    with pytest.raises(DataError, match=r"^a\.csv: its header row [^\n]*$"), opened(path, form()):
        pass


@pytest.mark.parametrize("text", ["a,b", "a,b\n", "\n\na,b\n\n", "\ufeffa,b\n"])
def test_a_header_alone_is_a_file_without_rows(text):
    records = Records(io.StringIO(text, newline=""), ",")
    assert (records.header, list(records)) == (["a", "b"], [])

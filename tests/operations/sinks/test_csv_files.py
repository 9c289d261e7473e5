"""CSV as a spreadsheet reads it. Authority: OWASP's list of formula triggers; Python's csv as reader."""

from __future__ import annotations

import csv
import io
import re
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnlab.errors import DataError
from churnlab.operations.sinks.csv_files import write_csv

TRIGGERS = "=+-@\t\r\n＝＋－＠"


def read(path):
    text = path.read_bytes().decode("utf-8")
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text[1:], newline="")))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("csv") / "list.csv"


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+49 30", "-5", "@SUM(A1)", "\tx", "\rx", "\nx", "＝1", '=HYPERLINK("http://x","y")', "  =1"],
)
def test_formulas_are_disarmed(file, cell):
    write_csv(pd.DataFrame({"customer_id": [cell]}), file)
    assert read(file)[1] == ["'" + cell]


@pytest.mark.parametrize(
    "cell", ["Ann", "a=1", "مشتری", "Ωμέγα", "😀", "x;=1", 'say "hi", twice', "two\nlines", "'quoted"]
)
def test_other_text_stays(file, cell):
    write_csv(pd.DataFrame({"customer_id": [cell]}), file)
    assert read(file) == [["customer_id"], [cell]]


def test_numbers_dates_lists_and_gaps(file):
    """Negative numbers are numbers; a list becomes JSON, also as Parquet gives it back."""
    frame = pd.DataFrame(
        {
            "n": [-1.5, float("nan")],
            "k": [-2, 3],
            "day": [date(2024, 2, 29), None],
            "reasons": [["α", "b"], np.array(["=c"], dtype=object)],
            "name": pd.Series(["x", None], dtype="str"),
        }
    )
    write_csv(frame, file)
    assert read(file)[1:] == [
        ["-1.5", "-2", "2024-02-29", '["α", "b"]', "x"],
        ["", "3", "", '["=c"]', ""],
    ]


def test_an_empty_table_keeps_its_header(file):
    write_csv(pd.DataFrame({"a": pd.Series([], dtype="str"), "b": pd.Series([], dtype="float64")}), file)
    assert read(file) == [["a", "b"]]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00")), min_size=1, max_size=5))
def test_no_text_begins_like_a_formula_and_none_is_lost(file, cells):
    write_csv(pd.DataFrame({"id": pd.Series(cells, dtype="object"), "n": 1}), file)
    shown = [row[0] for row in read(file)[1:]]
    assert not any(text.lstrip(" ").startswith(tuple(TRIGGERS)) for text in shown)
    assert [t[1:] if t != c else t for t, c in zip(shown, cells, strict=True)] == cells


def test_the_table_itself_is_left_as_it_is(file):
    frame = pd.DataFrame({"a": ["=1"]})
    write_csv(frame, file)
    assert frame["a"].to_list() == ["=1"]


def test_a_file_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "list.csv").mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        write_csv(pd.DataFrame({"a": [1]}), tmp_path / "list.csv")


HOSTILE = st.builds(
    lambda gap, start, rest: gap + start + rest,
    st.sampled_from(["", " ", "   "]),
    st.sampled_from([*TRIGGERS, "=cmd|' /C calc'!A0;", '=HYPERLINK("http://x")', '";=1+1;"', "x;=1,=2\t=3"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8),
)


@settings(max_examples=60, deadline=None)
@given(cells=st.lists(HOSTILE, min_size=3, max_size=3), name=HOSTILE)
def test_no_spreadsheet_finds_a_formula_whatever_it_splits_at(file, cells, name):
    """Ids, actions, channels and names of columns; at commas, semicolons or tabs, quotes being kept."""
    frame = pd.DataFrame({"customer_id": [cells[0]], "action": [cells[1]], name: [cells[2]], "clv": [-1.5]})
    write_csv(frame, file)
    text = file.read_bytes().decode("utf-8").removeprefix("\ufeff")
    header, row = csv.reader(io.StringIO(text, newline=""))
    for cell in (*header, *row[:3]):
        assert not cell.lstrip(" ").startswith(tuple(TRIGGERS))
    for delimiter in ";\t|":  # what is outside of quotes is only commas, line ends and the number
        unquoted = "".join(text.replace('""', "").split('"')[::2])
        assert delimiter not in unquoted
        assert set(unquoted) <= set(",\n-1.5")


def test_every_csv_of_data_is_written_so():
    """Who else writes CSV: plots (words of ours, and numbers), and erasure, which keeps cells as they are."""
    root = Path(__file__).parents[3]
    sources = [path for room in ("src/churnlab", "pipelines") for path in (root / room).rglob("*.py")]
    writers = {path.name for path in sources if re.search(r"\.to_csv\(|csv\.writer\(", path.read_text())}
    assert writers == {"csv_files.py", "evaluate.py", "_profit.py", "erased_texts.py"}

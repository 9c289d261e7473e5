"""Customers out of lists, and found in all else. Authority: the same list written without them."""

from __future__ import annotations

import json
import sqlite3

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnlab.operations.erasure import erased_texts
from churnlab.operations.erasure.file_kinds import kind_of
from churnlab.operations.erasure.traces import Hits, Wanted
from churnlab.operations.sinks.csv_files import write_csv

ANN, BOB = "ann@example.org", "bob@example.org"


def wanted(*ids):
    return Wanted(frozenset(ids))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("texts")


IDS = ["ann", "=ann", "+49 30", 'say "hi"', "two\nlines", "a,b", "مریم", "bob", "bob "]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(IDS), st.text(st.characters(codec="utf-8", exclude_characters="\x00"))),
        max_size=8,
    ),
    st.sets(st.sampled_from(IDS[:7]), min_size=1),
)
def test_a_csv_is_what_would_have_been_written_without_them(folder, rows, gone):
    frame = pd.DataFrame(rows, columns=["customer_id", "why"]).assign(n=1.5, reasons=[["α"]] * len(rows))
    found, expected = folder / "found.csv", folder / "expected.csv"
    write_csv(frame, found)
    write_csv(frame[~frame["customer_id"].isin(gone)], expected)
    n = int(frame["customer_id"].isin(gone).sum())
    assert erased_texts.search_csv(found, wanted(*gone)).rows == n
    erased_texts.erase_csv(found, wanted(*gone))
    assert found.read_bytes() == expected.read_bytes()
    assert erased_texts.search_csv(found, wanted(*gone)).rows == 0


def test_refused_lines_in_a_csv_are_withheld_and_others_keep_their_bytes(tmp_path):
    """About Ann as customer, referrer and in running text; not about Bob, or an address that ends as hers."""
    lines = [
        {"customer_id": ANN},
        {"customer_id": BOB, "referrer": ANN},
        {"customer_id": BOB, "note": f"for {ANN}, =1"},
        {"customer_id": BOB},
        {"customer_id": f"jo{ANN}"},
    ]
    raw = [*map(json.dumps, lines), f"=;{ANN};5", f"=;{BOB};5"]
    frame = pd.DataFrame({"source_row": range(7), "reason": "x", "detail": None, "raw": raw})
    path, expected = tmp_path / "quarantine.csv", tmp_path / "expected.csv"
    write_csv(frame, path)
    before = path.read_bytes().splitlines()
    assert kind_of(path).search(path, wanted(ANN)) == Hits(cells=4)
    erased_texts.erase_csv(path, wanted(ANN))
    about_ann = (0, 1, 2, 5)
    after = path.read_bytes().splitlines()
    assert [after[n + 1] for n in (3, 4, 6)] == [before[n + 1] for n in (3, 4, 6)]
    frame.loc[list(about_ann), "raw"] = '{"erased": true}'
    write_csv(frame, expected)
    pd.testing.assert_frame_equal(pd.read_csv(path), pd.read_csv(expected))
    assert kind_of(path).search(path, wanted(ANN)) == Hits()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_referrer_is_emptied_and_other_lines_keep_their_bytes(tmp_path, end):
    path = tmp_path / "list.csv"
    lines = ["referrer,customer_id", f"{ANN},{BOB}", '"",  x', f"{BOB},y", f"{BOB},{ANN}"]
    path.write_bytes(end.join([*lines, ""]).encode())
    assert erased_texts.search_csv(path, wanted(ANN)) == Hits(rows=1, cells=1)
    erased_texts.erase_csv(path, wanted(ANN))
    assert path.read_bytes() == end.join([lines[0], f",{BOB}", *lines[2:4], ""]).encode()


def test_another_cell_that_names_them_is_told(tmp_path):
    path = tmp_path / "list.csv"
    write_csv(pd.DataFrame({"customer_id": [BOB], "why": [f"like {ANN}"]}), path)
    assert erased_texts.search_csv(path, wanted(ANN)) == Hits(elsewhere=1)


def test_json_lines(tmp_path):
    path = tmp_path / "list.jsonl"
    kept = [{"customer_id": "مریم", "n": 1.50}, {"customer_id": BOB, "to": {"referrer": "x"}}]
    records = [{"customer_id": ANN}, kept[0], {"customer_id": "z", "referrer": ANN}, kept[1]]
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records), encoding="utf-8")
    assert erased_texts.search_json_lines(path, wanted(ANN)) == Hits(rows=1, cells=1)
    erased_texts.erase_json_lines(path, wanted(ANN))
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert found == [kept[0], {"customer_id": "z", "referrer": None}, kept[1]]


@pytest.mark.parametrize(
    ("text", "n"),
    [
        (f"<td class='id'>{ANN}</td>", 1),
        ("<td>O&#39;Neil &amp; Søn</td>", 1),
        ("<td> 12 </td><td>12.5</td><p>12 orders</p>", 1),
        (f"<td>jo{ANN}</td><td>{ANN}.au</td>", 0),
        (f"<p>to {ANN}.</p>", 1),
    ],
)
def test_pages(tmp_path, text, n):
    path = tmp_path / "page.html"
    path.write_text(f"<!doctype html>{text}", encoding="utf-8")
    assert erased_texts.search_page(path, wanted(ANN, "12", "O'Neil & Søn")).total == n


@pytest.mark.parametrize(
    ("content", "n"),
    [
        ({"customers": 12, "version": "12", "12": 12, "days": [12]}, 0),
        ({"customer_id": "12"}, 1),
        ({"customer_id": 12}, 1),
        ({"customer_id": "123", "referrer": "112"}, 0),
        ({"notes": [f"{ANN} bought"]}, 1),
        ({ANN: 1}, 1),
        ({"path": f"exports/{ANN}.csv"}, 0),
        ({"name": "Ελένη"}, 1),
    ],
)
def test_json(tmp_path, content, n):
    """A figure that equals an id is no trace of it; `ANN.csv` may be another's address."""
    path = tmp_path / "found.json"
    for ascii_only in (True, False):
        path.write_text(json.dumps(content, ensure_ascii=ascii_only, indent=1), encoding="utf-8")
        assert erased_texts.search_json(path, wanted(ANN, "12", "Ελένη")).total == n


def test_texts_and_what_is_no_text(tmp_path):
    path = tmp_path / "model.txt"
    path.write_bytes(b"\xff\xfe leaf_count=12 1234567\n" + ANN.encode() + b"\n")
    assert erased_texts.search_text(path, wanted(ANN, "12", "1234567", BOB)).total == 2


def test_sqlite_is_searched_and_left_as_it_is(tmp_path):
    path = tmp_path / "mlflow.db"
    with sqlite3.connect(path) as con:
        con.execute("CREATE TABLE tags (key TEXT, value TEXT)")
        con.execute("INSERT INTO tags VALUES ('note', ?), ('by', ?)", [f"for {ANN}", "O'Neil & Søn"])
    con.close()
    before = path.read_bytes()
    assert erased_texts.search_sqlite(path, wanted(ANN, "O'Neil & Søn", BOB)).total == 2
    assert erased_texts.search_sqlite(path, wanted(BOB)).total == 0
    assert path.read_bytes() == before

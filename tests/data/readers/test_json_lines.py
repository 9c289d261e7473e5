"""Authority: lines written by hand, and Python's json as the peer that says what an object is."""

import gzip
import json
import math
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnlab.config import Source
from churnlab.data.readers.json_lines import rows
from churnlab.data.readers.raw_lines import Request
from churnlab.data.readers.text_lines import LONGEST_LINE
from churnlab.errors import ChurnlabError, DataError

REQUEST = Request(Source(), {"customer_id": "id", "amount": "v"}, "data.customers")


@pytest.fixture
def read(tmp_path):
    def run(content):
        path = tmp_path / "a.jsonl"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return list(rows(path, "a.jsonl", REQUEST))

    return run


def test_values_keep_their_types_and_digits(read):
    text = (
        '{"id": 9007199254740993, "v": 2.50}\r\n\n{"v": "٢", "id": "007", "more": 1}\n{"id": null, "v": true}'
    )
    assert read(text) == [[9007199254740993, 2.5], ["007", "٢"], [None, True]]
    assert read("\ufeff" + text) == read(text) == read(gzip.compress(text.encode()))


def test_a_key_that_some_lines_lack_is_null_there(read):
    assert read('{"id": 1}\n{"v": 2}\n') == [[1, None], [None, 2]]


def test_numbers_beyond_json(read):
    found = read('{"id": NaN, "v": -Infinity}\n{"id": ' + "9" * 5_000 + ', "v": 1e999}\n')
    assert math.isnan(found[0][0])
    assert found[0][1] == -math.inf
    assert format(found[1][0], "f") == "9" * 5_000
    assert found[1][1] == math.inf


@pytest.mark.parametrize(
    "broken",
    [
        '{"id": 1',
        '{"id": 1}}',
        '{"id": 1}{"id": 2}',
        "[1, 2]",
        '"id"',
        "12",
        "null",
        "{'id': 1}",
        '{"id": 1, "id": 2}',
        '{"id": 1, "v": {"a": 1, "a": 2}}',
        '{"id": "\\ud800"}',
        '{"id": "a\tb"}',
        "[" * 100_000,
        '{"id":' * 50_000,
        "id,v",
    ],
)
def test_what_is_no_object_costs_itself_only(read, broken):
    good = '{"id": 1, "v": 2}'
    kept = broken if len(broken) <= 1_000 else broken[:1_000] + "…"
    assert read(f"{good}\n{broken}\n{good}\n") == [[1, 2], kept, [1, 2]]


def test_a_whole_pair_of_half_characters_is_one_character(read):
    assert read('{"id": "\\ud83d\\ude00", "v": 1}') == [["😀", 1]]


def test_an_overlong_line_is_never_held(tmp_path):
    path = tmp_path / "a.jsonl"
    with path.open("wb") as handle:
        handle.write(b'{"id": 1, "v": "')
        handle.seek(200_000_000)
        handle.write(b'"}\n{"id": 2, "v": 3}\n')
    tracemalloc.start()
    found = list(rows(path, "a.jsonl", REQUEST))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [('{"id": 1, "v": "' + "\0" * 1_000)[:1_000] + "…", [2, 3]]
    assert peak < 30_000_000


def test_a_value_as_long_as_a_line_may_be_is_read(read):
    long = "x" * (LONGEST_LINE - 20)
    assert read(f'{{"id": 1, "v": "{long}"}}\n') == [[1, long]]


def test_a_key_that_no_line_has_is_named_beside_those_there_are(read):
    with pytest.raises(
        DataError,
        match=r"^a\.jsonl: column 'v' is not there: correct data\.customers\.columns\.amount; it has: id, w$",
    ):
        read('{"id": 1}\n{"w": 2}\n')


def test_keys_without_end_are_not_all_kept(read):
    text = "".join(f'{{"k{n}": 1}}\n' for n in range(3_000)) + '{"id": 1, "v": 2}\n'
    assert len(read(text)) == 3_001
    with pytest.raises(DataError, match=r"'id' is not there[^\n]*, k39, …$"):
        read("".join(f'{{"k{n}": 1}}\n' for n in range(3_000)))


@pytest.mark.parametrize("content", [b"", b"\n \r\n"])
def test_an_empty_file_is_one_line(read, content):
    with pytest.raises(DataError, match=r"^a\.jsonl: is empty: [^\n]+$"):
        read(content)


def test_another_encoding_is_refused(read):
    with pytest.raises(DataError, match=r"^a\.jsonl: holds bytes that are not utf-8: [^\n]+$"):
        read('{"id": 1, "v": 2}'.encode("utf-16"))


def is_record(line):
    try:
        pairs = json.loads(line, object_pairs_hook=lambda pairs: pairs)
    except ValueError:
        return False
    is_object = line.lstrip(" \t").startswith("{")
    return is_object and len(dict(pairs)) == len(pairs)


LINE = st.text('{}[]":, 01dv\\u8\t', max_size=30) | st.dictionaries(
    st.sampled_from(["id", "v", "w"]),
    st.integers() | st.text('aé"\\\n', max_size=5) | st.floats() | st.booleans(),
).map(json.dumps)


@given(st.lists(LINE.filter(lambda line: "\n" not in line), max_size=10))
def test_every_line_is_an_object_or_malformed(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("fuzz") / "a.jsonl"
    lines = ['{"id": 1, "v": 2}', *(line for line in lines if line.strip(" \t"))]
    path.write_text("\n".join(lines), encoding="utf-8")
    found = list(rows(path, "a.jsonl", REQUEST))
    assert [isinstance(row, list) for row in found] == [is_record(line) for line in lines]
    assert [row for row in found if isinstance(row, str)] == [line for line in lines if not is_record(line)]


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path_factory, content, zipped):
    path = tmp_path_factory.mktemp("fuzz") / "a.jsonl"
    path.write_bytes(gzip.compress(content) if zipped else content)
    try:
        found = list(rows(path, "a.jsonl", REQUEST))
    except ChurnlabError as error:
        assert "\n" not in str(error)
    else:
        assert all(isinstance(row, (str, list)) for row in found)

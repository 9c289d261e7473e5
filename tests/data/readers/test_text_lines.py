"""Authority: lines laid out by hand, and the memory that Python says it took."""

import gzip
import tracemalloc

import pytest

from churnlab.data.readers.text_lines import KEPT_CHARACTERS, LONGEST_LINE, OverlongLine, malformed, opened
from churnlab.errors import ConfigError, DataError

HUGE = 300_000_000
BOUND = 30_000_000  # bytes; a line of four-byte characters at the limit, several times over


def read(path, encoding="utf-8", newline=""):
    with opened(path, path.name, encoding, newline, "data") as lines:
        return list(lines)


def peak_of(action):
    tracemalloc.start()
    try:
        found = action()
        return found, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_at_the_limit_and_beyond(tmp_path, end):
    path = tmp_path / "a.csv"
    lines = [
        "x" * length for length in (LONGEST_LINE, LONGEST_LINE + 1, LONGEST_LINE + 2, LONGEST_LINE * 3, 1)
    ]
    path.write_text(end.join(lines), newline="")
    found = [line for line in read(path) if line.strip()]
    assert [isinstance(line, OverlongLine) for line in found] == [False, True, True, True, False]
    assert found[0] == "x" * LONGEST_LINE + end
    assert {malformed(line) for line in found[1:4]} == {"x" * KEPT_CHARACTERS + "…"}
    assert found[4] == "x"


def test_a_huge_line_is_never_held(tmp_path):
    path = tmp_path / "a.csv"
    with path.open("wb") as handle:
        handle.write(b"a,b\n")
        handle.seek(HUGE)
        handle.write(b"\n1,2")
    found, peak = peak_of(lambda: read(path))
    assert [len(line) for line in found] == [4, KEPT_CHARACTERS, 3]
    assert peak < BOUND


def test_a_gzip_bomb_is_never_held(tmp_path):
    path = tmp_path / "a.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as handle:
        handle.write(b"a,b\n")
        for _ in range(HUGE // 1_000_000):
            handle.write(b"\0" * 1_000_000)
        handle.write(b"\n1,2\n")
    assert path.stat().st_size < HUGE / 100
    found, peak = peak_of(lambda: read(path))
    assert [len(line) for line in found] == [4, KEPT_CHARACTERS, 4]
    assert peak < BOUND


def test_where_lines_end_only_at_a_line_feed(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"a\rb\r\nc" + b"\r" * 3 + b"d")
    assert read(path, newline="\n") == ["a\rb\r\n", "c\r\r\rd"]
    path.write_bytes(b"a\r" * LONGEST_LINE + b"\nb")
    found = read(path, newline="\n")
    assert [isinstance(line, OverlongLine) for line in found] == [True, False]
    assert found[1] == "b"


def test_what_is_kept_of_a_malformed_line():
    assert malformed("a,b\r\n") == "a,b"
    assert malformed("x" * 1_000) == "x" * 1_000
    assert malformed("x" * 1_001 + "\n") == "x" * 1_000 + "…"


def test_an_encoding_that_python_does_not_know(tmp_path):
    with pytest.raises(ConfigError, match=r"^data\.csv\.encoding: "):
        read(tmp_path / "a.csv", "klingon")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\xff", "bytes that are not utf-8"),
        (gzip.compress(b"a\n" * 99, mtime=0)[:-9], "cut or damaged"),
        (b"\x1f\x8bxx", "cut or damaged"),
    ],
)
def test_damage_is_one_line(tmp_path, content, message):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"^a\.csv: [^\n]*{message}[^\n]*$"):
        read(path)


def test_a_file_that_has_gone(tmp_path):
    with pytest.raises(DataError, match=r"^a\.csv: cannot be read \(No such file or directory\): "):
        read(tmp_path / "a.csv")

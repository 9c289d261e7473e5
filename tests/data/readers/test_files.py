"""Authority: folders laid out by hand."""

import os
from pathlib import Path

import pytest

from churnlab.config import Source
from churnlab.data.readers.files import find, kind_of, shown
from churnlab.errors import DataError


@pytest.fixture
def folder(tmp_path):
    for name in ("a.csv", "b.jsonl", "sub/a.csv", "sub/deep/c.parquet", "d.xlsx"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "in"


def names(path, kind="auto"):
    return [file.name for file in find(Source(path=str(path), format=kind), "data")]


def test_names_tell_files_of_one_base_name_apart_and_never_say_where_the_folder_is(folder):
    everything = ["a.csv", "b.jsonl", "d.xlsx", "sub/a.csv", "sub/deep/c.parquet"]
    assert names(folder) == names(folder / "**") == everything
    assert names(folder / "*" / "*.csv") == names(folder / "s*" / "a.csv") == ["sub/a.csv"]
    assert names(folder / "sub" / "a.csv") == ["a.csv"]
    assert names(f"{folder}/sub/../*.csv") == ["a.csv"]


def test_a_relative_path_gives_the_same_names(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert names("sub") == ["a.csv", "deep/c.parquet"]
    assert names("*.csv") == names("./a.csv") == ["a.csv"]


def test_a_named_format_picks_its_files(folder):
    (folder / "e.json").touch()
    (folder / "f.ndjson.gz").touch()
    assert names(folder, "jsonl") == ["b.jsonl", "e.json", "f.ndjson.gz"]
    assert names(folder, "excel") == ["d.xlsx"]
    assert "e.json" not in names(folder)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.CSV", "csv"),
        ("a.csv.gz", "csv"),
        ("a.dat", "csv"),
        ("a", "csv"),
        ("a.json", "jsonl"),
        ("a.NDJSON", "jsonl"),
        ("a.jsonl.gz", "jsonl"),
        ("a.xls", "excel"),
        ("a.ods", "excel"),
        ("a.pq", "parquet"),
    ],
)
def test_kinds_by_ending(name, kind):
    assert kind_of(name) == kind


def test_hidden_files_and_those_for_machines_are_passed_over(folder):
    for name in (".x.csv", "_x.csv", "_temporary/x.csv", ".git/x.csv", "notes.md"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    assert names(folder, "csv") == ["a.csv", "sub/a.csv"]
    assert names(folder / "**" / "*.csv") == ["_temporary/x.csv", "_x.csv", "a.csv", "sub/a.csv"]


def test_links_neither_loop_nor_count_twice(folder):
    (folder / "loop").symlink_to(folder)
    (folder / "sub" / "loop").symlink_to(folder / "sub")
    (folder / "0.csv").symlink_to(folder / "a.csv")
    assert names(folder, "csv") == names(folder / "**" / "*.csv") == ["a.csv", "sub/a.csv"]


@pytest.mark.parametrize("kind", ["pipe", "dangling", "circle"])
def test_what_is_no_regular_file_is_refused_and_never_opened(folder, kind):
    path = folder / "x.csv"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path if kind == "circle" else folder / "nothing")
    for meant in (folder, folder / "*.csv"):
        with pytest.raises(DataError, match=r"^x\.csv: is no regular file: [^\n]+$"):
            names(meant)
    with pytest.raises(DataError, match=r"no regular file|nothing to read"):
        names(path)


def test_a_device_is_refused():
    with pytest.raises(DataError, match=r"^zero: is no regular file: "):
        names("/dev/zero")


def test_a_folder_without_rights_is_no_empty_folder(folder):
    folder.chmod(0o755)
    (folder / "sub").chmod(0)
    me = os.geteuid()
    if me == 0:
        for part in folder.parents[:4]:
            part.chmod(0o755)
        os.seteuid(65534)
    try:
        with pytest.raises(DataError, match=r"^sub: the folder cannot be listed \(Permission denied\): "):
            names(folder)
    finally:
        os.seteuid(me)
        (folder / "sub").chmod(0o755)


@pytest.mark.parametrize("path", ["no.csv", "*.dat", "a**b", "[", "", "sub/*/*/*"])
def test_nothing_at_the_path_is_one_line_with_the_section(tmp_path, path):
    with pytest.raises(DataError, match=r"^data\.contacts\.path: nothing to read at [^\n]*$"):
        find(Source(path=f"{tmp_path}/{path}"), "data.contacts")


def test_a_name_that_is_no_text_is_refused(tmp_path):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.csv")).touch()
    with pytest.raises(DataError, match=r"^ \.csv: its name is no valid UTF-8: rename the file$"):
        names(tmp_path)


def test_names_in_messages_are_one_short_line():
    assert shown("a\nb\x1b[0m") == "a b [0m"
    assert shown("x" * 101) == "x" * 100 + "…"
    assert shown("فروش") == "فروش"

"""What --sink may name, and what is shown of it. Authority: RFC 3986 for the parts of a URL."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnlab.errors import SinkError
from churnlab.operations.sinks.targets import open_sink


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:geheim@db.example:5433/shop", "postgresql://db.example:5433/shop"),
        ("postgres://ann:geheim@db/shop?sslmode=require&password=geheim", "postgresql://db/shop"),
        ("postgresql://ann:ge%40h%23eim@h1:1,h2:2/shop", "postgresql://h1:1,h2:2/shop"),
        ("postgresql://ann:geheim@@db/shop", "postgresql://db/shop"),
        ("postgresql://ann@[::1]:5432/shop", "postgresql://[::1]:5432/shop"),
        ("postgresql:///shop?host=/run/pg&user=ann", "postgresql:///run/pg/shop"),
    ],
)
def test_neither_user_nor_password_is_shown(url, shown):
    assert open_sink(url).shown == shown


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://zoe:ge#heim@db/shop",
        "postgresql://zoe:12#heim@db/shop",
        "postgresql://zoe:ge/heim@db/shop",
        "postgresql://zoe:geheim",
        "postgresql://[zoe:geheim@db/shop",
    ],
)
def test_a_url_that_cannot_be_taken_apart_is_not_repeated(url):
    with pytest.raises(SinkError) as raised:
        open_sink(url)
    assert "special characters of the password as %XX" in str(raised.value)
    assert not any(part in str(raised.value) for part in ("zoe", "heim", "ge#"))


@given(
    user=st.from_regex(r"u5er[a-z]{0,5}", fullmatch=True),
    password=st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1).map("s3cret".__add__),
)
def test_no_password_comes_through_whatever_its_characters(user, password):
    url = f"postgresql://{user}:{password}@db.example:5432/shop"
    try:
        said = open_sink(url).shown
    except SinkError as error:
        said = str(error)
    assert "s3cret" not in said
    assert "u5er" not in said


def test_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert open_sink("out/scores").shown == "out/scores"
    assert open_sink("sqlite:///a.db").shown == "sqlite:///a.db"
    assert open_sink(f"duckdb:///{tmp_path}/a.duckdb").shown == f"duckdb:///{tmp_path}/a.duckdb"


@pytest.mark.parametrize(
    "target", ["mysql://ann:geheim@db/shop", "sqlite://", "sqlite:///", "duckdb://a.db", "://x"]
)
def test_other_targets_are_refused(target):
    with pytest.raises(SinkError, match=r"^--sink: the URL is of no known kind: name a folder, ") as raised:
        open_sink(target)
    assert "geheim" not in str(raised.value)


def test_the_environment_may_hold_it(monkeypatch):
    monkeypatch.setenv("NIGHTLY_SINK", " postgresql://ann:geheim@db/shop\n")
    assert open_sink("env:NIGHTLY_SINK").shown == "postgresql://db/shop"
    monkeypatch.setenv("NIGHTLY_SINK", "")
    for name in ("NIGHTLY_SINK", "NO_SUCH_SINK"):
        with pytest.raises(SinkError, match=rf"^--sink: the environment variable {name} is not set: "):
            open_sink(f"env:{name}")


def test_a_folder_for_a_database_file_is_not_made(tmp_path):
    with pytest.raises(SinkError, match="its folder is not there"):
        open_sink(f"sqlite:///{tmp_path}/nowhere/a.db")


def test_formats_are_for_folders():
    with pytest.raises(SinkError, match="csv is for folders"):
        open_sink("sqlite:///a.db", "csv")


@pytest.mark.parametrize(("url", "extra"), [("postgresql://db/x", "postgres"), ("sqlite:///x.db", "sqlite")])
def test_a_driver_that_is_missing_is_named_by_its_extra(monkeypatch, url, extra):
    monkeypatch.setitem(sys.modules, f"adbc_driver_{url.partition(':')[0]}", None)
    monkeypatch.setitem(sys.modules, f"adbc_driver_{url.partition(':')[0]}.dbapi", None)
    with pytest.raises(SinkError, match=rf'is not installed: pip install "churnlab\[{extra}\]"$'):
        open_sink(url)

"""Turns what --sink names into a Sink."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import parse_qs, urlsplit

from churnlab.data.readers.delta import is_table
from churnlab.errors import SinkError
from churnlab.operations.sinks.delta_folder import DeltaSink
from churnlab.operations.sinks.duckdb_file import DuckdbSink
from churnlab.operations.sinks.folder import FolderSink
from churnlab.operations.sinks.list_files import FileFormat
from churnlab.operations.sinks.postgres import PostgresSink
from churnlab.operations.sinks.publication import Sink
from churnlab.operations.sinks.retrying import Patience
from churnlab.operations.sinks.sqlite import SqliteSink

SinkFormat = FileFormat | Literal["delta"]
KINDS = (
    "a folder, postgresql://user@host/database, sqlite:///FILE, duckdb:///FILE or env:NAME, "
    "the environment variable that holds one of them"
)
_HOSTS = re.compile(r"(([\w.-]*|\[[0-9A-Fa-f:.]+\])(:\d+)?,?)*", re.ASCII)


def open_sink(target: str, file_format: SinkFormat = "parquet", patience: Patience | None = None) -> Sink:
    """The sink that `target` names.

    Parameters
    ----------
    target
        See KINDS.
    file_format
        Of the files in a folder, or delta for Delta tables in it.
    patience
        For how long to try again what the moment stands in the way of; two minutes if None.

    Raises
    ------
    SinkError
        The target is none of KINDS, its driver is not installed, or the environment variable is not set.
    """
    url = _from_environment(target) if target.startswith("env:") else target
    scheme, found, rest = url.partition("://")
    patience = patience or Patience()
    if not found:
        return DeltaSink(Path(url)) if file_format == "delta" else FolderSink(Path(url), file_format)
    if file_format != "parquet":
        raise SinkError(f"--format: {file_format} is for folders: leave it out for a database")
    if scheme in ("postgresql", "postgres"):
        return PostgresSink(url, _shown(url), patience)
    if scheme in ("sqlite", "duckdb") and len(rest) > 1 and rest.startswith("/"):
        return _file_sink(scheme, Path(rest[1:]), patience)
    raise SinkError(f"--sink: the URL is of no known kind: name {KINDS}")


def open_lists(target: str) -> list[Sink]:
    """The sinks of all lists at `target`: one, or for a folder one for each format of its files.

    Raises
    ------
    SinkError
        As `open_sink`; or nothing was ever published there, or Delta tables were.
    """
    sinks = [open_sink(target)]
    if isinstance(sinks[0], FolderSink):
        folder = Path(sinks[0].shown)
        if is_table(folder / "scores"):  # its log tells the size of each file
            raise SinkError(f"{folder}: holds Delta tables: delete the customers' rows with SQL, then VACUUM")
        sinks = [FolderSink(folder, file_format) for file_format in get_args(FileFormat)]
    if not sinks[0].history():
        raise SinkError(f"{sinks[0].shown}: nothing was ever published there: correct --sink")
    return sinks


def _file_sink(scheme: str, path: Path, patience: Patience) -> Sink:
    shown = f"{scheme}:///{path}"
    if not path.absolute().parent.is_dir():
        raise SinkError(f"{shown}: its folder is not there: make it or correct --sink")
    if scheme == "sqlite":
        return SqliteSink(path, shown, patience)
    return DuckdbSink(path, shown, patience)


def _from_environment(target: str) -> str:
    name = target.removeprefix("env:")
    url = os.environ.get(name, "").strip()
    if not url:
        raise SinkError(f"--sink: the environment variable {name} is not set: export it with the URL")
    return url


def _shown(url: str) -> str:
    """Scheme, hosts and database of a URL.

    Raises
    ------
    SinkError
        It cannot be told which part is the password.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = None
    if parts is None or "@" in parts.path + parts.fragment or not _HOSTS.fullmatch(_hosts(parts.netloc)):
        raise SinkError(
            "--sink: the URL of the database cannot be taken apart: write it as "
            "postgresql://user:password@host:port/database, special characters of the password as %XX"
        )
    hosts = _hosts(parts.netloc) or ",".join(parse_qs(parts.query).get("host", []))
    return f"postgresql://{hosts}{parts.path}"


def _hosts(netloc: str) -> str:
    return netloc.rpartition("@")[2]

"""What several commands have in common: options, days, ids, and how a command refuses."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from churnlab.errors import ChurnlabError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Which customers are about to leave, what each is worth, and whom to contact first.",
)

ParamsFile = Annotated[Path, typer.Option("--params", help="File of parameters.")]
IdsFile = Annotated[
    Path | None,
    typer.Option("--file", help="Text file with one id on each line, kept out of the shell's history."),
]
SINK_HELP = (
    "Where lists of all dates are kept: a folder, postgresql://…, sqlite:///PATH, duckdb:///PATH, or "
    "env:NAME for the variable that holds the URL."
)
SinkTarget = Annotated[str | None, typer.Option(help=SINK_HELP)]
FileFormat = Annotated[
    Literal["parquet", "csv", "delta"],
    typer.Option("--format", help="Of the files in a folder that is the sink; delta: of its tables."),
]
DEFAULT_PARAMS = Path("params.yaml")


def named_ids(named: list[str] | None, file: Path | None) -> list[str]:
    """The ids of the command line, then those of the file; each once."""
    try:
        listed = file.read_text(encoding="utf-8-sig").splitlines() if file else []
    except (OSError, UnicodeDecodeError):
        fail(f"--file: {file} cannot be read as UTF-8 text: name a file with one id on each line")
    ids = list(dict.fromkeys([*(named or []), *filter(str.strip, listed)]))
    return ids or fail("CUSTOMER_ID: none is named: name one or more, or a file of them with --file")


def as_day(text: str, option: str) -> date:
    """The day that an option names."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        fail(f"{option}: {text!r} is not a day: write it as YYYY-MM-DD")


def fail(message: str) -> NoReturn:
    """Refuse with one line."""
    raise ChurnlabError(message)

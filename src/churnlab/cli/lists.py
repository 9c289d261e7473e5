"""The nightly job, and what there is to ask of its lists."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from churnlab.cli.options import (
    DEFAULT_PARAMS,
    SINK_HELP,
    FileFormat,
    ParamsFile,
    SinkTarget,
    app,
    as_day,
    fail,
)

if TYPE_CHECKING:
    from churnlab.config import Params


@app.command()
def score(
    params: ParamsFile = DEFAULT_PARAMS,
    as_of: Annotated[
        str | None,
        typer.Option(
            help="Last day that is known, YYYY-MM-DD; yesterday in data.timezone, or data.as_of, or the last "
            "day of a built-in data set."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="models:/NAME@ALIAS, models:/NAME/VERSION, a version's number or a folder; models/packaged "
            "in the workspace, or else the registered champion."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for scores, quarantine and manifest; the workspace's outputs.")
    ] = None,
    previous: Annotated[
        Path | None,
        typer.Option(
            help="With --out: scores.parquet of the date before, whose labels hold until a customer is well "
            "beyond them. A sink has it."
        ),
    ] = None,
    sink: SinkTarget = None,
    file_format: FileFormat = "parquet",
    restate: Annotated[
        bool, typer.Option("--restate", help="Keep the rows that the sink already has of the date, too.")
    ] = False,
    retry_seconds: Annotated[
        float, typer.Option(min=0.0, help="How long to try again what only an outage stands in the way of.")
    ] = 120.0,
    log: Annotated[
        Literal["text", "json"], typer.Option(help="json: one JSON object a line on stderr.")
    ] = "text",
) -> None:
    """Read the source afresh and score every known customer: the nightly job.

    Exit codes: 0 done; 1 a defect of churnlab; 2 a mistake to mend; 75 try again later (another run, or a
    server that does not answer); 143 ended by SIGTERM.
    """
    from churnlab.config import read_params
    from churnlab.operations.nightly import Job, publish_source, score_source, yesterday
    from churnlab.operations.run_log import RunLog
    from churnlab.operations.sinks.retrying import Patience
    from churnlab.operations.sinks.targets import open_sink
    from churnlab.pipelines._run import Workspace

    if sink is not None and out is not None:
        fail("--out and --sink: name one of them")
    if sink is not None and previous is not None:
        fail("--previous: is for --out: a sink has the list before")
    if sink is None and (restate or file_format != "parquet"):
        fail("--restate and --format: are for a sink: name one with --sink")
    run_log = RunLog("json") if log == "json" else RunLog.shown()
    with run_log.failures():
        settings = read_params(params)
        day = yesterday(settings, datetime.now(UTC)) if as_of is None else as_day(as_of, "--as-of")
        work = Workspace.of(settings)
        job = Job(settings, day, _model(model, settings), work.landing, Patience(retry_seconds), previous)
        if sink is None:
            typer.echo(score_source(job, out or work.scores.parent, run_log))
            return
        with closing(open_sink(sink, file_format, job.patience)) as opened:
            manifests = opened.manifests or work.scores.parent / "manifests"
            done = publish_source(job, opened, manifests, run_log, restate=restate)
            typer.echo(f"{opened.shown}: {done.rows:,} customers on {done.as_of}, revision {done.revision}")


def _model(named: str | None, settings: Params) -> str:
    """The URI or folder: as named, a version of the registered model, or what the workspace offers."""
    from churnlab.pipelines._run import Workspace

    names, packaged = settings.registry, Workspace.of(settings).packaged_model
    if named is None:
        champion = f"models:/{names.model_name}@{names.champion_alias}"
        return str(packaged) if packaged.is_dir() else champion
    is_version = named.isascii() and named.isdigit() and not Path(named).is_dir()
    return f"models:/{names.model_name}/{named}" if is_version else named


@app.command()
def audit(
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER_ID")],
    day: Annotated[str, typer.Option("--date", help="The date of the list, YYYY-MM-DD.")],
    sink: Annotated[str, typer.Option(help=SINK_HELP)],
    file_format: FileFormat = "parquet",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each revision.")] = False,
) -> None:
    """Which model and which data scored a customer for a date, and what they said."""
    from rich.console import Console

    from churnlab.operations.auditing import audited, show
    from churnlab.operations.sinks.targets import open_sink

    with closing(open_sink(sink, file_format)) as opened:
        found = audited(opened, customer, as_day(day, "--date"))
    if as_json:
        for one in found:
            typer.echo(one.to_json())
    else:
        show(found, Console(highlight=False, markup=False, soft_wrap=True))


@app.command()
def migration(
    before: Annotated[
        Path | None, typer.Option(help="The earlier scores.parquet, or a folder with one.")
    ] = None,
    after: Annotated[Path | None, typer.Option(help="The later one.")] = None,
    sink: SinkTarget = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Date of the earlier list in the sink, YYYY-MM-DD.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Date of the later list in the sink.")] = None,
    file_format: FileFormat = "parquet",
    out: Annotated[Path | None, typer.Option(help="Parquet file for the whole table.")] = None,
) -> None:
    """Count the customers who moved between labels, types and styles from one list to another."""
    from rich.console import Console

    from churnlab.engine import write_parquet
    from churnlab.operations.migrating import from_file, from_sink, migrated, show
    from churnlab.operations.sinks.targets import open_sink

    if before is not None and after is not None and (sink, start, end) == (None, None, None):
        found = migrated(from_file(before), from_file(after))
    elif sink is not None and start is not None and end is not None and (before, after) == (None, None):
        first, last = as_day(start, "--from"), as_day(end, "--to")
        with closing(open_sink(sink, file_format)) as opened:
            found = migrated(from_sink(opened, first), from_sink(opened, last))
    else:
        fail("migration: name --before and --after, or --sink with --from and --to")
    if out is not None:
        write_parquet(found.table, out)
    show(found, Console(highlight=False))
    if out is not None:
        typer.echo(out)

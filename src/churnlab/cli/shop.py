"""What is to be seen of the shop and of the models without changing anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from churnlab.cli.options import DEFAULT_PARAMS, ParamsFile, app, as_day, fail


@app.command()
def profile(
    params: ParamsFile = DEFAULT_PARAMS,
    out: Annotated[
        Path | None, typer.Option(help="Folder for profile.html and profile.json; the workspace's reports.")
    ] = None,
) -> None:
    """Look at the source before anything is fitted: rows, customers, gaps, a horizon to ask for."""
    from rich.console import Console

    from churnlab.config import read_params
    from churnlab.engine import write_text
    from churnlab.operations.profiling import profile_source
    from churnlab.pipelines._files import write_json
    from churnlab.pipelines._run import Workspace
    from churnlab.report.profile_page import render
    from churnlab.report.profile_summary import show

    settings = read_params(params)
    work = Workspace.of(settings)
    found = profile_source(settings, work.landing)
    folder = out or work.profile.parent
    write_json(found.to_dict(), folder / work.profile.name)
    page = render(found, settings.report.title, settings.report.currency_symbol)
    write_text(page, folder / work.profile_page.name)
    show(found, Console(highlight=False))
    for path in (work.profile_page, work.profile):
        typer.echo(folder / path.name)


@app.command()
def backtest(
    out: Annotated[Path, typer.Option(help="Parquet file for the forecasts.")],
    cutoff: Annotated[list[str], typer.Option(help="Last day that is known, YYYY-MM-DD; may be repeated.")],
    horizon: Annotated[int | None, typer.Option(help="Days to forecast; features.horizon_days.")] = None,
    params: ParamsFile = DEFAULT_PARAMS,
) -> None:
    """Fit on data up to each cutoff, forecast what follows, print the metrics beside the baselines'."""
    from churnlab.config import read_params
    from churnlab.operations.backtesting import backtest_source
    from churnlab.pipelines._run import Workspace

    settings = read_params(params)
    days = [as_day(text, "--cutoff") for text in cutoff]
    if horizon is not None and not 1 <= horizon <= 3650:
        fail(f"--horizon: {horizon} is not between 1 and 3650 days: name a number of days in between")
    backtest_source(settings, days, horizon, out, Workspace.of(settings).landing)
    typer.echo(out)


@app.command()
def figures(
    params: ParamsFile = DEFAULT_PARAMS,
    start: Annotated[
        str | None, typer.Option("--from", help="First day, YYYY-MM-DD; the first of the data.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="Last day, YYYY-MM-DD; the last of the data.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the two tables and the JSON; outputs/figures.")
    ] = None,
) -> None:
    """Key figures of any period of the ingested orders, by month, cohort and segment; cohorts; stage."""
    from churnlab.config import read_params
    from churnlab.pipelines._figures import figures_of, write_figures
    from churnlab.pipelines._run import Workspace

    settings = read_params(params)
    first, last = as_day(start, "--from") if start else None, as_day(end, "--to") if end else None
    found = figures_of(settings, first, last)
    work = Workspace.of(settings)
    folder = out or work.key_figures_table.parent / "figures"
    files = [
        folder / path.name for path in (work.key_figures_table, work.retention_cohorts, work.key_figures)
    ]
    write_figures(found, *files)
    for line in (found.stage.sentence, found.concentration.sentence, found.matrix.sentence, *files):
        typer.echo(line)

"""Whom to contact, what contacts brought, and the loyalty programme."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from churnlab.cli.options import DEFAULT_PARAMS, ParamsFile, app, as_day, fail


@app.command()
def why(
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER_ID")],
    params: ParamsFile = DEFAULT_PARAMS,
) -> None:
    """Why a customer, or somebody who only signed up, is to be contacted or is not, in plain words."""
    from churnlab.config import read_params
    from churnlab.pipelines._run import Workspace
    from churnlab.pipelines._why import said

    for line in said(Workspace.of(read_params(params)), customer):
        typer.echo(line)


@app.command()
def send(
    params: ParamsFile = DEFAULT_PARAMS,
    url_env: Annotated[
        str, typer.Option(help="Environment variable that holds the URL of the webhook.")
    ] = "CHURNLAB_WEBHOOK_URL",
    batch_rows: Annotated[int, typer.Option(min=1, help="Messages posted at a time.")] = 100,
    max_age_days: Annotated[int, typer.Option(min=0, help="Refuse a list older than so many days.")] = 7,
    retry_seconds: Annotated[
        float, typer.Option(min=0.0, help="How long to try again what only an outage stands in the way of.")
    ] = 120.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count, send nothing.")] = False,
) -> None:
    """Post the messages of the newest list to a webhook: each once, and none to held-out customers.

    Exit codes: 0 all are accepted; 2 a mistake to mend; 75 try again later; 143 ended by SIGTERM. Whenever it
    ends, the next run sends the rest.
    """
    from churnlab.config import read_params
    from churnlab.operations.handing_over import hand_over
    from churnlab.operations.sinks.retrying import Patience
    from churnlab.operations.webhook import Webhook
    from churnlab.pipelines._run import Workspace
    from churnlab.pipelines._sending import outgoing

    settings = read_params(params)
    found = outgoing(Workspace.of(settings))
    waiting = len(found.waiting(found.accepted()))
    typer.echo(f"Messages of {found.as_of}: {len(found.messages):,}, of which {waiting:,} are to be sent")
    age = (datetime.now(ZoneInfo(settings.data.timezone)).date() - found.as_of).days
    if age > max_age_days:
        old = f"send: the list of {found.as_of} is {age:,} days old, more than --max-age-days {max_age_days}"
        if not dry_run:
            fail(f"{old}: make a new one")
        typer.echo(f"It would be refused: {old}")
    if not dry_run:
        webhook = Webhook.of(os.environ, url_env, Patience(retry_seconds))
        typer.echo(f"Accepted: {hand_over(found, webhook.post, batch_rows):,}")


@app.command()
def measure(
    plan: Annotated[
        list[Path], typer.Option(help="A priority list of the past, Parquet or CSV; may be repeated.")
    ],
    plan_date: Annotated[
        list[str] | None,
        typer.Option(
            help="The as_of of each --plan in turn, YYYY-MM-DD; needed where scores.parquet of the same run "
            "is not beside it."
        ),
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(help="Last day that is known, YYYY-MM-DD; the data's last day.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for measure.parquet and measure.json; the workspace's reports."),
    ] = None,
    write_effects: Annotated[
        bool,
        typer.Option(
            "--write-effects",
            help="Write what was learned to decisions.learned_effects or params/effects.json.",
        ),
    ] = False,
    params: ParamsFile = DEFAULT_PARAMS,
) -> None:
    """Compare treated with held-out customers of past lists: what each action kept, and whether it paid.

    The effects are logged as a run to MLflow.
    """
    from rich.console import Console

    from churnlab.config import read_params
    from churnlab.engine import write_parquet
    from churnlab.operations.measuring import measure_source
    from churnlab.operations.plans import read_plan
    from churnlab.operations.provenance import project_root
    from churnlab.operations.recorded_effects import record_measurement
    from churnlab.operations.save_rates_file import DEFAULT, write_save_rates
    from churnlab.operations.tracking_store import require_reachable
    from churnlab.pipelines._files import write_json
    from churnlab.pipelines._run import Workspace
    from churnlab.report.measured import show

    settings = read_params(params)
    work = Workspace.of(settings)
    if plan_date and len(plan_date) != len(plan):
        fail(f"--plan-date: {len(plan_date)} for {len(plan)} of --plan: name one for each, in the same order")
    days = [as_day(text, "--plan-date") for text in plan_date] if plan_date else [None] * len(plan)
    horizon, last = settings.features.horizon_days, None if as_of is None else as_day(as_of, "--as-of")
    plans = [read_plan(file, horizon, day) for file, day in zip(plan, days, strict=True)]
    require_reachable(project_root())
    measured = measure_source(settings, plans, last, work.landing)
    folder = out or work.measured.parent
    write_parquet(measured.found.table, folder / work.measured.name)
    write_json(measured.to_dict(), folder / work.measured_summary.name)
    written = [folder / work.measured.name, folder / work.measured_summary.name]
    show(measured, Console(highlight=False))
    if write_effects:
        rates = Path(settings.decisions.learned_effects or DEFAULT).expanduser()
        write_save_rates(measured.found.save_rates, measured.plans, rates, measured.responses)
        written.append(rates)
    record_measurement(project_root(), settings, measured, folder / work.measured_summary.name)
    for path in written:
        typer.echo(path)


@app.command()
def loyalty(params: ParamsFile = DEFAULT_PARAMS) -> None:
    """Points and tiers of every scored customer, who is near the next one, and whether it pays."""
    from churnlab.config import read_params
    from churnlab.pipelines._loyalty import loyalty_of
    from churnlab.pipelines._run import Workspace

    settings = read_params(params)
    found = loyalty_of(settings)
    for name, tier in found["tiers"].items():
        typer.echo(
            f"{name}: {tier['customers']:,} customers, {tier['points']:,.0f} points, "
            f"{tier['near_next']:,} near the next tier"
        )
    typer.echo(
        f"It costs {found['cost']:,.2f} and is expected to bring {found['expected_return']:,.2f}, "
        f"if members spend {settings.loyalty.more_spend:.1%} more"
    )
    if found["break_even_more_spend"] is not None:
        typer.echo(f"It pays from {found['break_even_more_spend']:.2%} more on")
    typer.echo(Workspace.of(settings).loyalty)

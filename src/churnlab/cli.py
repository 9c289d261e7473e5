"""The command line: `churnlab …`."""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack, closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from churnlab.errors import ChurnlabError, exit_code, is_ending, one_line, quotes_data, withheld

if TYPE_CHECKING:
    from churnlab.config import Params

# Heavy libraries are imported inside the commands: `churnlab --help` must not wait for them.

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Which customers are about to leave, what each is worth, and whom to contact first.",
)
models = typer.Typer(no_args_is_help=True, help="The registered models and their champion.")
app.add_typer(models, name="models")

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
STAGES = {
    "ingest": "Read the source, quarantine what breaks the contract, write the orders.",
    "features": "Build the snapshots of the past and of today.",
    "train_clv": "Fit the purchase and spend models (BG/NBD family, Gamma-Gamma).",
    "train_churn": "Fit, blend and calibrate the learners (LightGBM, regressions).",
    "evaluate": "Backtest at past cutoffs beside the baselines.",
    "register": "Package the model, log the run to MLflow, promote it if it earned it.",
    "prioritise": "Make the priority list from the scores.",
    "report": "Write the HTML report and, on a terminal, show the top of the list.",
}
ORDER = (
    "ingest",
    "features",
    "train_clv",
    "train_churn",
    "evaluate",
    "register",
    "score",
    "prioritise",
    "report",
)


def _add_stage(name: str, text: str) -> None:
    def command(params: ParamsFile = DEFAULT_PARAMS) -> None:
        _run_stage(name, params)

    command.__doc__ = text
    app.command(name.replace("_", "-"))(command)
    if "_" in name:
        app.command(name, hidden=True)(command)  # as dvc.yaml spells it


def _run_stage(name: str, params: Path) -> None:
    from importlib import import_module

    from churnlab.config import read_params

    import_module(f"churnlab.pipelines.{name}").run(read_params(params))


for _name, _text in STAGES.items():
    _add_stage(_name, _text)


@app.command()
def run(params: ParamsFile = DEFAULT_PARAMS) -> None:
    """Run every stage in order without DVC."""
    from churnlab.operations.provenance import project_root
    from churnlab.operations.tracking_store import require_reachable

    require_reachable(project_root())
    for name in ORDER:
        _run_stage(name, params)


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
        _fail("--out and --sink: name one of them")
    if sink is not None and previous is not None:
        _fail("--previous: is for --out: a sink has the list before")
    if sink is None and (restate or file_format != "parquet"):
        _fail("--restate and --format: are for a sink: name one with --sink")
    run_log = RunLog("json") if log == "json" else RunLog.shown()
    with run_log.failures():
        settings = read_params(params)
        day = yesterday(settings, datetime.now(UTC)) if as_of is None else _day(as_of, "--as-of")
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
        found = audited(opened, customer, _day(day, "--date"))
    if as_json:
        for one in found:
            typer.echo(one.to_json())
    else:
        show(found, Console(highlight=False, markup=False, soft_wrap=True))


@app.command()
def why(
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER_ID")],
    params: ParamsFile = DEFAULT_PARAMS,
) -> None:
    """Why a customer is on the newest priority list, or is not, in plain words."""
    from churnlab.config import read_params
    from churnlab.pipelines._run import Workspace
    from churnlab.pipelines._why import said

    for line in said(Workspace.of(read_params(params)), customer):
        typer.echo(line)


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
    days = [_day(text, "--cutoff") for text in cutoff]
    if horizon is not None and not 1 <= horizon <= 3650:
        _fail(f"--horizon: {horizon} is not between 1 and 3650 days: name a number of days in between")
    backtest_source(settings, days, horizon, out, Workspace.of(settings).landing)
    typer.echo(out)


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
    """Compare treated with held-out customers of past lists: what each action kept, and whether it paid."""
    from rich.console import Console

    from churnlab.config import read_params
    from churnlab.engine import write_parquet
    from churnlab.operations.measuring import measure_source
    from churnlab.operations.plans import read_plan
    from churnlab.operations.save_rates_file import DEFAULT, write_save_rates
    from churnlab.pipelines._files import write_json
    from churnlab.pipelines._run import Workspace
    from churnlab.report.measured import show

    settings = read_params(params)
    work = Workspace.of(settings)
    if plan_date and len(plan_date) != len(plan):
        _fail(
            f"--plan-date: {len(plan_date)} for {len(plan)} of --plan: name one for each, in the same order"
        )
    days = [_day(text, "--plan-date") for text in plan_date] if plan_date else [None] * len(plan)
    horizon, last = settings.features.horizon_days, None if as_of is None else _day(as_of, "--as-of")
    plans = [read_plan(file, horizon, day) for file, day in zip(plan, days, strict=True)]
    measured = measure_source(settings, plans, last, work.landing)
    folder = out or work.measured.parent
    write_parquet(measured.found.table, folder / work.measured.name)
    write_json(measured.to_dict(), folder / work.measured_summary.name)
    show(measured, Console(highlight=False))
    written = [folder / work.measured.name, folder / work.measured_summary.name]
    if write_effects:
        rates = Path(settings.decisions.learned_effects or DEFAULT).expanduser()
        write_save_rates(measured.found.save_rates, measured.plans, rates)
        written.append(rates)
    for path in written:
        typer.echo(path)


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
    first, last = _day(start, "--from") if start else None, _day(end, "--to") if end else None
    found = figures_of(settings, first, last)
    work = Workspace.of(settings)
    folder = out or work.key_figures_table.parent / "figures"
    files = [
        folder / path.name for path in (work.key_figures_table, work.retention_cohorts, work.key_figures)
    ]
    write_figures(found, *files)
    for line in (found.stage.sentence, found.concentration.sentence, found.matrix.sentence, *files):
        typer.echo(line)


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
        first, last = _day(start, "--from"), _day(end, "--to")
        with closing(open_sink(sink, file_format)) as opened:
            found = migrated(from_sink(opened, first), from_sink(opened, last))
    else:
        _fail("migration: name --before and --after, or --sink with --from and --to")
    if out is not None:
        write_parquet(found.table, out)
    show(found, Console(highlight=False))
    if out is not None:
        typer.echo(out)


@models.command("list")
def list_models(params: ParamsFile = DEFAULT_PARAMS) -> None:
    """Every version, newest first, with its aliases and its gains over BTYD alone."""
    from churnlab.config import read_params
    from churnlab.operations import tracking
    from churnlab.operations.provenance import project_root

    name = read_params(params).registry.model_name
    for record in tracking.list_versions(project_root(), name):
        gains = " ".join(f"{k}={v}" for k, v in sorted(record.tags.items()) if k.startswith("gain_"))
        aliases = ",".join(record.aliases) or "-"
        typer.echo(f"{record.version}\t{aliases}\t{record.created:%Y-%m-%d %H:%M}\t{record.run_id}\t{gains}")


@models.command()
def promote(version: str, params: ParamsFile = DEFAULT_PARAMS) -> None:
    """Make VERSION the champion."""
    from churnlab.config import read_params
    from churnlab.operations import tracking
    from churnlab.operations.provenance import project_root

    names = read_params(params).registry
    tracking.promote(project_root(), names.model_name, names.champion_alias, version)
    typer.echo(f"{names.model_name}@{names.champion_alias} is version {version}")


@models.command()
def rollback(params: ParamsFile = DEFAULT_PARAMS) -> None:
    """Go back to the champion before the present one."""
    from churnlab.config import read_params
    from churnlab.operations import tracking
    from churnlab.operations.provenance import project_root

    names = read_params(params).registry
    record = tracking.rollback(project_root(), names.model_name, names.champion_alias)
    typer.echo(f"{names.model_name}@{names.champion_alias} is version {record.version}")


@app.command()
def forget(
    ids: Annotated[list[str] | None, typer.Argument(metavar="CUSTOMER_ID")] = None,
    params: ParamsFile = DEFAULT_PARAMS,
    file: IdsFile = None,
    also: Annotated[
        list[Path] | None,
        typer.Option(help="Another folder that churnlab wrote to (score --out); may be repeated."),
    ] = None,
    sink: Annotated[
        list[str] | None,
        typer.Option(help="Where lists were published, as of score --sink; may be repeated."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only search, change nothing.")] = False,
) -> None:
    """Erase customers from every file and list churnlab wrote, refuse them from now on, and prove it."""
    from churnlab.config import read_params
    from churnlab.operations.erasure.forgetting import forget, shown_remaining
    from churnlab.operations.erasure.shown import show
    from churnlab.operations.sinks.targets import open_lists

    settings = read_params(params)
    with ExitStack() as opened:
        lists = [one for target in sink or () for one in open_lists(target)]
        for one in lists:
            opened.callback(one.close)
        done = forget(settings, _ids(ids, file), datetime.now(UTC), also or (), dry_run, lists)
    show(done, dry_run)
    if done.remaining and not dry_run:
        _fail(
            f"forget: {len(done.remaining)} files still name them: {shown_remaining(done.remaining)}: "
            "mend or delete these, then run the command again"
        )


@app.command()
def pseudonym(
    ids: Annotated[list[str] | None, typer.Argument(metavar="CUSTOMER_ID")] = None,
    params: ParamsFile = DEFAULT_PARAMS,
    file: IdsFile = None,
    out: Annotated[Path | None, typer.Option(help="CSV file for ids and pseudonyms.")] = None,
) -> None:
    """Print the keyed hashes of ids (data.privacy.hash_ids), to find customers on a list."""
    from churnlab.config import read_params
    from churnlab.data.pseudonyms import pseudonym, read_key
    from churnlab.operations.erasure.spellings import by_policy

    settings = read_params(params)
    key, names = read_key(settings.data.privacy), by_policy(_ids(ids, file), settings)
    pairs = {"customer_id": names, "pseudonym": [pseudonym(key, name) for name in names]}
    if out is None:
        for name, hashed in zip(*pairs.values(), strict=True):
            typer.echo(f"{name}\t{hashed}")
        return
    from pandas import DataFrame

    from churnlab.operations.sinks.csv_files import write_csv

    write_csv(DataFrame(pairs), out)
    typer.echo(out)


def _ids(named: list[str] | None, file: Path | None) -> list[str]:
    """The ids of the command line, then those of the file; each once."""
    try:
        listed = file.read_text(encoding="utf-8-sig").splitlines() if file else []
    except (OSError, UnicodeDecodeError):
        _fail(f"--file: {file} cannot be read as UTF-8 text: name a file with one id on each line")
    ids = list(dict.fromkeys([*(named or []), *filter(str.strip, listed)]))
    return ids or _fail("CUSTOMER_ID: none is named: name one or more, or a file of them with --file")


def _day(text: str, option: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        _fail(f"{option}: {text!r} is not a day: write it as YYYY-MM-DD")


def _fail(message: str) -> NoReturn:
    raise ChurnlabError(message)


def main() -> None:
    """Run the command line: what is no defect is one line on stderr and exit code 2, or 75 to try again."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app()
    except Exception as error:
        if is_ending():  # an interrupted query is no defect
            sys.exit(128 + signal.SIGTERM)
        line = one_line(error)
        if line is not None:
            _end(line, exit_code(error))
        if not quotes_data(error):
            raise
        sys.stderr.write(withheld(error))
        sys.exit(1)


def _terminated(number: int, _frame: Any) -> NoReturn:
    """Unwind as after an error, so that files and transactions are taken back."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + number)


def _end(message: str, code: int) -> NoReturn:
    sys.stderr.write(f"{message}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()

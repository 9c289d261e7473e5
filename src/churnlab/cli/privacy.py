"""Forgetting customers, and finding those whose ids are hashed."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from churnlab.cli.options import DEFAULT_PARAMS, IdsFile, ParamsFile, app, fail, named_ids


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
        done = forget(settings, named_ids(ids, file), datetime.now(UTC), also or (), dry_run, lists)
    show(done, dry_run)
    if done.remaining and not dry_run:
        fail(
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
    key, names = read_key(settings.data.privacy), by_policy(named_ids(ids, file), settings)
    pairs = {"customer_id": names, "pseudonym": [pseudonym(key, name) for name in names]}
    if out is None:
        for name, hashed in zip(*pairs.values(), strict=True):
            typer.echo(f"{name}\t{hashed}")
        return
    from pandas import DataFrame

    from churnlab.operations.sinks.csv_files import write_csv

    write_csv(DataFrame(pairs), out)
    typer.echo(out)

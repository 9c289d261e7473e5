"""The registered models and their champion."""

from __future__ import annotations

import typer

from churnlab.cli.options import DEFAULT_PARAMS, ParamsFile, app

models = typer.Typer(no_args_is_help=True, help="The registered models and their champion.")
app.add_typer(models, name="models")


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

"""One command for each stage of the pipeline, and one for all."""

from __future__ import annotations

from pathlib import Path

from churnlab.cli.options import DEFAULT_PARAMS, ParamsFile, app

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

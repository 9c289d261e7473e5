"""Records runs, finds them again, adds to them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from churnlab.errors import TrackingError
from churnlab.operations.provenance import commit
from churnlab.operations.run_entries import MAX_TAG_CHARACTERS, entry_name, flat_params, shortened
from churnlab.operations.tracking.client import connected, explained
from churnlab.operations.tracking_store import artifact_folder, place

KEY_TAG = "churnlab.key"
_PARAMS_PER_CALL = 100  # MLflow refuses larger batches


def record_run(
    root: Path,
    *,
    experiment: str,
    run_name: str,
    key: str,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
    series: Mapping[str, Mapping[int, float]] | None = None,
    artifacts: Sequence[tuple[Path, str]] = (),
    figures: Mapping[str, Any] | None = None,
) -> str:
    """Record one finished run.

    Parameters
    ----------
    root
        The project's folder (`provenance.project_root`).
    key
        What makes the run's result what it is; `find_run` finds the run by it.
    params
        May be nested: logged by dotted name, and in full as the artifact params.json.
    series
        Metrics with several values, by step: MLflow draws them as curves.
    tags
        Added to the git commit and, inside a DVC experiment, its name.
    artifacts
        Files or folders, each with the folder of the run that receives it ("" for the top).
    figures
        HTML, or plotly figures, by name; logged as figures/NAME.html.

    Returns
    -------
    str
        The run's id. If anything fails the run is marked FAILED and `find_run` does not return it.

    Raises
    ------
    TrackingError
        MLflow cannot be reached, or refuses.
    """
    with explained(root, f"record run {run_name!r}"):
        client = connected(root)
        identity = {**_origin_tags(root), **tags, KEY_TAG: key}
        text = {entry_name(name): shortened(value, MAX_TAG_CHARACTERS) for name, value in identity.items()}
        run = client.create_run(_experiment_id(client, root, experiment), run_name=run_name, tags=text)
        run_id: str = run.info.run_id
        status = "FAILED"
        try:
            _log_params(client, run_id, params)
            _log_metrics(client, run_id, {**_single(metrics), **(series or {})})
            _log_artifacts(client, run_id, artifacts)
            for name, figure in (figures or {}).items():
                html = figure if isinstance(figure, str) else figure.to_html(include_plotlyjs="cdn")
                client.log_text(run_id, html, f"figures/{name}.html")
            status = "FINISHED"
        finally:
            client.set_terminated(run_id, status)
        return run_id


def find_run(root: Path, experiment: str, key: str) -> str | None:
    """The id of the newest finished run recorded with `key`, or None."""
    with explained(root, f"look for a run in experiment {experiment!r}"):
        client = connected(root)
        found = client.get_experiment_by_name(experiment)
        if found is None:
            return None
        wanted = f"tags.`{KEY_TAG}` = '{key}' AND attributes.status = 'FINISHED'"
        runs = client.search_runs(
            [found.experiment_id], wanted, max_results=1, order_by=["attributes.start_time DESC"]
        )
        return runs[0].info.run_id if runs else None


def add_to_run(
    root: Path, run_id: str, metrics: Mapping[str, float], artifacts: Sequence[tuple[Path, str]] = ()
) -> None:
    """Add metrics and artifacts, as in `record_run`, to a run that exists."""
    with explained(root, f"add to run {run_id}"):
        client = connected(root)
        _log_metrics(client, run_id, _single(metrics))
        _log_artifacts(client, run_id, artifacts)


def _origin_tags(root: Path) -> dict[str, str]:
    """Commit and DVC experiment; inside DVC's copy of the project, those of the copy."""
    here = Path.cwd()
    found = commit(here if root.resolve() in (here, *here.parents) else root)
    tags = {"mlflow.source.name": "churnlab", "mlflow.source.type": "LOCAL"}
    if found:
        tags |= {
            "mlflow.source.git.commit": found.sha,
            "git_commit": found.sha,
            "git_dirty": str(found.dirty).lower(),
        }
    if experiment := os.environ.get("DVC_EXP_NAME"):
        tags["dvc_experiment"] = experiment
    return tags


def _experiment_id(client: Any, root: Path, name: str) -> str:
    """The experiment's id; made first, with artifacts inside the project, if it is new."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    found = client.get_experiment_by_name(name)
    if found is None:
        folder = artifact_folder(root)
        try:
            return str(client.create_experiment(name, artifact_location=str(folder) if folder else None))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_experiment_by_name(name)  # another process was faster
    _require_usable(found, root)
    return str(found.experiment_id)


def _require_usable(experiment: Any, root: Path) -> None:
    if experiment.lifecycle_stage != "active":
        raise TrackingError(
            f"MLflow ({place(root)}): experiment {experiment.name!r} was deleted: restore it "
            f"(mlflow experiments restore -x {experiment.experiment_id}), or change registry.experiment"
        )
    folder = Path(experiment.artifact_location)
    if artifact_folder(root) and folder.is_absolute() and not folder.parent.exists():
        raise TrackingError(
            f"MLflow ({place(root)}): experiment {experiment.name!r} keeps its files in {folder}, which is "
            "not there: move the project back, or move mlflow.db away to start a new one"
        )


def _log_params(client: Any, run_id: str, params: Mapping[str, Any]) -> None:
    from mlflow.entities import Param  # noqa: PLC0415

    entries = [Param(name, value) for name, value in flat_params(params).items()]
    for start in range(0, len(entries), _PARAMS_PER_CALL):
        client.log_batch(run_id, params=entries[start : start + _PARAMS_PER_CALL])
    client.log_text(run_id, json.dumps(params, indent=2, default=str, ensure_ascii=False), "params.json")


def _single(metrics: Mapping[str, float]) -> dict[str, dict[int, float]]:
    """Metrics of one value as series of one step."""
    return {name: {0: value} for name, value in metrics.items()}


def _log_metrics(client: Any, run_id: str, metrics: Mapping[str, Mapping[int, float]]) -> None:
    from mlflow.entities import Metric  # noqa: PLC0415

    now = int(time.time() * 1000)
    entries = [
        Metric(entry_name(name), float(value), now, step)
        for name, values in metrics.items()
        for step, value in values.items()
    ]
    for start in range(0, len(entries), _PARAMS_PER_CALL):
        client.log_batch(run_id, metrics=entries[start : start + _PARAMS_PER_CALL])


def _log_artifacts(client: Any, run_id: str, artifacts: Sequence[tuple[Path, str]]) -> None:
    for path, folder in artifacts:
        log = client.log_artifacts if path.is_dir() else client.log_artifact
        log(run_id, str(path), folder or None)

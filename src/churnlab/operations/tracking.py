"""Everything churnlab asks of MLflow: runs, packaged models and the registry of their versions.

Every call names its store, so that nothing here changes MLflow's active run or default address.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import re
import shutil
import tempfile
import time
import urllib.parse
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from churnlab.errors import TrackingError
from churnlab.operations.provenance import commit
from churnlab.operations.run_entries import MAX_TAG_CHARACTERS, entry_name, flat_params, shortened
from churnlab.operations.served_model import AS_OF, SCORER, pip_requirements
from churnlab.operations.tracking_store import artifact_folder, masked, place, tracking_uri

if TYPE_CHECKING:
    import pandas as pd

KEY_TAG = "churnlab.key"
_MODEL = "model"
_PARAMS_PER_CALL = 100  # MLflow refuses larger batches
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
}


@dataclass(frozen=True)
class ModelRecord:
    """One version of a registered model."""

    name: str
    version: str
    run_id: str
    created: datetime
    tags: dict[str, str]
    aliases: tuple[str, ...]


class FetchedModel(NamedTuple):
    """A model folder on this machine, and which version and run it came from."""

    folder: Path
    version: str
    run_id: str


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
    with _explained(root, f"record run {run_name!r}"):
        client = _client(root)
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
    with _explained(root, f"look for a run in experiment {experiment!r}"):
        client = _client(root)
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
    with _explained(root, f"add to run {run_id}"):
        client = _client(root)
        _log_metrics(client, run_id, _single(metrics))
        _log_artifacts(client, run_id, artifacts)


def log_model(
    root: Path,
    run_id: str,
    model_dir: Path,
    *,
    registered_name: str,
    input_example: pd.DataFrame,
    output_example: pd.DataFrame,
    tags: Mapping[str, str],
    loader: str = SCORER,
    code_paths: Sequence[Path] = (),
) -> str:
    """Package a model folder with churnlab's code, log it to a run and register it.

    `mlflow.pyfunc.load_model("models:/NAME@ALIAS").predict(features)` then works wherever the
    dependencies of the model's requirements.txt are installed, churnlab itself not among them.

    Parameters
    ----------
    model_dir
        The model's files, JSON and text.
    input_example, output_example
        A few rows of features and of the model's answer to them: they fix the signature, and the
        features are stored with the model, so they must not be a real customer's.
    tags
        Of the new version.
    loader
        `module:Class`; `Class.load(folder).predict(features)` gives the scores.
    code_paths
        Modules or packages to ship besides churnlab.

    Returns
    -------
    str
        The new version's number.

    Raises
    ------
    TrackingError
        MLflow cannot be reached, or refuses.
    """
    with _explained(root, f"log model {registered_name!r}"):
        from mlflow.entities import LoggedModelOutput  # noqa: PLC0415

        client = _client(root)
        run = client.get_run(run_id)
        logged = client.create_logged_model(
            run.info.experiment_id, name=_MODEL, source_run_id=run_id, params=run.data.params
        )
        status = "FAILED"
        try:
            with tempfile.TemporaryDirectory(prefix="churnlab-") as staging:
                package = Path(staging) / _MODEL
                identity = {"model_id": logged.model_id, "run_id": run_id}
                examples = (input_example, output_example)
                _save_package(package, model_dir, identity, examples, loader, code_paths)
                client.log_model_artifacts(logged.model_id, str(package))
            client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
            status = "READY"
        finally:
            client.finalize_logged_model(logged.model_id, status)
        _ensure_registered(client, registered_name)
        version = client.create_model_version(
            registered_name,
            # not models:/ID, which the registry would look up at MLflow's default address
            source=logged.artifact_location,
            run_id=run_id,
            tags=dict(tags),
            model_id=logged.model_id,
        )
        return str(version.version)


def list_versions(root: Path, name: str) -> list[ModelRecord]:
    """All versions of a registered model, newest first; empty if there is no such model."""
    with _explained(root, f"list versions of model {name!r}"):
        client = _client(root)
        aliases = _aliases(client, name)
        if aliases is None:
            return []
        found: list[Any] = []
        page = client.search_model_versions(f"name = '{name}'")
        found.extend(page)
        while page.token:
            page = client.search_model_versions(f"name = '{name}'", page_token=page.token)
            found.extend(page)
        records = [_record(version, aliases) for version in found]
        return sorted(records, key=lambda record: int(record.version), reverse=True)


def champion(root: Path, name: str, alias: str) -> ModelRecord | None:
    """The version that `alias` points at; None if there is no such model or alias yet."""
    with _explained(root, f"look up model {name}@{alias}"):
        client = _client(root)
        aliases = _aliases(client, name)
        if aliases is None or alias not in aliases:
            return None
        return _record(client.get_model_version(name, aliases[alias]), aliases)


def promote(root: Path, name: str, alias: str, version: str) -> None:
    """Point `alias` at `version`, and note on it which version it follows, for `rollback`."""
    with _explained(root, f"promote version {version} of model {name!r}"):
        client = _client(root)
        client.get_model_version(name, version)
        current = (_aliases(client, name) or {}).get(alias)
        if current == str(version):
            return
        if current is not None:
            client.set_model_version_tag(name, version, f"previous_{alias}", current)
        client.set_registered_model_alias(name, alias, version)


def rollback(root: Path, name: str, alias: str) -> ModelRecord:
    """Point `alias` back at the version that its current one followed.

    Raises
    ------
    TrackingError
        Nothing holds the alias, or what holds it followed no other version.
    """
    current = champion(root, name, alias)
    if current is None:
        raise TrackingError(
            f"{place(root)}: no version of model {name!r} is {alias}: promote one (churnlab models promote)"
        )
    previous = current.tags.get(f"previous_{alias}")
    if previous is None:
        raise TrackingError(
            f"{place(root)}: version {current.version} of model {name!r} is the first {alias}, so there is "
            "nothing to go back to: promote another version (churnlab models list, then promote)"
        )
    with _explained(root, f"go back to version {previous} of model {name!r}"):
        client = _client(root)
        client.get_model_version(name, previous)
        client.set_registered_model_alias(name, alias, previous)
        return _record(client.get_model_version(name, previous), _aliases(client, name) or {})


def fetch_model(root: Path, uri: str) -> FetchedModel:
    """Bring a model's own files to this machine.

    Parameters
    ----------
    uri
        `models:/NAME@ALIAS`, `models:/NAME/VERSION`, `runs:/RUN_ID/model`, or a folder: a model's own
        or one packaged by `log_model`. A folder is read without MLflow; its version is "local".

    Returns
    -------
    FetchedModel
        Files fetched from a server last until the process ends.

    Raises
    ------
    TrackingError
        There is no such model, or MLflow cannot be reached.
    """
    if not is_registered(uri):
        return FetchedModel(_own_files(Path(uri), uri), "local", "")
    with _explained(root, f"fetch model {uri}"):
        location, version, run_id = _locate(_client(root), uri)
        return FetchedModel(_own_files(_download(root, location), uri), version, run_id)


def is_registered(uri: str) -> bool:
    """Whether MLflow knows the model, rather than a folder."""
    return re.match(r"(models|runs):", uri) is not None


def _client(root: Path) -> Any:
    """A client of the project's store, with MLflow's chatter off; its warnings and errors stay."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(os.environ["MLFLOW_LOGGING_LEVEL"].upper())
    from mlflow import MlflowClient  # noqa: PLC0415 - MLflow takes a second to import

    uri = tracking_uri(root)
    return MlflowClient(uri, registry_uri=os.environ.get("MLFLOW_REGISTRY_URI") or uri)


@contextmanager
def _explained(root: Path, doing: str) -> Iterator[None]:
    """Turn whatever MLflow, its database or the disk raises into one line."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        finding = masked(" ".join(str(error).split()))[:300].rstrip(".")
        raise TrackingError(
            f"MLflow ({place(root)}) cannot {doing}: {finding}: {_remedy(root, error)}"
        ) from error


def _remedy(root: Path, error: Exception) -> str:
    code = getattr(error, "error_code", "")
    if code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
        return "check the name (churnlab models list), or run the stage that writes it (dvc repro)"
    if code in ("PERMISSION_DENIED", "UNAUTHENTICATED"):
        return "check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
    if artifact_folder(root):
        return "check that the file is MLflow's own, and that its folder and disk can be written to"
    return "look at the server's log, or unset MLFLOW_TRACKING_URI to use mlflow.db here"


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


def _save_package(
    package: Path,
    model_dir: Path,
    identity: Mapping[str, str],
    examples: tuple[pd.DataFrame, pd.DataFrame],
    loader: str,
    code_paths: Sequence[Path],
) -> None:
    """Write an MLflow model folder: the model's files, the code that reads them, what that code needs."""
    import mlflow.pyfunc  # noqa: PLC0415
    from mlflow.models import Model  # noqa: PLC0415

    source = package.with_name("code") / "churnlab"
    shutil.copytree(Path(__file__).parents[1], source, ignore=shutil.ignore_patterns("__pycache__"))
    with warnings.catch_warnings():
        # whole numbers without gaps are what these columns hold, at prediction as in the example
        warnings.filterwarnings("ignore", message=".*Inferred schema contains integer column")
        mlflow.pyfunc.save_model(
            str(package),
            loader_module="churnlab.operations.served_model",
            data_path=str(model_dir),
            code_paths=[str(source), *map(str, code_paths)],
            mlflow_model=Model(**identity),
            signature=_signature(*examples),
            input_example=examples[0],
            pip_requirements=pip_requirements(),
            model_config={"loader": loader},
        )


def _signature(features: pd.DataFrame, scores: pd.DataFrame) -> Any:
    """The columns and types in and out; each feature is required, though it may be NaN."""
    from mlflow.models import infer_signature  # noqa: PLC0415
    from mlflow.types.schema import ColSpec, ParamSchema, ParamSpec, Schema  # noqa: PLC0415

    signature = infer_signature(features, scores)
    # MLflow takes a column with a NaN in the example for one that may be absent
    signature.inputs = Schema([ColSpec(column.type, column.name) for column in signature.inputs.inputs])
    signature.params = ParamSchema([ParamSpec(AS_OF, "string", "")])
    return signature


def _ensure_registered(client: Any, name: str) -> None:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _aliases(client: Any, name: str) -> dict[str, str] | None:
    """Version by alias; None if there is no such model."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        aliases = client.get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return {alias: str(version) for alias, version in aliases.items()}


def _record(version: Any, aliases: Mapping[str, str]) -> ModelRecord:
    number = str(version.version)
    return ModelRecord(
        name=version.name,
        version=number,
        run_id=version.run_id or "",
        created=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
        tags=dict(version.tags),
        aliases=tuple(sorted(alias for alias, held_by in aliases.items() if held_by == number)),
    )


def _locate(client: Any, uri: str) -> tuple[str, str, str]:
    """The artifact location, version and run id that a models:/ or runs:/ address stands for."""
    if by_run := re.fullmatch(r"runs:/+([^/]+)(/model/?)?", uri):
        return _locate_in_run(client, by_run[1])
    if by_alias := re.fullmatch(r"models:/+([^/@]+)@([^/]+)", uri):
        version = client.get_model_version_by_alias(by_alias[1], by_alias[2])
    elif by_number := re.fullmatch(r"models:/+([^/@]+)/(\d+)", uri):
        version = client.get_model_version(by_number[1], by_number[2])
    else:
        raise TrackingError(
            f"{uri}: is no model address: write models:/NAME@ALIAS, models:/NAME/VERSION, "
            "runs:/RUN_ID/model or a folder"
        )
    location = client.get_model_version_download_uri(version.name, version.version)
    return location, str(version.version), version.run_id or ""


def _locate_in_run(client: Any, run_id: str) -> tuple[str, str, str]:
    outputs = client.get_run(run_id).outputs
    if not outputs or not outputs.model_outputs:
        raise TrackingError(f"runs:/{run_id}: the run holds no model: name a run of the register stage")
    versions = client.search_model_versions(f"run_id = '{run_id}'")
    number = str(versions[0].version) if versions else "unregistered"
    return client.get_logged_model(outputs.model_outputs[-1].model_id).artifact_location, number, run_id


def _download(root: Path, location: str) -> Path:
    from mlflow.artifacts import download_artifacts  # noqa: PLC0415

    address = urllib.parse.urlsplit(location)
    if address.scheme in ("", "file"):
        return Path(urllib.parse.unquote(address.path) if address.scheme else location)
    folder = tempfile.mkdtemp(prefix="churnlab-model-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(download_artifacts(location, dst_path=folder, tracking_uri=tracking_uri(root)))


def _own_files(folder: Path, uri: str) -> Path:
    """The model's own files in `folder`, which may be MLflow's package around them."""
    if not folder.is_dir():
        raise TrackingError(f"{uri}: its folder {folder} is not there: train a model first (dvc repro)")
    if not (folder / "MLmodel").is_file():
        return folder
    inside = [path for path in folder.glob("data/*") if path.is_dir()]
    if len(inside) != 1:
        raise TrackingError(f"{uri}: was not packaged by churnlab: name a model that churnlab registered")
    return inside[0]

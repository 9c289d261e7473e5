"""Brings a model's own files to this machine."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
import urllib.parse
from pathlib import Path
from typing import Any, NamedTuple

from churnlab.errors import TrackingError
from churnlab.operations.tracking.client import connected, explained
from churnlab.operations.tracking_store import tracking_uri


class FetchedModel(NamedTuple):
    """A model folder on this machine, and which version and run it came from."""

    folder: Path
    version: str
    run_id: str


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
    with explained(root, f"fetch model {uri}"):
        location, version, run_id = _locate(connected(root), uri)
        return FetchedModel(_own_files(_download(root, location), uri), version, run_id)


def is_registered(uri: str) -> bool:
    """Whether MLflow knows the model, rather than a folder."""
    return re.match(r"(models|runs):", uri) is not None


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

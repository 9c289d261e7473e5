"""A client of the project's MLflow store, and what its refusals mean in one line."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from churnlab.errors import TrackingError
from churnlab.operations.tracking_store import artifact_folder, masked, place, tracking_uri

_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
}


def connected(root: Path) -> Any:
    """A client of the project's store, with MLflow's chatter off; its warnings and errors stay."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(os.environ["MLFLOW_LOGGING_LEVEL"].upper())
    from mlflow import MlflowClient  # noqa: PLC0415 - MLflow takes a second to import

    uri = tracking_uri(root)
    return MlflowClient(uri, registry_uri=os.environ.get("MLFLOW_REGISTRY_URI") or uri)


@contextmanager
def explained(root: Path, doing: str) -> Iterator[None]:
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

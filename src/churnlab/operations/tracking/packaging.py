"""Packages a model folder with the code that reads it, logs it to a run, registers it."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churnlab.operations.served_model import AS_OF, SCORER, pip_requirements
from churnlab.operations.tracking.client import connected, explained
from churnlab.operations.tracking.registry import ensure_registered

if TYPE_CHECKING:
    import pandas as pd

_MODEL = "model"


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
    with explained(root, f"log model {registered_name!r}"):
        from mlflow.entities import LoggedModelOutput  # noqa: PLC0415

        client = connected(root)
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
        ensure_registered(client, registered_name)
        version = client.create_model_version(
            registered_name,
            # not models:/ID, which the registry would look up at MLflow's default address
            source=logged.artifact_location,
            run_id=run_id,
            tags=dict(tags),
            model_id=logged.model_id,
        )
        return str(version.version)


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
    shutil.copytree(Path(__file__).parents[2], source, ignore=shutil.ignore_patterns("__pycache__"))
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

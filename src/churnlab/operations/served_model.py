"""How MLflow, on any machine, turns a packaged churnlab model back into one that predicts.

MLflow imports this module by name from the code packaged with the model: no pickles.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from churnlab.errors import TrackingError

if TYPE_CHECKING:
    import pandas as pd

AS_OF = "as_of"
SCORER = "churnlab.models.scorer:Scorer"
_NOT_SERVED = ("dvc", "jinja2", "plotly", "rich", "typer")


class Scores(Protocol):
    """What a loader's class offers besides `load`."""

    def predict(self, features: pd.DataFrame, as_of: date | None = None) -> pd.DataFrame:
        """One row of scores per row of features."""


class ServedModel:
    """A loaded model in the shape MLflow calls."""

    def __init__(self, scorer: Scores) -> None:
        self.scorer = scorer

    def predict(self, features: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """One row of scores per row of features.

        `params` may hold `as_of`, the last day known to the features as YYYY-MM-DD; unless given, the day
        of training.
        """
        day = (params or {}).get(AS_OF)
        return self.scorer.predict(features, date.fromisoformat(day) if day else None)


def _load_pyfunc(path: str, model_config: dict[str, Any] | None = None) -> ServedModel:
    """MLflow's hook: load the model folder at `path` with the class named by `loader`."""
    module, _, name = (model_config or {}).get("loader", SCORER).partition(":")
    loader = getattr(importlib.import_module(module), name)
    return ServedModel(loader.load(Path(path)))


def pip_requirements() -> list[str]:
    """churnlab's dependencies at the versions now running, without those that only pipelines need.

    Raises
    ------
    TrackingError
        churnlab runs from a bare folder, so that its dependencies are unknown.
    """
    try:
        declared = importlib.metadata.requires("churnlab") or []
    except importlib.metadata.PackageNotFoundError as error:
        raise TrackingError(
            "churnlab is not installed, so its dependencies are unknown: pip install ."
        ) from error
    named = (re.match(r"([\w.-]+)(\[[\w,.-]+\])?", line) for line in declared if "extra ==" not in line)
    kept = (found for found in named if found and found[1].lower() not in _NOT_SERVED)
    return sorted(f"{found[0]}=={importlib.metadata.version(found[1])}" for found in kept)

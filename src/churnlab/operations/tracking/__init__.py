"""Everything churnlab asks of MLflow: runs, packaged models and the registry of their versions.

Every call names its store, so that nothing here changes MLflow's active run or default address.
"""

from churnlab.operations.tracking.fetching import FetchedModel, fetch_model, is_registered
from churnlab.operations.tracking.packaging import log_model
from churnlab.operations.tracking.registry import ModelRecord, champion, list_versions, promote, rollback
from churnlab.operations.tracking.runs import KEY_TAG, add_to_run, find_run, record_run

__all__ = [
    "KEY_TAG",
    "FetchedModel",
    "ModelRecord",
    "add_to_run",
    "champion",
    "fetch_model",
    "find_run",
    "is_registered",
    "list_versions",
    "log_model",
    "promote",
    "record_run",
    "rollback",
]

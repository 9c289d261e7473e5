"""The versions of a registered model: which there are, and which of them is the champion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from churnlab.errors import TrackingError
from churnlab.operations.tracking.client import connected, explained
from churnlab.operations.tracking_store import place


@dataclass(frozen=True)
class ModelRecord:
    """One version of a registered model."""

    name: str
    version: str
    run_id: str
    created: datetime
    tags: dict[str, str]
    aliases: tuple[str, ...]


def list_versions(root: Path, name: str) -> list[ModelRecord]:
    """All versions of a registered model, newest first; empty if there is no such model."""
    with explained(root, f"list versions of model {name!r}"):
        client = connected(root)
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
    with explained(root, f"look up model {name}@{alias}"):
        client = connected(root)
        aliases = _aliases(client, name)
        if aliases is None or alias not in aliases:
            return None
        return _record(client.get_model_version(name, aliases[alias]), aliases)


def promote(root: Path, name: str, alias: str, version: str) -> None:
    """Point `alias` at `version`, and note on it which version it follows, for `rollback`."""
    with explained(root, f"promote version {version} of model {name!r}"):
        client = connected(root)
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
    with explained(root, f"go back to version {previous} of model {name!r}"):
        client = connected(root)
        client.get_model_version(name, previous)
        client.set_registered_model_alias(name, alias, previous)
        return _record(client.get_model_version(name, previous), _aliases(client, name) or {})


def ensure_registered(client: Any, name: str) -> None:
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

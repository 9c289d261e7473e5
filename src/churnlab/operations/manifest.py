"""What a run read, wrote, used and took: manifest.json."""

from __future__ import annotations

import hashlib
import json
import platform
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from churnlab.config import Params
from churnlab.engine import write_text
from churnlab.operations.provenance import commit, project_root

LIBRARIES = (
    "churnlab",
    "duckdb",
    "ibis-framework",
    "lifetimes",
    "lightgbm",
    "numpy",
    "pandas",
    "scikit-learn",
)


class Manifest:
    """Collects figures during a run and writes them at its end."""

    def __init__(self) -> None:
        self._figures: dict[str, Any] = {"seconds": {}, "files": {}}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step."""
        start = time.perf_counter()
        yield
        self._figures["seconds"][name] = round(time.perf_counter() - start, 3)

    def note(self, **figures: Any) -> None:
        """Add named figures."""
        self._figures |= figures

    @property
    def code_version(self) -> str:
        """churnlab's version, and the commit of the project that runs it."""
        code, number = commit(project_root()), _version("churnlab") or "unknown"
        return f"{number}+{code.sha[:12]}{'.changed' if code.dirty else ''}" if code else number

    def file(self, path: Path) -> str:
        """Add a written file's size and SHA-256, and give the latter."""
        with path.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
        self._figures["files"][path.name] = {"bytes": path.stat().st_size, "sha256": digest}
        return digest

    def write(self, path: Path) -> None:
        """Write everything, with versions of code and libraries and peak memory (MiB)."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        bytes_per_unit = 1 if sys.platform == "darwin" else 1024
        code = commit(project_root())
        whole = self._figures | {
            "commit": code and asdict(code),
            "versions": {name: _version(name) for name in LIBRARIES} | {"python": platform.python_version()},
            "peak_memory_mb": round(peak * bytes_per_unit / 2**20, 1),
        }
        write_text(json.dumps(whole, indent=1, sort_keys=True, default=str) + "\n", path)


def _version(name: str) -> str | None:
    """None where a library runs from a bare folder."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def params_version(params: Params) -> str:
    """Digest of all parameters, 12 hexadecimal digits."""
    return hashlib.sha256(params.model_dump_json().encode()).hexdigest()[:12]

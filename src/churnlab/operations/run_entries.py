"""Nested parameters and free text in the form that MLflow stores."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

MAX_PARAM_CHARACTERS = 500  # servers before MLflow 2.8 hold no more; later ones 6000
MAX_TAG_CHARACTERS = 5000
MAX_NAME_CHARACTERS = 250


def flat_params(params: Mapping[str, Any]) -> dict[str, str]:
    """Parameters by dotted name, values written as in JSON, strings as they are.

    A value longer than 500 characters is cut and ends in a digest of the whole, so that runs with
    different values still differ.

    Examples
    --------
    >>> flat_params({"clv": {"margin": 0.3, "families": ["bgnbd"], "cap": None}, "workspace": "."})
    {'clv.margin': '0.3', 'clv.families': '["bgnbd"]', 'clv.cap': 'null', 'workspace': '.'}
    """
    entries: dict[str, str] = {}
    for name, value in params.items():
        if isinstance(value, Mapping) and value:
            inner = flat_params({f"{name}.{key}": inner for key, inner in value.items()})
            entries.update(inner)
        else:
            entries[entry_name(name)] = shortened(_written(value), MAX_PARAM_CHARACTERS)
    return entries


def entry_name(name: str) -> str:
    """`name` with each character that MLflow refuses replaced by its code point.

    Examples
    --------
    >>> entry_name("recall@10%")
    'recall_40_10_25_'
    """
    allowed = re.sub(r"[^\w.\- :]", lambda found: f"_{ord(found[0]):x}_", name)
    return shortened(allowed, MAX_NAME_CHARACTERS)


def shortened(text: str, limit: int) -> str:
    """`text` itself, or its beginning and a digest of the whole in `limit` characters."""
    if len(text) <= limit:
        return text
    end = f"... sha256:{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return text[: limit - len(end)] + end


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)

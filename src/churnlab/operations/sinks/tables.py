"""The tables that a database holds: the lists of all dates, their refused lines, and what was done when."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from churnlab.operations.scoring import SCORES
from churnlab.operations.sinks.lists import dated_schema


@dataclass(frozen=True)
class Table:
    """Name, columns and primary key (none: empty)."""

    name: str
    schema: pa.Schema
    key: tuple[str, ...] = ()

    @property
    def columns(self) -> str:
        """The names as SQL."""
        return ", ".join(f'"{name}"' for name in self.schema.names)


SCORES_TABLE = Table("scores", SCORES, ("as_of", "customer_id"))
SUPERSEDED = Table(
    "scores_superseded",
    SCORES.append(pa.field("revision", pa.int64())),
    ("as_of", "revision", "customer_id"),
)
QUARANTINE_TABLE = Table("quarantine", dated_schema())
PUBLICATIONS = Table(
    "publications",
    pa.schema(
        {
            "as_of": pa.date32(),
            "revision": pa.int64(),
            "model_version": pa.string(),
            "run_id": pa.string(),
            "data_version": pa.string(),
            "params_version": pa.string(),
            "code_version": pa.string(),
            "rows": pa.int64(),
            "sha256": pa.string(),
            "published_at": pa.timestamp("us", "UTC"),
        }
    ),
    ("as_of", "revision"),
)
ERASURES = Table(
    "erasures",
    pa.schema(
        {
            "as_of": pa.date32(),
            "revision": pa.int64(),
            "rows_left": pa.int64(),
            "erased_at": pa.timestamp("us", "UTC"),
        }
    ),
    ("as_of", "revision", "erased_at"),
)
TABLES = (SCORES_TABLE, SUPERSEDED, QUARANTINE_TABLE, PUBLICATIONS, ERASURES)
STAGED, STAGED_QUARANTINE = "churnlab_staged_scores", "churnlab_staged_quarantine"

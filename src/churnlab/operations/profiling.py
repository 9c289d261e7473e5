"""`churnlab profile`: reads a source as ingest does, and looks at it. No model is fitted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from churnlab.config import Params
from churnlab.data.ingestion import ingest
from churnlab.engine import connect
from churnlab.features.profile import Profile, profile

if TYPE_CHECKING:
    import ibis.expr.types as ir


def profile_source(params: Params, landing: Path | None = None) -> Profile:
    """What is in the source that the parameters name.

    Parameters
    ----------
    landing
        Where an incremental source keeps what it has read.

    Raises
    ------
    DataError
        The source cannot be read.
    ConfigError
        A key of the section `data` is not usable.
    """
    return profile(*_ingested(params, landing), params)


def _ingested(params: Params, landing: Path | None) -> tuple[ir.Table, ir.Table, dict[str, Any]]:
    """Orders, and quarantine and summary of the transactions."""
    con = connect(params.engine)
    found = ingest(con, params.data, landing)
    summary = found.summary | {"cautions": found.cautions}
    quarantine = found.quarantine.filter(found.quarantine["table"] == "transactions")
    return con.create_table("orders", found.orders.to_pyarrow()), quarantine, summary

"""`churnlab profile`: reads a source as ingest does, and looks at it. No model is fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from churnlab.config import Params
from churnlab.data import cleaning, sources
from churnlab.engine import connect
from churnlab.features.profile import Profile, profile

if TYPE_CHECKING:
    import ibis.expr.types as ir


def profile_source(params: Params) -> Profile:
    """What is in the source that the parameters name.

    Raises
    ------
    DataError
        The source cannot be read.
    ConfigError
        A key of the section `data` is not usable.
    """
    return profile(*_ingested(params), params)


def _ingested(params: Params) -> tuple[ir.Table, ir.Table, dict[str, Any]]:
    """Orders, quarantine and summary."""
    con = connect(params.engine)
    cleaned = cleaning.clean(con, sources.read(con, params.data), params.data)
    return con.create_table("orders", cleaned.orders.to_pyarrow()), cleaned.quarantine, cleaned.summary

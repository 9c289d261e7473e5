"""Reads the source, quarantines what breaks the contract, writes the orders."""

from __future__ import annotations

import json

from churnlab.pipelines._run import Workspace, main

from churnlab import engine
from churnlab.config import Params
from churnlab.data import cleaning, sources
from churnlab.errors import DataError


def run(params: Params) -> None:
    """Write data/orders.parquet, data/quarantine.parquet and data/ingest.json in the workspace.

    Raises
    ------
    DataError
        The source cannot be read, or not one of its lines can be used; the quarantine is written even so.
    """
    files = Workspace.of(params)
    con = engine.connect(params.engine)
    cleaned = cleaning.clean(con, sources.read(con, params.data), params.data)
    summary = cleaned.summary
    orders, quarantine = cleaned.orders.to_pyarrow(), cleaned.quarantine.to_pyarrow()
    lines = sum(orders["n_lines"].to_pylist())
    if lines + len(quarantine) != summary["rows_read"]:
        raise AssertionError(
            f"{lines} lines in orders and {len(quarantine)} refused, of {summary['rows_read']} read"
        )
    engine.write_parquet(quarantine, files.quarantine)
    if not summary["rows_accepted"]:
        reasons = ", ".join(f"{n} {reason}" for reason, n in summary["quarantined_by_reason"].items())
        raise DataError(
            f"data: none of {summary['rows_read']} lines can be used ({reasons}): see {files.quarantine}"
        )
    engine.write_parquet(orders, files.orders)
    engine.write_text(json.dumps(summary, indent=2, sort_keys=True) + "\n", files.ingest_summary)


if __name__ == "__main__":
    main(run)

"""DVC stage `ingest`: reads the source, quarantines what breaks the contract, writes the orders."""

from __future__ import annotations

import sys

from churnlab.config import Params
from churnlab.data import cleaning, sources
from churnlab.data.cautions import cautions
from churnlab.engine import connect, write_parquet
from churnlab.errors import DataError
from churnlab.pipelines._files import write_json
from churnlab.pipelines._run import Workspace, main


def run(params: Params) -> None:
    """The source → data/orders.parquet, data/quarantine.parquet, data/ingest.json.

    Raises
    ------
    DataError
        The source cannot be read, or not one of its lines can be used; the quarantine is written even so.
    """
    work = Workspace.of(params)
    con = connect(params.engine)
    cleaned = cleaning.clean(con, sources.read(con, params.data), params.data)
    summary = cleaned.summary
    orders, quarantine = cleaned.orders.to_pyarrow(), cleaned.quarantine.to_pyarrow()
    lines = sum(orders["n_lines"].to_pylist())
    if lines + len(quarantine) != summary["rows_read"]:
        raise AssertionError(
            f"{lines} lines in orders and {len(quarantine)} refused, of {summary['rows_read']} read"
        )
    write_parquet(quarantine, work.quarantine)
    if not summary["rows_accepted"]:
        reasons = ", ".join(f"{n} {reason}" for reason, n in summary["quarantined_by_reason"].items())
        raise DataError(
            f"data: none of {summary['rows_read']} lines can be used ({reasons}): see {work.quarantine}"
        )
    write_parquet(orders, work.orders)
    odd = cautions(cleaned.orders)
    for caution in odd:
        sys.stderr.write(f"data: {caution}\n")
    write_json({**summary, "cautions": odd}, work.ingest_summary)


if __name__ == "__main__":
    main(run)

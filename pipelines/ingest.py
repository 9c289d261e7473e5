"""DVC stage `ingest`: reads the source, quarantines what breaks the contract, writes the orders."""

from __future__ import annotations

import sys
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from churnlab.config import Params
from churnlab.data.cautions import cautions
from churnlab.data.ingestion import SIDE_TABLES, Ingested, ingest
from churnlab.engine import connect, write_parquet
from churnlab.errors import DataError
from churnlab.pipelines._files import write_json
from churnlab.pipelines._run import Workspace, main


def run(params: Params) -> None:
    """The sources → data/orders, quarantine, customers, interactions, contacts.parquet, data/ingest.json.

    Raises
    ------
    DataError
        A source cannot be read, or not one line of the transactions can be used; the quarantine is written
        even so.
    """
    work = Workspace.of(params)
    found = ingest(connect(params.engine), params.data, work.landing)
    summary = found.summary
    lines = found.orders.aggregate(n_lines=found.orders["n_lines"].sum())
    require_all_rows(summary, lines.to_pyarrow(), found.quarantine.select("source_row").to_pyarrow())
    write_parquet(found.quarantine.to_pyarrow_batches(), work.quarantine)
    if not summary["rows_read"]:
        raise DataError("data: the source has no lines below its header: export it again")
    if not summary["rows_accepted"]:
        reasons = ", ".join(f"{n} {reason}" for reason, n in summary["quarantined_by_reason"].items())
        raise DataError(
            f"data: none of {summary['rows_read']} lines can be used ({reasons}): see {work.quarantine}"
        )
    write_parquet(found.orders.to_pyarrow_batches(), work.orders)
    for name in SIDE_TABLES:
        write_parquet(getattr(found, name).to_pyarrow_batches(), getattr(work, name))
    tell(found, params, work)


def require_all_rows(summary: dict[str, Any], orders: pa.Table, quarantine: pa.Table) -> None:
    """Accepted and refused lines must add up to the lines read, of every table.

    Parameters
    ----------
    orders
        n_lines, of each order or of them all.
    quarantine
        One row per refused line.
    """
    lines = pc.sum(orders["n_lines"]).as_py() or 0
    read = summary["rows_read"] + sum(table["rows_read"] for table in summary["tables"].values())
    beside = sum(table["rows_accepted"] for table in summary["tables"].values())
    if lines + beside + len(quarantine) != read:
        raise AssertionError(
            f"{lines} lines in orders, {beside} in other tables and {len(quarantine)} refused, of {read} read"
        )


def tell(found: Ingested, params: Params, work: Workspace) -> None:
    """Write the summary; counts go to stdout and what looks odd to stderr as well."""
    for name, table in {"transactions": found.summary, **found.summary["tables"]}.items():
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in table["quarantined_by_reason"].items())
        sys.stdout.write(
            f"{name}: {table['rows_read']:,} rows read, {table['rows_accepted']:,} accepted, "
            f"{table['rows_quarantined']:,} refused{f' ({reasons})' if reasons else ''}\n"
        )
    odd = [*found.cautions, *cautions(found.orders, params.data.as_of)]
    for caution in odd:
        sys.stderr.write(f"data: {caution}\n")
    write_json({**found.summary, "cautions": odd}, work.ingest_summary)


if __name__ == "__main__":
    main(run)

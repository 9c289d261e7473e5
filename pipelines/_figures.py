"""Key figures, cohorts, concentration, stage and matrix of a period: measured and written."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from churnlab.config import Params
from churnlab.decisions.figure_table import SEGMENTS
from churnlab.decisions.shop_report import ShopReport, shop_report
from churnlab.engine import connect, write_parquet
from churnlab.errors import DataError
from churnlab.pipelines._files import ingested, write_json
from churnlab.pipelines._run import Workspace

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.duckdb import Backend


def labels(con: Backend, work: Workspace) -> ir.Table:
    """Everyone's segments, from the scores."""
    scores = con.read_parquet(work.scores)
    return scores.select("customer_id", *(name for name in SEGMENTS if name in scores.columns))


def measured(con: Backend, work: Workspace, first: date, last: date) -> ShopReport:
    """Figures of the ingested tables; segments with scores, satisfaction with interactions."""
    scores = labels(con, work) if work.scores.is_file() else None
    told = con.read_parquet(work.interactions) if work.interactions.is_file() else None
    return shop_report(con.read_parquet(work.orders), first, last, scores, told)


def figures_of(params: Params, start: date | None, end: date | None) -> ShopReport:
    """Figures of a period of the ingested orders; segments where the workspace has scores.

    Parameters
    ----------
    start, end
        First and last day; None: of the data.

    Raises
    ------
    DataError
        Nothing was ingested yet, or the period is empty or reaches beyond the data.
    """
    work = Workspace.of(params)
    found = ingested(work)
    first, last = start or found.first_day, end or found.as_of
    if not (found.first_day <= first <= found.as_of and found.first_day <= last <= found.as_of):
        raise DataError(
            f"{first} to {last} reaches beyond the data ({found.first_day} to {found.as_of}): "
            "name days in between with --from and --to"
        )
    if first > last:
        raise DataError(f"--from {first} is after --to {last}: name the earlier day first")
    if not work.orders.is_file():
        raise DataError(f"{work.orders}: is not there: run churnlab ingest")
    return measured(connect(params.engine), work, first, last)


def write_figures(found: ShopReport, table: Path, cohorts: Path, summary: Path) -> None:
    """Two Parquet tables and one JSON; equal orders give equal bytes."""
    tables = found.tables()
    write_parquet(tables["key_figures"], table)
    write_parquet(tables["retention_cohorts"], cohorts)
    write_json(found.to_dict(), summary)

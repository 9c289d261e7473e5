"""DVC stage `train_clv`: BG/NBD family and Gamma-Gamma on every snapshot's past."""

from __future__ import annotations

from churnlab.config import Params
from churnlab.engine import read_parquet
from churnlab.features.plan import LearningPlan
from churnlab.models.training import BOOK_COLUMNS, fit_book
from churnlab.pipelines._files import progress, read_json, write_json
from churnlab.pipelines._run import Workspace, main


def run(params: Params) -> None:
    """data/snapshots.parquet, data/current.parquet → models/clv.json, reports/clv.json."""
    work = Workspace.of(params)
    plan = LearningPlan.from_dict(read_json(work.plan))
    snapshots, current = read_parquet(work.snapshots, BOOK_COLUMNS), read_parquet(work.current, BOOK_COLUMNS)
    with progress("purchase and spend models", len(plan.snapshots) + 1) as step:
        book = fit_book(snapshots, current, plan, params.clv, step)
    write_json(book.to_dict(), work.clv_models)
    write_json(book.current.summary(), work.clv_summary)


if __name__ == "__main__":
    main(run)

"""The loyalty programme on the newest scores: measured and written."""

from __future__ import annotations

from typing import Any

from churnlab.config import Params
from churnlab.decisions.loyalty import members, programme
from churnlab.engine import connect, read_parquet, write_parquet
from churnlab.features.outcomes import spent_before
from churnlab.pipelines._files import write_json
from churnlab.pipelines._run import Workspace


def loyalty_of(params: Params) -> dict[str, Any]:
    """outputs/scores.parquet and the orders → outputs/loyalty.parquet, reports/loyalty.json; the latter."""
    work = Workspace.of(params)
    scores = read_parquet(work.scores, ["customer_id", "as_of", "T", "lifecycle_type", "clv"])
    orders = connect(params.engine).read_parquet(work.orders)
    bought = spent_before(orders, scores["as_of"].iloc[0], params.loyalty.window_days)
    table = members(scores, bought, params.loyalty)
    summary = programme(table, params.loyalty)
    write_parquet(table, work.loyalty)
    write_json(summary, work.loyalty_summary)
    return summary

"""DVC stage `prioritise`: the contacts worth making, best first, within the budget."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from churnlab.config import Params
from churnlab.decisions.priority import SCORE_COLUMNS, priority_plan
from churnlab.decisions.sensitivity import sensitivities
from churnlab.engine import read_parquet, write_parquet
from churnlab.operations import tracking
from churnlab.operations.provenance import project_root
from churnlab.operations.recording import record_execution, run_key
from churnlab.operations.sinks.csv_files import write_csv
from churnlab.pipelines._files import read_json, write_json
from churnlab.pipelines._record import execution_files, plots_page
from churnlab.pipelines._run import Workspace, main


def run(params: Params) -> None:
    """outputs/scores.parquet → outputs/priority_list.parquet and .csv, reports/plan.json."""
    work = Workspace.of(params)
    scores = read_parquet(work.scores, SCORE_COLUMNS)
    made = priority_plan(scores, params.decisions, reasons_in(work))
    plan = made.contacts
    write_parquet(plan, work.priority_list)
    write_csv(plan, work.priority_list.with_suffix(".csv"))
    treated = plan[plan["group"] == "treated"]
    summary = {
        "contacts": len(treated),
        "held_out": len(plan) - len(treated),
        "cost": round(float(treated["cost"].sum()), 2),
        "expected_net_benefit": round(float(treated["expected_net_benefit"].sum()), 2),
        "gap": round(made.choice.gap, 6),
    }
    prices = {f"price.{name}": round(price, 6) for name, price in made.choice.prices.items()}
    present = treated[["customer_id", "action"]]
    others = {
        f"{one.assumption} x {one.factor}": {
            name: round(value, 6) for name, value in one.to_dict().items() if isinstance(value, float)
        }
        for one in sensitivities(scores, params.decisions, present)
    }
    write_json({**summary, **prices, "method": made.choice.method, "sensitivity": others}, work.plan_summary)
    track(params, work, summary)


def reasons_in(work: Workspace) -> Callable[[pd.Series], pd.DataFrame]:
    """Reads the reasons of single customers from the scores."""

    def reasons(customer_id: pd.Series) -> pd.DataFrame:
        asked_for = pc.field("customer_id").isin(pa.array(customer_id, pa.string()))
        return read_parquet(work.scores, ["customer_id", "reasons"], asked_for)

    return reasons


def track(params: Params, work: Workspace, summary: dict[str, float]) -> None:
    """Add the plan to this execution's run; a run of its own where only decisions changed."""
    root, registered = project_root(), read_json(work.registration)
    identity = {name: registered[name] for name in ("data_version", "model_digest", "training_id")}
    run_id = tracking.find_run(root, params.registry.experiment, run_key(params, identity["training_id"]))
    if run_id is None:
        measured = read_json(work.metrics), read_parquet(work.comparison)
        run_id = record_execution(root, params, *measured, identity, execution_files(work), plots_page(work))
    tracking.add_to_run(root, run_id, {f"plan.{name}": float(value) for name, value in summary.items()})


if __name__ == "__main__":
    main(run)

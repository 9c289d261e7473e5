"""DVC stage `score`: one row per known customer as of the last day of the data."""

from __future__ import annotations

from churnlab.config import Params
from churnlab.decisions.customer_types import styles_not_assigned
from churnlab.engine import connect
from churnlab.features.signals import Signals
from churnlab.models.scorer import Scorer
from churnlab.operations.manifest import Manifest, params_version
from churnlab.operations.run_log import RunLog
from churnlab.operations.save_rates_file import in_force, responses_in_force
from churnlab.operations.scoring import Provenance, Terms, write_scores
from churnlab.pipelines._files import ingested, read_json
from churnlab.pipelines._run import Workspace, main


def run(params: Params) -> None:
    """Orders, optional tables, models/packaged/ → outputs/scores.parquet, reports/manifest.json."""
    params, responses = in_force(params), responses_in_force(params)
    work, manifest = Workspace.of(params), Manifest()
    found, registered = ingested(work), read_json(work.registration)
    source = Provenance(registered["model_digest"], registered["training_id"], found.data_version)
    con = connect(params.engine)
    orders = con.read_parquet(work.orders)
    signals = Signals.read(con, work.customers, work.interactions, work.contacts)
    with manifest.step("score"), RunLog.shown().step("score") as told:
        scorer = Scorer.load(work.packaged_model)
        scored = write_scores(
            orders,
            scorer,
            Terms(found.as_of, params.decisions, source, responses=responses),
            work.scores,
            signals,
            bucket_customers=params.engine.bucket_customers,
            told=told,
        )
    manifest.file(work.scores)
    rows = {name: found.summary[f"rows_{name}"] for name in ("read", "accepted", "quarantined")}
    manifest.note(
        rows={**rows, "scored": scored},
        as_of=found.as_of,
        params=params_version(params),
        notes=[*scorer.notes, *styles_not_assigned(scorer.plan.spec).values()],
        **vars(source),
    )
    manifest.write(work.manifest)


if __name__ == "__main__":
    main(run)

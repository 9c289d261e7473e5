"""DVC stage `score`: one row per known customer as of the last day of the data."""

from __future__ import annotations

import pyarrow as pa

from churnlab.config import Params
from churnlab.engine import connect, write_parquet
from churnlab.features.signals import Signals
from churnlab.models.scorer import Scorer
from churnlab.operations.manifest import Manifest, params_version
from churnlab.operations.scoring import SCORES, Provenance, score_customers
from churnlab.pipelines._files import ingested, progress, read_json
from churnlab.pipelines._run import Workspace, main


def run(params: Params) -> None:
    """Orders, optional tables, models/packaged/ → outputs/scores.parquet, reports/manifest.json."""
    work, manifest = Workspace.of(params), Manifest()
    found, registered = ingested(work), read_json(work.registration)
    source = Provenance(registered["model_digest"], registered["training_id"], found.data_version)
    con = connect(params.engine)
    orders = con.read_parquet(work.orders)
    signals = Signals.read(con, work.customers, work.interactions, work.contacts)
    with progress("score", 1) as step, manifest.step("score"):
        scorer = Scorer.load(work.packaged_model)
        scores = score_customers(orders, scorer, found.as_of, params.decisions, source, signals)
        step(found.as_of.isoformat())
    write_parquet(pa.Table.from_pandas(scores, schema=SCORES, preserve_index=False), work.scores)
    manifest.file(work.scores)
    rows = {name: found.summary[f"rows_{name}"] for name in ("read", "accepted", "quarantined")}
    manifest.note(
        rows={**rows, "scored": len(scores)},
        as_of=found.as_of,
        params=params_version(params),
        notes=scorer.notes,
        **vars(source),
    )
    manifest.write(work.manifest)


if __name__ == "__main__":
    main(run)

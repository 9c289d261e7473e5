"""Reads the source afresh, scores the base with a packaged model, writes scores, quarantine and manifest."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa

from churnlab.config import Params
from churnlab.data import cleaning, sources
from churnlab.engine import connect, write_parquet
from churnlab.errors import DataError
from churnlab.models.scorer import Scorer
from churnlab.operations.manifest import Manifest, params_version
from churnlab.operations.promotion import training_id
from churnlab.operations.provenance import project_root
from churnlab.operations.scoring import SCORES, Provenance, score_customers
from churnlab.operations.tracking import fetch_model


def score_source(params: Params, as_of: date | None, model: str, out: Path) -> Path:
    """Score every customer known on `as_of` and write scores.parquet, quarantine.parquet and manifest.json.

    Parameters
    ----------
    as_of
        The data's last day if None.
    model
        `models:/NAME@ALIAS`, `models:/NAME/VERSION` or a folder.
    out
        Folder that the files are written to.

    Returns
    -------
    Path
        The scores.

    Raises
    ------
    DataError
        The source cannot be read or nobody is known on `as_of`.
    ModelError, TrackingError
        The model cannot be found or loaded.
    """
    manifest = Manifest()
    with manifest.step("model"):
        fetched = fetch_model(project_root(), model)
        scorer = Scorer.load(fetched.folder)
    con = connect(params.engine)
    with manifest.step("ingest"):
        cleaned = cleaning.clean(con, sources.read(con, params.data), params.data)
        quarantine, orders = cleaned.quarantine.to_pyarrow(), cleaned.orders.to_pyarrow()
    summary = cleaned.summary
    if not summary["rows_accepted"]:
        raise DataError(f"data: none of {summary['rows_read']} lines can be used: churnlab ingest writes their reasons")
    day = as_of or date.fromisoformat(summary["as_of"])
    local = fetched.version == "local"
    source = Provenance(
        scorer.digest if local else fetched.version,
        training_id(scorer.digest, scorer.data_version) if local else fetched.run_id,
        summary["data_version"],
    )
    with manifest.step("score"):
        scores = score_customers(con.create_table("orders", orders), scorer, day, params.decisions, source)
    table = pa.Table.from_pandas(scores, schema=SCORES, preserve_index=False)
    for name, content in (("quarantine", quarantine), ("scores", table)):
        write_parquet(content, out / f"{name}.parquet")
        manifest.file(out / f"{name}.parquet")
    rows = {name: summary[f"rows_{name}"] for name in ("read", "accepted", "quarantined")}
    manifest.note(rows={**rows, "scored": len(scores)}, as_of=day, params=params_version(params), **vars(source))
    manifest.write(out / "manifest.json")
    return out / "scores.parquet"

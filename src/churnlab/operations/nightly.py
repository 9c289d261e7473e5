"""Reads the source afresh, scores the base with a packaged model, writes scores, quarantine and manifest."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from churnlab.config import Params
from churnlab.data.cautions import cautions
from churnlab.data.ingestion import ingest
from churnlab.engine import connect, write_parquet
from churnlab.errors import DataError
from churnlab.features.signals import Signals
from churnlab.models.scorer import Scorer
from churnlab.operations.manifest import Manifest, params_version
from churnlab.operations.promotion import training_id
from churnlab.operations.provenance import project_root
from churnlab.operations.scoring import FARTHEST_DAYS, SCORES, Provenance, score_customers
from churnlab.operations.tracking import FetchedModel, fetch_model


def score_source(
    params: Params, as_of: date | None, model: str, out: Path, landing: Path | None = None
) -> Path:
    """Score every customer known on `as_of` and write scores.parquet, quarantine.parquet and manifest.json.

    The manifest comes last: where it is, the other two are whole.

    Parameters
    ----------
    as_of
        Last day that is known; the data's last day if None.
    model
        `models:/NAME@ALIAS`, `models:/NAME/VERSION` or a folder.
    out
        Folder that the files are written to.
    landing
        Where an incremental source keeps what it has read.

    Returns
    -------
    Path
        The scores.

    Raises
    ------
    DataError
        The source cannot be read, nobody is known on `as_of`, or a file cannot be written.
    ModelError, TrackingError
        The model cannot be found or loaded.
    """
    manifest = Manifest()
    with manifest.step("model"):
        fetched = fetch_model(project_root(), model)
        scorer = Scorer.load(fetched.folder)
    con = connect(params.engine)
    with manifest.step("ingest"):
        found = ingest(con, params.data, landing)
        quarantine, orders = found.quarantine.to_pyarrow(), found.orders.to_pyarrow()
    day = scoring_day(as_of, found.summary)
    source = _provenance(fetched, scorer, found.summary["data_version"])
    known = con.create_table("orders", orders)
    signals = Signals.of(found.customers, found.interactions, found.contacts)
    with manifest.step("score"):
        scores = score_customers(known, scorer, day, params.decisions, source, signals)
    table = pa.Table.from_pandas(scores, schema=SCORES, preserve_index=False)
    with manifest.step("write"):
        for name, content in (("quarantine", quarantine), ("scores", table)):
            write_parquet(content, out / f"{name}.parquet")
            manifest.file(out / f"{name}.parquet")
    rows = {name: found.summary[f"rows_{name}"] for name in ("read", "accepted", "quarantined")}
    manifest.note(
        rows={**rows, "scored": len(scores)},
        as_of=day,
        params=params_version(params),
        notes=[*found.cautions, *cautions(known.filter(known.day <= day), day), *scorer.notes],
        **vars(source),
    )
    manifest.write(out / "manifest.json")
    return out / "scores.parquet"


def scoring_day(as_of: date | None, summary: dict[str, Any]) -> date:
    """The last day that is known: as asked for, or the data's.

    Raises
    ------
    DataError
        Not one line of the source can be used, or the day is over ten years after the last of them.
    """
    if not summary["rows_accepted"]:
        raise DataError(
            f"data: none of {summary['rows_read']} lines can be used: churnlab ingest writes the reasons"
        )
    last = date.fromisoformat(summary["last_day"])
    day = as_of or date.fromisoformat(summary["as_of"])
    if (day - last).days > FARTHEST_DAYS:
        raise DataError(f"orders: end on {last}, over ten years before {day}: correct --as-of")
    return day


def _provenance(fetched: FetchedModel, scorer: Scorer, data_version: str) -> Provenance:
    """A registered model goes by its version and run, a folder by its content."""
    if fetched.version == "local":
        return Provenance(scorer.digest, training_id(scorer.digest, scorer.data_version), data_version)
    return Provenance(fetched.version, fetched.run_id, data_version)

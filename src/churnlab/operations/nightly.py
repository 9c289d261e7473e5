"""The nightly job: reads the source afresh, scores the base with a packaged model, publishes the scores."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

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
from churnlab.operations.run_log import RunLog
from churnlab.operations.scoring import FARTHEST_DAYS, Provenance, write_scores
from churnlab.operations.scratch import scratch
from churnlab.operations.tracking import FetchedModel, fetch_model

QUIET = RunLog("quiet")


def yesterday(params: Params, now: datetime) -> date | None:
    """The last whole day at the place of business; where the source is not live, data.as_of, or None for the
    data's own last day.

    Parameters
    ----------
    now
        With a time zone.
    """
    if params.data.dataset is not None or params.data.as_of is not None:
        return params.data.as_of
    return now.astimezone(ZoneInfo(params.data.timezone)).date() - timedelta(days=1)


def score_source(
    params: Params,
    as_of: date | None,
    model: str,
    out: Path,
    landing: Path | None = None,
    log: RunLog = QUIET,
) -> Path:
    """Score every customer known on `as_of` and write scores.parquet, quarantine.parquet and manifest.json.

    The manifest comes last: where it is, the other two are whole.

    Parameters
    ----------
    as_of
        Last day that is known; the data's last day if None.
    model
        `models:/NAME@ALIAS`, `models:/NAME/VERSION` or a folder, which needs no MLflow.
    out
        Folder that the files are written to.
    landing
        Where an incremental source keeps what it has read.
    log
        Told what is done.

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
    TryLaterError
        Another run is at work on the folder, or MLflow does not answer.
    """
    manifest = Manifest()
    with scratch():
        _score(params, as_of, model, out, landing, manifest, log)
        manifest.write(out / "manifest.json")
    return out / "scores.parquet"


def _score(
    params: Params,
    as_of: date | None,
    model: str,
    folder: Path,
    landing: Path | None,
    manifest: Manifest,
    log: RunLog,
) -> None:
    """scores.parquet and quarantine.parquet in `folder`, everything else in `manifest`."""
    with manifest.step("model"), log.step("model"):
        fetched = fetch_model(project_root(), model)
        scorer = Scorer.load(fetched.folder)
    con = connect(params.engine)
    with manifest.step("ingest"), log.step("ingest"):
        found = ingest(con, params.data, landing)
        write_parquet(found.quarantine.to_pyarrow(), folder / "quarantine.parquet")
        orders = con.create_table("orders", found.orders)
    day = scoring_day(as_of, found.summary)
    source = _provenance(fetched, scorer, found.summary["data_version"])
    with manifest.step("score"), log.step("score") as told:
        scored = write_scores(
            orders,
            scorer,
            day,
            params.decisions,
            source,
            folder / "scores.parquet",
            Signals.of(found.customers, found.interactions, found.contacts),
            bucket_customers=params.engine.bucket_customers,
            told=told,
        )
    for name in ("quarantine", "scores"):
        manifest.file(folder / f"{name}.parquet")
    rows = {name: found.summary[f"rows_{name}"] for name in ("read", "accepted", "quarantined")}
    known = orders.filter(orders.day <= day)
    manifest.note(
        rows={**rows, "scored": scored},
        as_of=day,
        params=params_version(params),
        notes=[*found.cautions, *cautions(known, day), *scorer.notes],
        **vars(source),
    )


def scoring_day(as_of: date | None, summary: dict[str, Any]) -> date:
    """The last day that is known: as asked for, or the data's.

    Raises
    ------
    DataError
        Not one line of the source can be used, or the day is over ten years after the last of them.
    """
    if not summary["rows_read"]:
        raise DataError("data: the source has no lines below its header: export it again")
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

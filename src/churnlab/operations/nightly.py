"""The nightly job: reads the source afresh, scores the base with a packaged model, publishes the scores."""

from __future__ import annotations

import glob
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from churnlab.config import Params
from churnlab.data.cautions import cautions
from churnlab.data.ingestion import ingest
from churnlab.decisions.customer_types import styles_not_assigned
from churnlab.engine import connect, write_atomically, write_parquet
from churnlab.errors import AwayError, DataError, SilentError
from churnlab.features.signals import Signals
from churnlab.models.scorer import Scorer
from churnlab.operations.earlier_list import EarlierList, from_file, newest_before
from churnlab.operations.manifest import Manifest, params_version
from churnlab.operations.provenance import project_root, training_id
from churnlab.operations.run_log import RunLog
from churnlab.operations.save_rates_file import in_force, responses_in_force
from churnlab.operations.scoring import FARTHEST_DAYS, Provenance, Terms, write_scores
from churnlab.operations.scratch import scratch
from churnlab.operations.sinks.locks import exclusive
from churnlab.operations.sinks.publication import Publication, RunIdentity, Sink
from churnlab.operations.sinks.retrying import PassingError, Patience, persist
from churnlab.operations.tracking import FetchedModel, fetch_model, is_registered
from churnlab.operations.tracking_store import require_reachable

T = TypeVar("T")
QUIET = RunLog("quiet")
FILES = ("scores.parquet", "quarantine.parquet")


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


@dataclass(frozen=True)
class Job:
    """What to score.

    Attributes
    ----------
    params
        The whole of params.yaml.
    as_of
        Last day that is known; the data's last day if None.
    model
        `models:/NAME@ALIAS`, `models:/NAME/VERSION` or a folder, which needs no MLflow.
    landing
        Where an incremental source keeps what it has read.
    patience
        For how long to try again where a server does not answer.
    previous
        File of the list before, whose labels hold where the scores go to a folder; a sink knows its own.
    """

    params: Params
    as_of: date | None
    model: str
    landing: Path | None = None
    patience: Patience = field(default_factory=Patience)
    previous: Path | None = None


def score_source(job: Job, out: Path, log: RunLog = QUIET) -> Path:
    """Score every customer known on the day and write scores.parquet, quarantine.parquet and manifest.json.

    The manifest comes last: where it is, the other two are whole.

    Parameters
    ----------
    out
        Folder that the files are written to.
    log
        Told what is done.

    Returns
    -------
    Path
        The scores.

    Raises
    ------
    DataError
        The source cannot be read, nobody is known on the day, or a file cannot be written.
    ModelError, TrackingError
        The model cannot be found or loaded.
    TryLaterError
        Another run writes to the folder, or MLflow does not answer.
    """
    manifest = Manifest()
    lock = out.absolute().with_name(f".{out.absolute().name}.lock")
    with scratch() as folder, exclusive(lock, f"{out}: is being written"):
        _score(job, folder, manifest, log, lambda day: _named(job.previous, day))
        for name in FILES:
            _sweep(out, name)
            _put(folder / name, out / name)
        _sweep(out, "manifest.json")
        manifest.write(out / "manifest.json")
    return out / "scores.parquet"


def publish_source(
    job: Job, sink: Sink, manifests: Path, log: RunLog = QUIET, *, restate: bool = False
) -> Publication:
    """Score every customer known on the day and put the list in the place of the date's earlier one.

    Parameters
    ----------
    sink
        Where lists are published.
    manifests
        Folder for as_of=DATE.json, written when all else is done.
    restate
        Keep the rows of an earlier list of the date.

    Raises
    ------
    TryLaterError
        Another run is at work on the date, or a server does not answer.
    SinkError
        The sink refuses.
    DataError, ModelError, TrackingError
        As :func:`score_source`.
    """
    manifest = Manifest()
    with scratch() as folder, sink.lock(job.as_of) if job.as_of else nullcontext():
        run = _score(job, folder, manifest, log, lambda day: newest_before(sink, day))
        with manifest.step("publish"), log.step("publish"):
            done = sink.publish(
                folder / "scores.parquet",
                run,
                datetime.now(UTC),
                restate=restate,
                quarantine=folder / "quarantine.parquet",
            )
        manifest.note(sink=sink.shown, revision=done.revision, published_at=done.published_at)
        _sweep(manifests, f"as_of={done.as_of}.json")
        manifest.write(manifests / f"as_of={done.as_of}.json")
    return done


def _score(
    job: Job, folder: Path, manifest: Manifest, log: RunLog, before: Callable[[date], EarlierList | None]
) -> RunIdentity:
    """scores.parquet and quarantine.parquet in `folder`, everything else in `manifest`.

    `before` gives the list before that of a date.
    """
    params, responses = in_force(job.params), responses_in_force(job.params)
    with manifest.step("model"), log.step("model"):
        fetched = _fetched(job)
        scorer = Scorer.load(fetched.folder)
    con = connect(params.engine)
    with ThreadPoolExecutor(1) as beside:
        preparing = beside.submit(scorer.prepare)
        with manifest.step("ingest"), log.step("ingest"):
            found = _patiently(lambda: ingest(con, params.data, job.landing), job)
            write_parquet(found.quarantine.to_pyarrow_batches(), folder / "quarantine.parquet")
        preparing.result()
    day = scoring_day(job.as_of, found.summary)
    source = _provenance(fetched, scorer, found.summary["data_version"])
    with manifest.step("score"), log.step("score") as told:
        earlier = before(day) if params.decisions.labels.hysteresis else None
        kept = None if earlier is None else earlier.labels_for(source.model_version)
        manifest.note(previous=None if earlier is None else earlier.record(source.model_version))
        scored = write_scores(
            found.orders,
            scorer,
            Terms(day, params.decisions, source, kept, responses),
            folder / "scores.parquet",
            Signals.of(found.customers, found.interactions, found.contacts),
            bucket_customers=params.engine.bucket_customers,
            told=told,
        )
    rows = {name: found.summary[f"rows_{name}"] for name in ("read", "accepted", "quarantined")}
    noted = {"as_of": day, "rows": {**rows, "scored": scored}, **vars(source)}
    log.tell("scored", **noted)
    known = found.orders.filter(found.orders.day <= day)
    unassigned = styles_not_assigned(scorer.plan.spec).values()
    notes = [*found.cautions, *cautions(known, day), *scorer.notes, *unassigned]
    manifest.note(**noted, model_cutoff=scorer.plan.cutoff, params=params_version(params), notes=notes)
    manifest.file(folder / "quarantine.parquet")
    return RunIdentity(
        as_of=day,
        **vars(source),
        params_version=params_version(params),
        code_version=manifest.code_version,
        rows=scored,
        sha256=manifest.file(folder / "scores.parquet"),
    )


def _named(previous: Path | None, day: date) -> EarlierList | None:
    return None if previous is None else from_file(previous, day)


def _sweep(folder: Path, name: str) -> None:
    """Remove what a killed run left of a file; the caller holds the lock."""
    for left in folder.glob(f".{glob.escape(name)}.*.tmp"):
        left.unlink(missing_ok=True)


def _put(file: Path, place: Path) -> None:
    write_atomically(place, lambda temporary: shutil.copyfile(file, temporary))


def _fetched(job: Job) -> FetchedModel:
    """The model's files."""

    def fetch() -> FetchedModel:
        if is_registered(job.model):
            require_reachable(project_root())
        return fetch_model(project_root(), job.model)

    return _patiently(fetch, job)


def _patiently(action: Callable[[], T], job: Job) -> T:
    """The action's answer; a server that is away is asked again for as long as the job bears."""

    def attempt() -> T:
        try:
            return action()
        except (SilentError, AwayError) as error:
            raise PassingError(str(error)) from None

    return persist(attempt, job.patience)


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

"""The list before the one that is being made, whose labels hold until a customer is well beyond them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from churnlab.decisions.hysteresis import Coded, EarlierLabels, coded
from churnlab.errors import DataError
from churnlab.operations.sinks.publication import Sink

COLUMNS = ("customer_id", "risk_label", "value_label")
MODEL = "model_version"
BATCH_ROWS = 65_536


@dataclass(frozen=True)
class EarlierList:
    """A list, and what a manifest says of it.

    Attributes
    ----------
    as_of
        None for a file that does not say.
    read
        Gives the labels; not called where they are of another model.
    """

    as_of: date | None
    model_version: str
    rows: int
    sha256: str
    read: Callable[[], EarlierLabels] = field(repr=False)

    def labels_for(self, model_version: str) -> EarlierLabels | None:
        """None if the list is by another model, whose cut points lie elsewhere."""
        return self.read() if self.model_version == model_version else None

    def record(self, model_version: str) -> dict[str, Any]:
        """For the manifest of a list by this model."""
        return {
            "as_of": self.as_of,
            "model_version": self.model_version,
            "rows": self.rows,
            "sha256": self.sha256,
            "labels": "kept" if self.model_version == model_version else "started anew: another model",
        }


def newest_before(sink: Sink, day: date) -> EarlierList | None:
    """The newest published list of an earlier date; None if there is none.

    Raises
    ------
    SinkError, TryLaterError
        The sink cannot be read.
    """
    published = [one for one in sink.history() if one.as_of < day]
    if not published:
        return None
    last = max(published, key=lambda one: (one.as_of, one.revision))

    def read() -> EarlierLabels:
        return EarlierLabels.gather(sink.read_list(last.as_of, COLUMNS, _coded))

    return EarlierList(last.as_of, last.model_version, last.rows, last.sha256, read)


def from_file(path: Path, day: date) -> EarlierList:
    """A file of scores of a date before `day`.

    Raises
    ------
    DataError
        It cannot be read, lacks a column, is by several models, or is not of an earlier date.
    """
    mend = "name the scores.parquet of an earlier date"
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            missing = [name for name in (*COLUMNS, MODEL) if name not in names]
            if missing:
                raise DataError(f"{path}: has no column {missing[0]}: {mend}")
            dated = [name for name in ("as_of", MODEL) if name in names]
            heads = {
                row for batch in file.iter_batches(BATCH_ROWS, columns=dated) for row in _different(batch)
            }
            rows = file.metadata.num_rows
        with path.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: cannot be read as Parquet: {mend}") from error
    if len(heads) != 1:
        raise DataError(f"{path}: is not one list of one date and model: {mend}")
    found = dict(zip(dated, heads.pop(), strict=True))
    as_of = found.get("as_of")
    if as_of is not None and as_of >= day:
        raise DataError(f"{path}: is of {as_of}, not of a day before {day}: {mend}")
    return EarlierList(as_of, str(found[MODEL]), rows, digest, lambda: _labels(path))


def _different(batch: pa.RecordBatch) -> list[tuple[Any, ...]]:
    rows = pa.Table.from_batches([batch]).group_by(batch.schema.names).aggregate([]).to_pylist()
    return [tuple(row[name] for name in batch.schema.names) for row in rows]


def _labels(path: Path) -> EarlierLabels:
    with pq.ParquetFile(path) as file:
        return EarlierLabels.gather(map(_coded, file.iter_batches(BATCH_ROWS, columns=list(COLUMNS))))


def _coded(batch: pa.RecordBatch) -> Coded:
    return coded(batch.to_pandas())

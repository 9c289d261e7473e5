"""`churnlab audit`: which model and which data scored a customer for a date, and what they said."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Any

from rich.console import Console

from churnlab.errors import SinkError
from churnlab.operations.sinks.publication import Publication, Sink

TOLD = (
    "churn_probability",
    "risk_label",
    "clv",
    "value_label",
    "expected_spend",
    "lifecycle_type",
    "reasons",
    "priority_rank",
    "scored_by",
)


@dataclass(frozen=True)
class Answer:
    """One list of the date, and the customer's row; None if they are not on it or it is no longer kept."""

    publication: Publication
    row: dict[str, Any] | None

    def to_json(self) -> str:
        """One line; figures of the row as published."""
        whole = {"publication": self.publication.record(), "row": self.row}
        return json.dumps(whole, default=str, ensure_ascii=False)


def audited(sink: Sink, customer_id: str, day: date) -> list[Answer]:
    """Every list that was published for the date, in the order of publication.

    Raises
    ------
    SinkError
        None was published, or the customer is on none that is kept.
    """
    published = sink.history(day)
    if not published:
        raise SinkError(f"{sink.shown}: holds no list of {day}: name another --date, or another --sink")
    rows = {found.revision: row for found, row in sink.rows_of(customer_id, day)}
    if not rows:
        raise SinkError(f"{sink.shown}: the customer is not on the list of {day}: check the id and --date")
    return [Answer(one, rows.get(one.revision)) for one in published]


def show(answers: list[Answer], console: Console) -> None:
    """Publication and figures of each, in plain lines."""
    for answer in answers:
        told = answer.publication
        moment = f"{told.published_at:%Y-%m-%d %H:%M:%S} UTC"
        console.print(f"list of {told.as_of}, revision {told.revision}, published {moment}")
        names = (
            "model_version",
            "run_id",
            "data_version",
            "params_version",
            "code_version",
            "rows",
            "sha256",
        )
        for name in names:
            console.print(f"  {name}: {getattr(told, name)}")
        if answer.row is None:
            console.print("  the rows of this list are not kept (they are with --restate)")
            continue
        for name in TOLD:
            value = answer.row[name]
            console.print(f"  {name}: {'; '.join(value) if isinstance(value, list) else value}")

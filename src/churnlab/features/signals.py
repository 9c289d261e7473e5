"""The optional tables, and what they tell of every buyer at a cutoff."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from churnlab.errors import DataError
from churnlab.features.buckets import Bucket
from churnlab.features.customers import CONSENT, customer_features, customers_hold, known_rows
from churnlab.features.encounters import (
    contact_features,
    contacts_hold,
    interaction_features,
    interactions_hold,
)

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.duckdb import Backend

    from churnlab.features.spec import FeatureSpec

# Which table each flag of the spec rests on.
FLAGS = {
    "customers": ("has_signup", "has_business", "has_referrer", "has_consents"),
    "interactions": (
        "has_complaints",
        "has_tickets",
        "has_csat",
        "has_nps",
        "has_intent",
        "has_wishes",
        "has_response",
        "has_resolution",
    ),
    "contacts": ("has_contacts",),
}
COLUMNS = {
    "customers": {
        "customer_id": "string",
        "known_from": "timestamp",
        "signup": "timestamp",
        "is_business": "boolean",
        "referrer": "string",
    },
    "interactions": {
        "customer_id": "string",
        "ts": "timestamp",
        "kind": "string",
        "score": "float64",
        "responded": "timestamp",
        "resolved": "timestamp",
    },
    "contacts": {"customer_id": "string", "ts": "timestamp", "group": "string"},
}


@dataclass(frozen=True)
class Signals:
    """The optional tables as ingest writes them; None where the shop has none.

    Attributes
    ----------
    customers
        Who the customers are: see :func:`churnlab.features.customers.in_force`.
    interactions
        Complaints, tickets, survey answers, wishes: see
        :func:`churnlab.features.encounters.interaction_features`.
    contacts
        Who was contacted: see :func:`churnlab.features.encounters.contact_features`.
    """

    customers: ir.Table | None = None
    interactions: ir.Table | None = None
    contacts: ir.Table | None = None

    @classmethod
    def of(cls, customers: ir.Table, interactions: ir.Table, contacts: ir.Table) -> Signals:
        """The tables as ingest gives them, worked out once; one without rows is no table."""
        kept = [table.cache() for table in (customers, interactions, contacts)]
        return cls(*(table if table.count().to_pyarrow().as_py() else None for table in kept))

    @classmethod
    def read(cls, con: Backend, customers: Path, interactions: Path, contacts: Path) -> Signals:
        """The tables from Parquet files; a file that is not there or has no rows is no table.

        Raises
        ------
        DataError
            A file is damaged.
        """
        return cls(*(_read(con, path) for path in (customers, interactions, contacts)))

    def within(self, bucket: Bucket) -> Signals:
        """What tells of a bucket's customers, and who names one of them as the one who referred them."""
        return Signals(
            customers=None if self.customers is None else _named_in(self.customers, bucket),
            interactions=None if self.interactions is None else bucket.of(self.interactions),
            contacts=None if self.contacts is None else bucket.of(self.contacts),
        )

    def table(self, name: str) -> ir.Table:
        """The table of that name.

        Raises
        ------
        DataError
            There is none.
        """
        table = getattr(self, name)
        if table is None:
            raise DataError(
                f"{name}: there is no such table, and the model's features use it: "
                f"map it in data.{name}, or train a model without it"
            )
        return table


NOTHING = Signals()


def signals_hold(signals: Signals, cutoff: date, history_days: int) -> dict[str, Any]:
    """The fields of the spec that the tables up to the cutoff support."""
    held: dict[str, Any] = {}
    if signals.customers is not None:
        held |= customers_hold(signals.customers, cutoff)
    if signals.interactions is not None:
        held |= interactions_hold(signals.interactions, cutoff, history_days)
    if signals.contacts is not None:
        held |= contacts_hold(signals.contacts, cutoff, history_days)
    return held


def signal_features(
    buyers: ir.Table, cutoff: date, spec: FeatureSpec, signals: Signals
) -> Iterator[ir.Table]:
    """One table per source that the spec counts on: customer_id and float64 columns, one row per buyer."""
    if counts_on(spec, "interactions"):
        yield interaction_features(buyers, signals.table("interactions"), cutoff, spec)
    if counts_on(spec, "contacts"):
        yield contact_features(buyers, signals.table("contacts"), cutoff, spec)
    if counts_on(spec, "customers"):
        yield customer_features(buyers, signals.table("customers"), cutoff, spec)


def counts_on(spec: FeatureSpec, name: str) -> bool:
    """Whether a column of the spec rests on the table."""
    return any(getattr(spec, flag) for flag in FLAGS[name])


def check_signals(signals: Signals, spec: FeatureSpec, cutoff: date) -> None:
    """Refuse tables that cannot bear the spec.

    Raises
    ------
    DataError
        A table that the spec counts on is absent or lacks a column, or a customer has different rows that
        hold from the same moment.
    """
    for name in FLAGS:
        if counts_on(spec, name):
            _check_columns(name, signals.table(name).columns, spec)
    if counts_on(spec, "customers"):
        known = known_rows(signals.table("customers"), cutoff)
        rows = known.group_by(["customer_id", "known_from"]).aggregate(n=known.count())
        doubled = rows.filter(rows.n > 1).count().to_pyarrow().as_py()
        if doubled:
            raise DataError(
                f"customers: {doubled} customers have different rows that hold from the same moment: "
                "keep one row per customer and data.customers.columns.known_from"
            )


def unbound_signals(spec: FeatureSpec) -> Signals:
    """Tables without rows that have the columns which the spec counts on."""
    consent = {f"{CONSENT}any": "boolean"}
    schemas = {"customers": COLUMNS["customers"] | consent}
    return Signals(
        **{
            name: ibis.table(schemas.get(name, COLUMNS[name]), name)
            for name in FLAGS
            if counts_on(spec, name)
        }
    )


def _named_in(customers: ir.Table, bucket: Bucket) -> ir.Table:
    """All rows of the bucket's customers and of those who ever named one of them as their referrer."""
    named = customers.referrer.between(bucket.first, bucket.last)
    own = customers.customer_id.between(bucket.first, bucket.last)
    return customers.filter(own | customers.customer_id.isin(customers.filter(named).customer_id))


def _check_columns(name: str, columns: Mapping[str, Any] | tuple[str, ...], spec: FeatureSpec) -> None:
    missing = [column for column in COLUMNS[name] if column not in columns]
    if name == "customers" and spec.has_consents and not any(c.startswith(CONSENT) for c in columns):
        missing.append(f"{CONSENT}<channel>")
    if missing:
        raise DataError(
            f"{name}: lacks {', '.join(missing)}, which the model's features use: "
            f"map them in data.{name}.columns, or train a model without them"
        )


def _read(con: Backend, path: Path) -> ir.Table | None:
    if not path.exists():
        return None
    try:
        rows = pq.read_metadata(path).num_rows
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: is damaged: run the stage that writes it again") from error
    return con.read_parquet(path) if rows else None

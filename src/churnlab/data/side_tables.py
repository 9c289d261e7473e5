"""Judges the optional tables: customers, interactions, contacts."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.datatypes as dt

from churnlab.config import Contacts, Customers, Data, Interactions
from churnlab.data import contract, judging, parsing
from churnlab.data.cleaning import reading_of
from churnlab.data.conflicts import repeated
from churnlab.data.contract import CRITERIA, QUARANTINE, check
from churnlab.data.identities import identified, referrers
from churnlab.data.reasons import CUSTOMER_TWICE, GROUP_UNKNOWN, KIND_UNKNOWN, Reason

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandera.ibis as pa
    from ibis.backends.duckdb import Backend

MOST_HOURS = 10_000_000.0  # a thousand years: what lasts so long ends on a day that is refused
KINDS, GROUPS = ("complaint", "ticket", "csat", "nps", "intent", "wish"), ("treated", "control")
HOURS = {"responded": "response_hours", "resolved": "resolution_hours"}
SORTED_BY = {
    "customers": ("customer_id", "known_from", "signup"),
    "interactions": ("customer_id", "ts", "kind", "score", "channel", "topic", "responded", "resolved"),
    "contacts": ("customer_id", "ts", "action", "channel", "group"),
}


@dataclass(frozen=True)
class SideTable:
    """An optional table as read, its refused lines, and what became of the lines.

    Attributes
    ----------
    table
        The columns of its contract but for the hours, sorted by all of its keys; no row where the shop has no
        such table.
    quarantine
        As :data:`churnlab.data.contract.QUARANTINE`.
    summary
        rows_read, rows_accepted, rows_quarantined, quarantined_by_reason, refused.
    """

    table: ir.Table
    quarantine: ir.Table
    summary: dict[str, Any]


def schema_of(name: str, data: Data | None) -> pa.DataFrameSchema:
    """The contract of a table by its name."""
    return next(table(data) for table in contract.TABLES if table(data).name == name)


def mapped(name: str, data: Data) -> dict[str, str]:
    """churnlab's word → the source's column, for those that are mapped."""
    settings = getattr(data, name)
    names = settings.columns.model_dump()
    consent = {f"consent_{channel}": column for channel, column in names.pop("consent", {}).items()}
    return {word: column for word, column in {**names, **consent}.items() if column is not None}


def clean_side(con: Backend, raw: ir.Table, name: str, data: Data) -> SideTable:
    """Check the lines of one optional table.

    Parameters
    ----------
    raw
        What :func:`churnlab.data.sources.read` gives.
    name
        customers, interactions or contacts; `data` has a section of that name.

    Raises
    ------
    ConfigError, DataError
        As :func:`churnlab.data.cleaning.clean`.
    """
    settings = getattr(data, name)
    reading = reading_of(con, data, settings, f"data.{name}")
    schema, words = schema_of(name, data), [word for word in mapped(name, data) if word in raw.columns]
    named = identified(con, _chosen(raw, settings), data)
    if "referrer" in words:
        named = referrers(con, named, data)
    lines = judging.read_cells(named, schema, reading)
    if isinstance(settings, Interactions):
        lines = _with_endings(_rescaled(lines, settings))
    lines = judging.judged(judging.judge(lines, schema), words, tuple(schema.columns), data)
    lines = judging.set_down(con, lines)
    if data.ambiguous_cells == "quarantine":
        lines = judging.refuse_mixed(lines, schema)
    accepted, refused = judging.parted(con, lines, lambda sound: _compared(sound, name, schema, data))
    refused = judging.with_content(con, refused, named, words, data)
    quarantine = judging.quarantine(refused, name)
    check(quarantine, QUARANTINE)
    summary = judging.summary(refused, accepted.count().to_pyarrow().as_py())
    return SideTable(_shaped(accepted, name, data), quarantine.order_by(*judging.PLACE), summary)


def _compared(lines: ir.Table, name: str, schema: pa.DataFrameSchema, data: Data) -> ir.Table:
    lines = repeated(lines, data)
    if name == "customers":
        lines = judging.refuse(lines, _told_twice(lines, schema), CUSTOMER_TWICE.code)
    return lines


def empty(con: Backend, name: str) -> SideTable:
    """What a shop without the table has."""
    always = {word: c for word, c in _columns(name, None).items() if "<" not in word and word not in CRITERIA}
    shape = {word: column.dtype.type for word, column in always.items()}
    table = con.create_table(ibis.util.gen_name(name), schema=ibis.schema(shape), temp=True)
    nothing = con.create_table(
        ibis.util.gen_name("quarantine"),
        schema=ibis.schema({word: column.dtype.type for word, column in QUARANTINE.columns.items()}),
        temp=True,
    )
    return SideTable(table, nothing, {})


def _columns(name: str, data: Data | None) -> Mapping[str, Any]:
    columns = schema_of(name, data).columns
    return {word: column for word, column in columns.items() if word not in HOURS.values()}


def _shaped(lines: ir.Table, name: str, data: Data) -> ir.Table:
    """The columns of the contract, null where the source has none."""
    columns = {
        word: lines[word] if word in lines.columns else ibis.null(column.dtype.type)
        for word, column in _columns(name, data).items()
    }
    return lines.select(**columns).order_by(*SORTED_BY[name])


def _chosen(raw: ir.Table, settings: Customers | Interactions | Contacts) -> ir.Table:
    """Reads the column whose cells must be one of a few words."""
    if isinstance(settings, Interactions):
        return raw.mutate(
            cell_kind=raw["kind"], **_choice(raw["kind"], "kind", settings.kinds, KINDS, KIND_UNKNOWN)
        )
    if not isinstance(settings, Contacts):
        return raw
    if "group" not in raw.columns:  # a log of contacts made
        return raw.mutate(group=ibis.literal("treated"), cell_group=ibis.literal("treated"))
    return raw.mutate(
        cell_group=raw["group"], **_choice(raw["group"], "group", settings.groups, GROUPS, GROUP_UNKNOWN)
    )


def _choice(
    cell: ir.StringValue,
    word: str,
    told: Mapping[Any, tuple[str, ...]],
    known: tuple[str, ...],
    unknown: Reason,
) -> dict[str, ir.Value]:
    text = parsing.composed(cell)
    names = {
        name: [name, *(unicodedata.normalize("NFC", other) for other in told.get(name, ()))] for name in known
    }
    spelt = ((parsing.is_one_of(text, words), name) for name, words in names.items())
    value = ibis.cases(*spelt, else_=ibis.null("string"))
    return {word: value, f"problem_{word}": value.isnull().ifelse(unknown.code, ibis.null("string"))}


def _rescaled(lines: ir.Table, settings: Interactions) -> ir.Table:
    """Satisfaction from 0 to 1, whatever the shop's scale."""
    if "score" not in lines.columns:
        return lines.mutate(score=ibis.null("float64"), cell_score=ibis.null("string"))
    low, high = settings.csat_range
    share = (lines["score"] - low) / (high - low)
    return lines.mutate(score=(lines["kind"] == "csat").ifelse(share, lines["score"]))


def _with_endings(lines: ir.Table) -> ir.Table:
    """The moments of response and resolution, from hours where the source has those."""
    ends = {}
    for word, hours in HOURS.items():
        end = lines[word] if word in lines.columns else ibis.null(dt.Timestamp(scale=6))
        if hours in lines.columns:
            within = lines[hours].clip(-MOST_HOURS, MOST_HOURS)
            seconds = lines["ts"].epoch_seconds() + (within * 3600.0).round().cast("int64")
            end = end.coalesce(seconds.as_timestamp("s").cast(dt.Timestamp(scale=6)))
        ends[word] = end
    return lines.mutate(**ends)


def _told_twice(lines: ir.Table, schema: pa.DataFrameSchema) -> ir.BooleanValue:
    """Another accepted row tells the same customer, at the same moment, differently."""
    accepted = lines["reason"].isnull()
    known = lines["known_from"] if "known_from" in lines.columns else ibis.null("string")
    told = [
        word for word in schema.columns if word in lines.columns and word not in ("customer_id", "known_from")
    ]
    content = (
        ibis.struct({word: lines[word].cast("string") for word in told}).cast("json").cast("string")
        if told
        else ibis.literal("")
    )
    same = [accepted, lines["customer_id"], known]
    return content.min().over(group_by=same) != content.max().over(group_by=same)

"""What each table of this room looks like, and why a line of it is refused.

One pandera schema per table of the source: its columns say what a cell means and which codes its reading may
give, its checks which values are refused. Documentation, quarantine and the check of what was accepted are
all made from it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import ibis.expr.datatypes as dt

from churnlab.config import Columns, Data
from churnlab.data.reasons import (
    CONFLICT,
    CRITERION_OUTSIDE,
    CURRENCY_CONFLICT,
    CURRENCY_NO_RATE,
    CURRENCY_OTHER,
    CUSTOMER_TWICE,
    DATE_AFTER,
    DATE_EARLY,
    DATE_FAR,
    DATE_MIXED,
    DATE_UNREADABLE,
    DUPLICATE,
    ENDED_EARLY,
    EXCESS_RETURN,
    EXCLUDED,
    FLAG_UNREADABLE,
    FORGOTTEN,
    GROUP_UNKNOWN,
    ID_MISSING,
    ID_NOT_WHOLE,
    KIND_UNKNOWN,
    MALFORMED,
    MARK_MIXED,
    OUT_OF_RANGE,
    OVERLAP,
    RESTATED,
    SCORE_MISSING,
    SCORE_OUTSIDE,
    Reason,
    unreadable,
)

with warnings.catch_warnings():  # it imports PySpark where that is installed, which warns of pandas 3
    warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas")
    import pandera.ibis as pa

if TYPE_CHECKING:
    import ibis.expr.types as ir

WORDS: tuple[str, ...] = tuple(Columns.model_fields)
"""churnlab's names of the source's columns, in the order of params.yaml."""

NUMBERS: tuple[str, ...] = ("amount", "quantity", "unit_price", "discount")
"""Words of the transactions whose cells are numbers."""

ORDER_KEYS: tuple[str, ...] = ("customer_id", "ts", "order_id")
"""The order in which orders are sorted."""

NUMBER_LIMIT = 1e15
"""Numbers so large are refused: float64 keeps no cents beyond; sums of smaller ones fit decimal(38,12)."""

LATEST = datetime(2200, 1, 1)
"""From here on a date is a slip of the keyboard."""

Passes = Callable[["ir.Table", str], "ir.BooleanValue"]


def rule(reason: Reason, passes: Passes) -> pa.Check:
    """A check of one column: `passes` gets the table and the column's name."""
    return pa.Check(
        lambda data: passes(data.table, data.key),
        name=reason.code,
        error=reason.remedy,
        description=reason.example,
    )


def holds(check: pa.Check, table: ir.Table, word: str) -> ir.BooleanValue:
    """A check's verdict on every row, as a column; null counts as passed, as pandera has it."""
    from pandera.api.ibis.types import IbisData  # noqa: PLC0415 - as heavy as pandera itself

    return check._check_fn(IbisData(table, word)).fill_null(True)


def _column(
    dtype: Any,
    kind: str,
    says: str,
    *refused: Reason,
    checks: tuple[pa.Check, ...] = (),
    needed: bool = False,
) -> pa.Column:
    """A column of a source's table.

    `kind` says how its cells are read (id, moment, number, text, flag, choice); `refused` are the reasons
    that reading may give.
    """
    return pa.Column(
        dtype,
        list(checks),
        nullable=not needed,
        required=needed,
        description=says,
        metadata={"kind": kind, "refused": refused},
    )


MOMENT = dt.Timestamp(scale=6)
IDS = (ID_MISSING, ID_NOT_WHOLE, EXCLUDED, FORGOTTEN)
IN_RANGE = rule(OUT_OF_RANGE, lambda table, word: table[word].abs() < NUMBER_LIMIT)

CRITERIA = ("paid_late_share", "referrals")
"""Columns of customers for the policy of discounts; a table has those that its source has."""


def _id() -> pa.Column:
    return _column(dt.string, "id", "who it is", *IDS, needed=True)


def _moment(says: str, data: Data | None, *, needed: bool = False) -> pa.Column:
    """A moment in the business time zone, by default within what is possible."""
    earliest = data.earliest_date if data else date(1990, 1, 1)
    checks = [
        rule(DATE_FAR, lambda table, word: table[word] < LATEST),
        rule(DATE_EARLY, lambda table, word: table[word].date() >= earliest),
    ]
    if needed and (data is None or data.as_of is not None):
        last = data.as_of if data else date(2200, 1, 1)
        checks.append(rule(DATE_AFTER, lambda table, word: table[word].date() <= last))
    return _column(MOMENT, "moment", says, DATE_UNREADABLE, DATE_MIXED, checks=tuple(checks), needed=needed)


def _number(word: str, says: str, *, needed: bool = False) -> pa.Column:
    return _column(
        dt.float64, "number", says, unreadable(word), MARK_MIXED, checks=(IN_RANGE,), needed=needed
    )


def _criterion(word: str, says: str, most: float) -> pa.Column:
    column = _number(word, says)
    column.checks.append(rule(CRITERION_OUTSIDE, lambda table, word: table[word].between(0.0, most)))
    return column


def _words(says: str) -> pa.Column:
    return _column(dt.string, "text", says)


def transactions(data: Data | None = None) -> pa.DataFrameSchema:
    """The lines of orders; `data` None: as documented, every check included."""
    return pa.DataFrameSchema(
        {
            "customer_id": _id(),
            "ts": _moment("when the line was ordered", data, needed=True),
            "currency": _column(
                dt.string,
                "text",
                "ISO code of the line's money",
                CURRENCY_OTHER,
                CURRENCY_CONFLICT,
                CURRENCY_NO_RATE,
            ),
            "quantity": _number("quantity", "pieces; below 0 they were given back"),
            "unit_price": _number("unit_price", "money per piece"),
            "amount": _number(
                "amount", "money of the line after discount; below 0 it was paid back", needed=True
            ),
            "discount": _number("discount", "money taken off the line"),
            "order_id": _words("the order; lines without it that share customer and moment are one order"),
            "product_id": _words("what was bought"),
            "category": _words("the kind of thing it is"),
            "channel": _words("where it was bought"),
        },
        name="transactions",
        description="One row per line of an order.",
        metadata={"across": (DUPLICATE, OVERLAP, RESTATED, CONFLICT, EXCESS_RETURN)},
    )


def customers(data: Data | None = None) -> pa.DataFrameSchema:
    """Who the customers are, one row each, or one per change where `known_from` is mapped."""
    own = data.customers.columns if data and data.customers else None
    channels = own.consent if own else {"<channel>": ""}
    criteria = {
        "paid_late_share": _criterion("paid_late_share", "share of the bills paid late, 0 to 1", 1.0),
        "referrals": _criterion("referrals", "how many the customer has brought in", NUMBER_LIMIT),
    }
    return pa.DataFrameSchema(
        {
            "customer_id": _id(),
            "known_from": _moment(
                "since when the row is true; without it: since signup, consent only today", data
            ),
            "signup": _moment("when the customer signed up", data),
            "is_business": _column(dt.boolean, "flag", "buys for a business", FLAG_UNREADABLE),
            "referrer": _words("customer_id of who brought the customer in"),
            "language": _words("for messages"),
            **{word: criteria[word] for word in CRITERIA if own is None or getattr(own, word)},
            **{
                f"consent_{channel}": _column(dt.boolean, "flag", "may be contacted so", FLAG_UNREADABLE)
                for channel in channels
            },
        },
        name="customers",
        description="One row per customer, or per change of what is known of a customer.",
        metadata={"across": (DUPLICATE, OVERLAP, CUSTOMER_TWICE)},
    )


def interactions(data: Data | None = None) -> pa.DataFrameSchema:
    """What customers said."""
    return pa.DataFrameSchema(
        {
            "customer_id": _id(),
            "ts": _moment("when the customer turned up", data, needed=True),
            "kind": _column(
                dt.string,
                "choice",
                "complaint, ticket, csat, nps, intent (to buy again) or wish (put on a wish list)",
                KIND_UNKNOWN,
                needed=True,
            ),
            "score": _column(
                dt.float64,
                "number",
                "answer to a csat, nps or intent question",
                unreadable("score"),
                MARK_MIXED,
                checks=(
                    rule(SCORE_MISSING, lambda table, word: ~(asks(table) & table[word].isnull())),
                    rule(SCORE_OUTSIDE, lambda table, word: ~asks(table) | on_scale(table, word)),
                ),
            ),
            "channel": _words("how"),
            "topic": _words("about what"),
            "responded": _ending("when the first answer was given", data),
            "resolved": _ending("when the matter was settled", data),
            "response_hours": _number("response_hours", "hours to the first answer, in place of responded"),
            "resolution_hours": _number("resolution_hours", "hours until settled, in place of resolved"),
        },
        name="interactions",
        description="One row per complaint, ticket, wish or answered question.",
        metadata={"across": (DUPLICATE, OVERLAP)},
    )


def _ending(says: str, data: Data | None) -> pa.Column:
    column = _moment(says, data)
    column.checks.append(rule(ENDED_EARLY, lambda table, word: table[word] >= table["ts"]))
    return column


def asks(table: ir.Table) -> ir.BooleanValue:
    """Kinds that carry a score."""
    return table["kind"].isin(["csat", "nps", "intent"])


def on_scale(table: ir.Table, word: str) -> ir.BooleanValue:
    """Satisfaction has been brought to 0 … 1 by now; nps and intent go from 0 to 10."""
    top = (table["kind"] == "csat").ifelse(1.0, 10.0)
    return (table[word] >= 0.0) & (table[word] <= top)


def contacts(data: Data | None = None) -> pa.DataFrameSchema:
    """Who was contacted, and who was left alone on purpose."""
    return pa.DataFrameSchema(
        {
            "customer_id": _id(),
            "ts": _moment("when", data, needed=True),
            "action": _words("with what"),
            "channel": _words("how"),
            "group": _column(
                dt.string, "choice", "treated, or control: left alone on purpose", GROUP_UNKNOWN, needed=True
            ),
        },
        name="contacts",
        description="One row per contact made, or withheld for comparison.",
        metadata={"across": (DUPLICATE, OVERLAP)},
    )


TABLES: tuple[Callable[..., pa.DataFrameSchema], ...] = (transactions, customers, interactions, contacts)


def reasons_of(schema: pa.DataFrameSchema) -> Iterator[tuple[str, Reason]]:
    """Column (`""`: the whole line) and reason, in the order in which a line is judged."""
    yield "", MALFORMED
    for word, column in schema.columns.items():
        for reason in column.metadata["refused"]:
            yield word, reason
        for check in column.checks:
            yield word, Reason(check.name, check.error, check.description)
    for reason in schema.metadata["across"]:
        yield "", reason


REASONS: dict[str, str] = {
    reason.code: reason.remedy for table in TABLES for _, reason in reasons_of(table())
}
"""Why a line is quarantined, and how to mend it."""


def _text(**settings: bool) -> pa.Column:
    return pa.Column(dt.string, **settings)


def _at_least(least: int) -> pa.Check:
    return pa.Check(lambda data: data.table[data.key] >= least, name=f"at least {least}")


def _one_of(known: Iterable[str]) -> pa.Check:
    words = list(known)
    return pa.Check(lambda data: data.table[data.key].isin(words), name=f"one of {', '.join(words)}")


def _money(**settings: bool) -> pa.Column:
    return pa.Column(dt.float64, _at_least(0), **settings)


def _count(least: int = 0, **settings: bool) -> pa.Column:
    return pa.Column(dt.int64, _at_least(least), **settings)


ORDERS = pa.DataFrameSchema(
    {
        "customer_id": _text(),
        "order_id": _text(),
        "ts": pa.Column(dt.Timestamp(scale=6)),
        "day": pa.Column(dt.date),
        "amount": pa.Column(dt.float64),
        "gross": _money(),
        "returned": _money(),
        "is_purchase": pa.Column(dt.boolean),
        "n_lines": _count(1),
        "items": _money(required=False),
        "discount": _money(required=False),
        "n_products": _count(required=False),
        "new_products": _count(required=False),
        "n_categories": _count(required=False),
        "new_categories": _count(required=False),
        "channel": _text(nullable=True, required=False),
    },
    strict=True,
)
"""One row per customer, order and day. `ts` is in the business time zone; money is in the source's currency.

amount       net of the order's sale and return lines; gross − returned
gross        sum of its sale lines              returned    sum of its return lines, without their sign
is_purchase  it has a sale line                 n_lines     accepted lines of the source in it
items        pieces sold                        discount    money taken off its sale lines
n_products   distinct products sold, of which new_products this customer had bought on no earlier day
n_categories, new_categories                    likewise
channel      of the order's first line
"""

QUARANTINE = pa.DataFrameSchema(
    {
        "table": pa.Column(dt.string, _one_of(table().name for table in TABLES)),
        "source_file": _text(),
        "source_row": _count(1),
        "reason": pa.Column(dt.string, _one_of(REASONS)),
        "column": _text(),
        "detail": _text(),
        "raw": _text(),
    },
    strict=True,
)
"""One row per refused line.

table, source_file, source_row   where it stood (data row, from 1)
reason, column, detail           why, for which of churnlab's words ("": the line as a whole), how to mend it
raw                              what it held, as JSON
"""


def check(table: ir.Table, schema: pa.DataFrameSchema) -> None:
    """Hold a table against its schema. A breach is a mistake of this room, not of the user.

    One query tells whether there is a breach; only then does pandera, which asks each column several, say
    which it is.
    """
    if _has_columns_of(schema, table) and not _breaches(table, schema):
        return
    if table.count().execute() == 0:  # pandera 0.35 finds nulls in a table without rows
        return
    schema.validate(table)


def _has_columns_of(schema: pa.DataFrameSchema, table: ir.Table) -> bool:
    """No column is missing, none is too many, each is of its type."""
    kinds = dict(table.schema().items())
    needed = {word for word, column in schema.columns.items() if column.required}
    return needed <= set(kinds) <= set(schema.columns) and all(
        kind == schema.columns[word].dtype.type for word, kind in kinds.items()
    )


def _breaches(table: ir.Table, schema: pa.DataFrameSchema) -> int:
    """Cells that are null and may not be, or that a check refuses."""
    counts = []
    for word in table.columns:
        column = schema.columns[word]
        wrong = [] if column.nullable else [table[word].isnull()]
        wrong += [~holds(check, table, word) for check in column.checks]
        counts += [table.count(where=cells) for cells in wrong]
    found = table.aggregate(**{f"breach_{number}": count for number, count in enumerate(counts)})
    return sum(n or 0 for n in found.to_pyarrow().to_pylist()[0].values())  # of no rows Spark counts null

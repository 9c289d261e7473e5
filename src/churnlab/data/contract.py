"""What the tables of this room look like: raw lines, orders, quarantine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis.expr.datatypes as dt
import pandera.ibis as pa

from churnlab.config import Columns

if TYPE_CHECKING:
    import ibis.expr.types as ir

WORDS: tuple[str, ...] = tuple(Columns.model_fields)
"""churnlab's names of the source's columns, in the order of params.yaml."""

NUMBERS: tuple[str, ...] = ("amount", "quantity", "unit_price", "discount")
"""Words whose cells are numbers; `ts` is a moment and all others are text."""

ORDER_KEYS: tuple[str, ...] = ("customer_id", "ts", "order_id")
"""The order in which orders are sorted."""

NUMBER_LIMIT = 1e15
"""Numbers so large are refused: float64 keeps no cents beyond; sums of smaller ones fit decimal(38,12)."""

REASONS: dict[str, str] = {
    "malformed_row": "more or fewer cells than the header, or a stray quote: mend the row or export it again",
    "customer_id_missing": "a line without a customer cannot be used: fill the id in the source",
    "date_unreadable": "write dates as ISO 8601, or set data.csv.date_format to the pattern of the source",
    "date_too_early": "the date is before data.earliest_date: correct it, or lower that key",
    "date_after_as_of": "the date is after data.as_of: raise that key to count it",
    "currency_other": "the line is not in data.currency: convert it in the source",
    "amount_unreadable": "write a plain number, data.csv.decimal as its mark, no thousands separators",
    "quantity_unreadable": "write a plain number, data.csv.decimal as its mark, no thousands separators",
    "unit_price_unreadable": "write a plain number, data.csv.decimal as its mark, no thousands separators",
    "discount_unreadable": "write a plain number, or leave the cell empty where there was no discount",
    "number_out_of_range": "a number is infinite, or 10^15 and more: correct it, or count in a larger unit",
    "duplicate_line": "equals an earlier line in every mapped column: data.exact_duplicates: keep counts it",
}
"""Why a line is quarantined, first failing reason first, and how to mend it."""


def _text(**settings: bool) -> pa.Column:
    return pa.Column(dt.string, **settings)


def _money() -> pa.Column:
    return pa.Column(dt.float64, pa.Check.ge(0))


def _count(least: int = 0) -> pa.Column:
    return pa.Column(dt.int64, pa.Check.ge(least))


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
        "items": pa.Column(dt.float64, pa.Check.ge(0), required=False),
        "discount": pa.Column(dt.float64, pa.Check.ge(0), required=False),
        "n_products": pa.Column(dt.int64, pa.Check.ge(0), required=False),
        "new_products": pa.Column(dt.int64, pa.Check.ge(0), required=False),
        "n_categories": pa.Column(dt.int64, pa.Check.ge(0), required=False),
        "new_categories": pa.Column(dt.int64, pa.Check.ge(0), required=False),
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
        "source_file": _text(),
        "source_row": _count(1),
        "reason": pa.Column(dt.string, pa.Check.isin(list(REASONS))),
        "detail": _text(),
        "raw": _text(),
    },
    strict=True,
)
"""One row per refused line: where it stood (data row, from 1), why, and what it held as JSON."""


def check(table: ir.Table, schema: pa.DataFrameSchema) -> None:
    """Hold a table against its schema. A breach is a mistake of this room, not of the user."""
    if table.count().execute() == 0:  # pandera 0.35 finds nulls in a table without rows
        return
    schema.validate(table)

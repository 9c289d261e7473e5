"""Judges every line of the transactions, and gathers those that pass into orders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import ibis

from churnlab.config import Data, Source
from churnlab.data import judging, parsing
from churnlab.data.conflicts import compared
from churnlab.data.contract import ORDER_KEYS, ORDERS, QUARANTINE, WORDS, check, transactions
from churnlab.data.currencies import in_one_currency, known_signs, require_one_currency
from churnlab.data.doubts import likenesses
from churnlab.data.identities import identified
from churnlab.data.order_parts import sorted_orders
from churnlab.data.orders import ROWS_PER_BATCH, data_version
from churnlab.data.reasons import unreadable
from churnlab.data.tally import Tally, tally
from churnlab.errors import ConfigError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandera.ibis as pa
    from ibis.backends.duckdb import Backend

TABLE = "transactions"
KEPT = ("order_id", "quantity", "discount", "product_id", "category", "channel")
OPTIONAL = {
    "items": "items",
    "discount": "discount",
    "products": "n_products",
    "categories": "n_categories",
    "channel": "channel",
}


@dataclass(frozen=True)
class Cleaned:
    """Orders and quarantine as :mod:`churnlab.data.contract` has them, what became of the lines, doubts."""

    orders: ir.Table
    quarantine: ir.Table
    summary: dict[str, Any]
    cautions: list[str]


def clean(con: Backend, raw: ir.Table, data: Data) -> Cleaned:
    """Check raw lines against the contract and gather the accepted ones into orders.

    Parameters
    ----------
    raw
        What :func:`churnlab.data.sources.read` gives.
    data
        The section `data` of params.yaml; its columns are not looked at, `raw` has them already.

    Returns
    -------
    Cleaned
        `orders` sorted by customer_id, ts, order_id; `quarantine` sorted by source_file, source_row;
        `summary` with rows_read = rows_accepted + rows_quarantined.

    Raises
    ------
    ConfigError
        A time zone or `data.csv.date_format` is not usable.
    DataError
        Lines are in several currencies and none is named, or a list or table beside them cannot be read.

    Notes
    -----
    Moments with an offset are moved to the business time zone; moments without are in data.source_timezone,
    or in business time already.
    """
    named = identified(con, raw, data)
    lines = judged_lines(con, raw, data, named)
    accepted, refused, told = _parted(con, lines, data)
    words = [word for word in WORDS if word in raw.columns]
    refused = judging.with_content(con, refused, named, words, data)
    orders = sorted_orders(con, accepted, ORDER_KEYS, told.accepted)
    quarantine = judging.quarantine(refused, TABLE)
    check(orders, ORDERS)
    check(quarantine, QUARANTINE)
    return Cleaned(
        orders,
        quarantine.order_by(*judging.PLACE),
        summarise(told, refused, orders, data),
        likenesses(accepted, told, orders, data),
    )


def _parted(con: Backend, lines: ir.Table, data: Data) -> tuple[ir.Table, ir.Table, Tally]:
    """As :func:`churnlab.data.judging.parted`, and the tally of the accepted lines."""
    told = tally(lines)
    sound, refused = judging.split(con, lines, told.refused)
    against_others = compared(sound, told, data)
    if against_others is sound:
        return sound, refused, told
    told = tally(against_others)
    sound, others = judging.split(con, against_others, told.refused)
    return sound, refused.union(others), told


def reading_of(con: Backend, data: Data, source: Source, section: str) -> judging.Reading:
    """How cells are to be read; the engine is asked whether it can, for it will do the reading.

    Raises
    ------
    ConfigError
        A time zone or a date pattern is not usable.
    """
    for key, zone in (
        ("data.timezone", data.timezone),
        (f"{section}.source_timezone", source.source_timezone),
    ):
        try:
            con.con.execute("SELECT timezone($1, TIMESTAMPTZ '2000-01-01 00:00:00+00')", [zone]).fetchall()
        except duckdb.Error as error:
            raise ConfigError(f"{key}: {zone!r} is no time zone: write one such as Asia/Tehran") from error
    patterns = source.csv.date_formats
    for pattern in patterns:
        _check_pattern(con, pattern, source.calendar, section)
    clock = parsing.Clock(patterns, source.calendar, data.timezone, source.source_timezone)
    return judging.Reading(source.csv.decimal, tuple(known_signs(data)), clock)


def _check_pattern(con: Backend, pattern: str, calendar: str, section: str) -> None:
    try:
        if calendar == "jalali":
            parsing.jalali_form(pattern)
        con.con.execute("SELECT CAST(try_strptime('', $1) AS VARCHAR)", [pattern]).fetchall()
    except (duckdb.Error, ValueError) as error:
        raise ConfigError(
            f"{section}.csv.date_format: {pattern!r} is no strptime pattern for the {calendar} calendar: "
            "write e.g. %Y/%m/%d"
        ) from error


def judged_lines(con: Backend, raw: ir.Table, data: Data, named: ir.Table | None = None) -> ir.Table:
    """Every raw line with its cells read, and the first reason to refuse it for itself (null: none).

    Where the engine holds numbers and moments as such, each query reads the source anew, for that takes
    less than to keep the lines. Otherwise they are read once and kept.

    Parameters
    ----------
    named
        `raw` as :func:`churnlab.data.identities.identified` gives it, where the caller has that.

    Returns
    -------
    ibis table
        source_file, source_row, reason, column, customer_id, ts (moment), amount (negative on return lines
        only), is_return, and, where the source has them, order_id, quantity, discount, product_id, category,
        channel; likeness, which equal lines share, of a source in files.
    """
    words = [word for word in WORDS if word in raw.columns]
    schema = transactions(data)
    named = identified(con, raw, data) if named is None else named
    lines = judging.read_cells(named, schema, reading_of(con, data, data, "data"))
    if "discount" in words:
        lines = lines.mutate(discount=lines["discount"].abs().fill_null(0.0))
    if "amount" not in words:
        lines = _multiplied(lines)
    lines = judging.judge(in_one_currency(con, lines, data), schema)
    is_return = _is_return(lines, data.return_order_prefix)
    size = lines["amount"].abs()
    lines = lines.mutate(is_return=is_return, amount=is_return.ifelse(-size, size))
    kept = ("customer_id", "ts", "amount", "is_return", "stated", *KEPT)
    lines = judging.judged(lines, words, kept, data)
    if not (judging.only_counts_likeness(data) and parsing.are_native(raw, _read_as_values(raw, schema))):
        lines = judging.set_down(con, lines)
    require_one_currency(lines, data)
    if data.ambiguous_cells == "quarantine":
        lines = judging.refuse_mixed(lines, schema)
    return lines


def _read_as_values(raw: ir.Table, schema: pa.DataFrameSchema) -> list[str]:
    kinds = {word: column.metadata["kind"] for word, column in schema.columns.items() if word in raw.columns}
    return [word for word, kind in kinds.items() if kind in ("number", "moment")]


def _multiplied(lines: ir.Table) -> ir.Table:
    """The amount from pieces and price, neither of which may then be blank."""
    problems = {
        f"problem_{word}": lines[f"problem_{word}"].coalesce(
            lines[word].isnull().ifelse(unreadable(word).code, ibis.null("string"))
        )
        for word in ("quantity", "unit_price")
    }
    return lines.mutate(amount=lines["quantity"] * lines["unit_price"], **problems)


def _is_return(lines: ir.Table, prefix: str | None) -> ir.BooleanValue:
    is_return = lines["amount"] < 0
    if "quantity" in lines.columns:
        is_return = is_return | (lines["quantity"] < 0).fill_null(False)
    if prefix and "order_id" in lines.columns:
        is_return = is_return | lines["order_id"].startswith(prefix).fill_null(False)
    return is_return


def summarise(told: Tally, refused: ir.Table, orders: ir.Table, data: Data) -> dict[str, Any]:
    """What became of the lines, and what the orders hold; counts, days, flags and places, never an id."""
    found = orders.aggregate(
        customers=orders["customer_id"].nunique(),
        orders=orders.count(),
        first_day=orders["day"].min(),
        last_day=orders["day"].max(),
    )
    facts = found.to_pyarrow().to_pylist()[0]
    days = {name: facts[name].isoformat() if facts[name] else None for name in ("first_day", "last_day")}
    return {
        **judging.summary(refused, told.accepted),
        "return_line_share": told.returns / max(told.accepted, 1),
        "customers": facts["customers"],
        "orders": facts["orders"],
        **days,
        "as_of": data.as_of.isoformat() if data.as_of else days["last_day"],
        **{f"has_{name}": column in orders.columns for name, column in OPTIONAL.items()},
        "data_version": data_version(orders.to_pyarrow_batches(chunk_size=ROWS_PER_BATCH)),
    }

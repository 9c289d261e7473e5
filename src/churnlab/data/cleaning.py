"""Judges every raw line, and gathers those that pass into orders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import ibis
import ibis.expr.datatypes as dt

from churnlab.config import Data
from churnlab.data.contract import (
    NUMBER_LIMIT,
    NUMBERS,
    ORDER_KEYS,
    ORDERS,
    QUARANTINE,
    REASONS,
    WORDS,
    check,
)
from churnlab.data.orders import data_version, order_table
from churnlab.errors import ConfigError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.duckdb import Backend

ISO_DATE = r"\d{4}-\d{2}-\d{2}"
ISO_TIME = r"[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?"
NAIVE = rf"^{ISO_DATE}({ISO_TIME})?$"
AWARE = rf"^{ISO_DATE}{ISO_TIME} ?(Z|UTC|[+-]\d{{2}}(:?\d{{2}})?)$"
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
NOT_BLANK = r"[^\s\p{Z}]"
OTHER_DIGITS, PLAIN_DIGITS = "۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩", "0123456789" * 2
OTHER_MARKS, PLAIN_MARKS = "−٫", "-."
OPTIONAL = {
    "items": "items",
    "discount": "discount",
    "products": "n_products",
    "categories": "n_categories",
    "channel": "channel",
}

MOMENT = dt.Timestamp(scale=6)
INSTANT = dt.Timestamp(timezone="UTC")


@ibis.udf.scalar.builtin(name="timezone", signature=((dt.string, INSTANT), MOMENT))  # type: ignore[untyped-decorator]
def _local(zone: str, instant: Any) -> Any:
    """The clock's reading in a time zone at an instant."""


@ibis.udf.scalar.builtin(name="try_strptime", signature=((dt.string, dt.string), MOMENT))  # type: ignore[untyped-decorator]
def _by_pattern(text: str, pattern: str) -> Any:
    """The moment that a text states by a pattern without an offset."""


@ibis.udf.scalar.builtin(name="try_strptime", signature=((dt.string, dt.string), INSTANT))  # type: ignore[untyped-decorator]
def _by_offset_pattern(text: str, pattern: str) -> Any:
    """The instant that a text states by a pattern with an offset."""


@dataclass(frozen=True)
class Cleaned:
    """Orders and quarantine as described in :mod:`churnlab.data.contract`, and what became of the lines."""

    orders: ir.Table
    quarantine: ir.Table
    summary: dict[str, Any]


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
        `data.timezone` or `data.csv.date_format` is not usable.

    Notes
    -----
    Ids stay as the source wrote them, spaces and leading zeros included; one of nothing but white space is
    missing. Moments with an offset are moved to the business time zone; moments without are in it already.
    """
    _check_settings(con, data)
    lines = con.create_table(ibis.util.gen_name("lines"), judged_lines(raw, data), temp=True)
    accepted = lines.filter(lines["reason"].isnull())
    orders = con.create_table(ibis.util.gen_name("orders"), order_table(accepted), temp=True)
    quarantine = quarantined_lines(lines)
    check(orders, ORDERS)
    check(quarantine, QUARANTINE)
    orders, quarantine = orders.order_by(*ORDER_KEYS), quarantine.order_by("source_file", "source_row")
    return Cleaned(orders, quarantine, summarise(raw, lines, orders, data))


def _check_settings(con: Backend, data: Data) -> None:
    """Ask the engine, for it is the engine that will read by them."""
    try:
        con.con.execute(
            "SELECT timezone($1, TIMESTAMPTZ '2000-01-01 00:00:00+00')", [data.timezone]
        ).fetchall()
    except duckdb.Error as error:
        raise ConfigError(
            f"data.timezone: {data.timezone!r} is no time zone: write one such as Asia/Tehran"
        ) from error
    try:
        con.con.execute("SELECT CAST(try_strptime('', $1) AS VARCHAR)", [data.csv.date_format]).fetchall()
    except duckdb.Error as error:
        raise ConfigError(
            f"data.csv.date_format: {data.csv.date_format!r} is no strptime pattern: write e.g. %d/%m/%Y"
        ) from error


def judged_lines(raw: ir.Table, data: Data) -> ir.Table:
    """Every raw line with its cells read, and the first reason to refuse it (null: accepted).

    Returns
    -------
    ibis table
        source_file, source_row, reason, raw (JSON of the cells, of refused lines only), customer_id,
        ts (moment), amount (negative on return lines only), is_return, and, where the source has them,
        order_id, quantity, discount, product_id, category, channel.
    """
    words = [word for word in WORDS if word in raw.columns]
    lines = _read_cells(raw, data)
    lines = lines.mutate(reason=_first_reason(lines, data))
    if data.exact_duplicates == "quarantine":
        lines = _mark_duplicates(lines, words)
    is_return = _is_return(lines, data.return_order_prefix)
    size = lines["line_amount"].abs()
    texts = [word for word in ("order_id", "product_id", "category", "channel") if word in words]
    numbers = [word for word in ("quantity", "discount") if word in words]
    return lines.select(
        "source_file",
        "source_row",
        "reason",
        "customer_id",
        raw=lines["reason"].notnull().ifelse(_as_json(lines, words), ibis.null("string")),
        ts=lines["line_ts"],
        amount=is_return.ifelse(-size, size),
        is_return=is_return,
        **{word: _filled(lines[word]) for word in texts},
        **{word: lines[f"line_{word}"] for word in numbers},
    )


def _as_json(lines: ir.Table, words: list[str]) -> ir.StringValue:
    """The cells of a line, or the text of a malformed row."""
    cells = ibis.struct({word: lines[word].cast("string") for word in words})
    row = ibis.struct({"row": lines["malformed"]})
    return lines["malformed"].notnull().ifelse(row.cast("json"), cells.cast("json")).cast("string")


def _read_cells(raw: ir.Table, data: Data) -> ir.Table:
    """Adds line_ts, line_amount and the line's other numbers, each null where its cell cannot be read."""
    numbers = {
        f"line_{word}": _number(raw[word], data.csv.decimal) for word in NUMBERS if word in raw.columns
    }
    lines = raw.mutate(line_ts=_moment(raw["ts"], data), **numbers)
    if "discount" in raw.columns:
        discount = _is_blank(raw["discount"]).ifelse(0.0, lines["line_discount"].abs())
        lines = lines.mutate(line_discount=discount)
    if "amount" not in raw.columns:
        lines = lines.mutate(line_amount=lines["line_quantity"] * lines["line_unit_price"])
    return lines


def _number(cell: ir.Value, decimal: str) -> ir.FloatingValue:
    """A plain number, or null. Persian and Arabic digits count; thousands separators do not."""
    if cell.type().is_numeric():
        number = cell.cast("float64")
        return number.isnan().ifelse(ibis.null("float64"), number)
    text = cell.strip()
    if decimal == ",":
        text = text.translate(".,", ",.")
    text = text.translate(OTHER_DIGITS + OTHER_MARKS, PLAIN_DIGITS + PLAIN_MARKS)
    return text.re_search(NUMBER).ifelse(text, ibis.null("string")).try_cast("float64")


def _moment(cell: ir.Value, data: Data) -> ir.TimestampValue:
    """The moment in business time that a cell states, or null."""
    kind = cell.type()
    if kind.is_timestamp() and kind.timezone is not None:
        return _local(data.timezone, cell.cast(INSTANT))
    if kind.is_timestamp() or kind.is_date():
        return cell.cast(MOMENT)
    text = cell.translate(OTHER_DIGITS, PLAIN_DIGITS).strip()
    pattern = data.csv.date_format
    if pattern is None:
        return _iso_moment(text, data.timezone)
    if "%z" in pattern or "%Z" in pattern:
        return _local(data.timezone, _by_offset_pattern(text, pattern))
    return _by_pattern(text, pattern)


def _iso_moment(text: ir.StringValue, zone: str) -> ir.TimestampValue:
    """ISO 8601: a date, basic or extended, or a date and time with or without an offset."""
    text = text.re_replace(r"^(\d{4})(\d{2})(\d{2})$", r"\1-\2-\3")
    nothing = ibis.null("string")
    naive = text.re_search(NAIVE).ifelse(text, nothing).try_cast(MOMENT)
    aware = _seconds_and_offset(text.re_search(AWARE).ifelse(text, nothing)).try_cast(INSTANT)
    return naive.coalesce(_local(zone, aware))


def _seconds_and_offset(text: ir.StringValue) -> ir.StringValue:
    """The way that every DuckDB reads: seconds are written, and the offset is a number without a space."""
    text = text.re_replace(r" ?(Z|UTC)$", "+00").re_replace(r" ([+-])", r"\1")
    return text.re_replace(r"[T ](\d{2}:\d{2})([+-])", r" \1:00\2")


def _is_blank(cell: ir.Value) -> ir.BooleanValue:
    if not cell.type().is_string():
        return cell.isnull()
    return cell.isnull() | ~cell.re_search(NOT_BLANK)


def _filled(cell: ir.StringValue) -> ir.StringValue:
    return _is_blank(cell).ifelse(ibis.null("string"), cell)


def _first_reason(lines: ir.Table, data: Data) -> ir.StringValue:
    """The code of the first check of :data:`REASONS` that a line fails, or null."""
    failed = _failed(lines, data)
    branches = [(failed[code].fill_null(True), code) for code in REASONS if code in failed]
    return ibis.cases(*branches, else_=ibis.null("string"))


def _failed(lines: ir.Table, data: Data) -> dict[str, ir.BooleanValue]:
    """The checks that this source and these settings call for."""
    day = lines["line_ts"].date()
    failed = {
        "malformed_row": lines["malformed"].notnull(),
        "customer_id_missing": _is_blank(lines["customer_id"]),
        "date_unreadable": lines["line_ts"].isnull(),
        "date_too_early": day < data.earliest_date,
    }
    if data.as_of is not None:
        failed["date_after_as_of"] = day > data.as_of
    if data.currency is not None and "currency" in lines.columns:
        failed["currency_other"] = lines["currency"].strip().upper() != data.currency.strip().upper()
    numbers = [word for word in NUMBERS if word in lines.columns]
    for word in numbers:
        failed[f"{word}_unreadable"] = lines[f"line_{word}"].isnull()
    sizes = [lines[f"line_{word}"].abs() for word in dict.fromkeys(["amount", *numbers])]
    failed["number_out_of_range"] = ibis.greatest(*sizes) >= NUMBER_LIMIT
    return failed


def _mark_duplicates(lines: ir.Table, words: list[str]) -> ir.Table:
    """Refuse every accepted line that an accepted line before it equals in all mapped columns."""
    accepted = lines["reason"].isnull()
    place = ibis.row_number().over(
        group_by=[accepted, *(lines[word] for word in words)],
        order_by=[lines["source_file"], lines["source_row"]],
    )
    return lines.mutate(reason=(accepted & (place > 0)).ifelse("duplicate_line", lines["reason"]))


def _is_return(lines: ir.Table, prefix: str | None) -> ir.BooleanValue:
    is_return = lines["line_amount"] < 0
    if "quantity" in lines.columns:
        is_return = is_return | (lines["line_quantity"] < 0)
    if prefix and "order_id" in lines.columns:
        is_return = is_return | lines["order_id"].startswith(prefix).fill_null(False)
    return is_return


def quarantined_lines(lines: ir.Table) -> ir.Table:
    """The refused lines in the shape of :data:`churnlab.data.contract.QUARANTINE`."""
    refused = lines.filter(lines["reason"].notnull())
    remedy = ibis.cases(*((refused["reason"] == code, text) for code, text in REASONS.items()), else_="")
    refused = refused.select("source_file", "source_row", "reason", "raw", detail=remedy)
    return refused.relocate("detail", after="reason")


def summarise(raw: ir.Table, lines: ir.Table, orders: ir.Table, data: Data) -> dict[str, Any]:
    """What became of the raw lines, and what the orders hold; counts, days and flags, never an id."""
    reasons = (
        lines.group_by("reason").aggregate(n=lines.count(), returns=lines["is_return"].sum()).to_pyarrow()
    )
    counts = {row["reason"]: row for row in reasons.to_pylist()}
    accepted = counts.pop(None, {"n": 0, "returns": 0})
    refused = {reason: row["n"] for reason, row in sorted(counts.items())}
    found = orders.aggregate(
        customers=orders["customer_id"].nunique(),
        orders=orders.count(),
        first_day=orders["day"].min(),
        last_day=orders["day"].max(),
    )
    facts = found.to_pyarrow().to_pylist()[0]
    days = {name: facts[name].isoformat() if facts[name] else None for name in ("first_day", "last_day")}
    return {
        "rows_read": raw.count().execute(),
        "rows_accepted": accepted["n"],
        "rows_quarantined": sum(refused.values()),
        "quarantined_by_reason": refused,
        "return_line_share": (accepted["returns"] or 0) / max(accepted["n"], 1),
        "customers": facts["customers"],
        "orders": facts["orders"],
        **days,
        "as_of": data.as_of.isoformat() if data.as_of else days["last_day"],
        **{f"has_{name}": column in orders.columns for name, column in OPTIONAL.items()},
        "data_version": data_version(orders.to_pyarrow()),
    }

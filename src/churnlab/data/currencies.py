"""Which money a line is in, and what it is worth in the shop's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from churnlab.config import Data
from churnlab.data import parsing
from churnlab.data.rates import read_rates
from churnlab.data.reasons import CURRENCY_CONFLICT, CURRENCY_NO_RATE, CURRENCY_OTHER
from churnlab.engine import steps_left_apart
from churnlab.errors import DataError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.duckdb import Backend

SIGNS = {
    "€": "EUR",
    "£": "GBP",
    "$": "USD",
    "¥": "JPY",
    "₹": "INR",
    "₺": "TRY",
    "₽": "RUB",
    "₪": "ILS",
    "₩": "KRW",
    "₴": "UAH",
    "₦": "NGN",
    "฿": "THB",
    "﷼": "IRR",
    "ریال": "IRR",
    "تومان": "IRT",  # a tenth of it: no ISO code, but what prices are told in
}
"""What a sign means unless `data.currency_symbols` says otherwise."""

MONEY = ("unit_price", "amount", "discount")
CODES_SHOWN = 5


def known_signs(data: Data) -> dict[str, str]:
    """Sign to ISO code."""
    return SIGNS | {sign: code.strip().upper() for sign, code in data.currency_symbols.items()}


def in_one_currency(con: Backend, lines: ir.Table, data: Data) -> ir.Table:
    """Converts the money of every line to `data.currency`, or marks the line with what keeps it from that.

    Parameters
    ----------
    lines
        Read cells, see :func:`churnlab.data.judging.read_cells`.

    Returns
    -------
    ibis table
        With `stated`, the ISO code that the line states, and `problem_currency`; the money columns in the
        shop's currency.

    Raises
    ------
    DataError
        `data.rates` cannot be read.
    """
    lines = _stated(lines, data)
    if data.currency is None:
        return lines.mutate(problem_currency=_conflict(lines))
    home = data.currency.strip().upper()
    assumed = ibis.null("string") if "cell_currency" in lines.columns else home
    lines = lines.mutate(stated=lines["stated"].coalesce(assumed))
    if data.rates is None:
        other = (lines["stated"] != home).fill_null(True)
        problem = _conflict(lines).coalesce(other.ifelse(CURRENCY_OTHER.code, ibis.null("string")))
        return lines.mutate(problem_currency=problem)
    rates = con.create_table(ibis.util.gen_name("rates"), read_rates(data.rates), temp=True)
    return _converted(con, lines, home, rates)


def _stated(lines: ir.Table, data: Data) -> ir.Table:
    """Adds `stated` and `beside`: the ISO code that the column, or a sign beside the money, states."""
    signs = known_signs(data)
    beside = [_code(lines[f"sign_{word}"], signs) for word in MONEY if f"sign_{word}" in lines.columns]
    by_sign = ibis.coalesce(*beside)
    column = lines["currency"].strip().upper() if "currency" in lines.columns else ibis.null("string")
    return lines.mutate(stated=column.coalesce(by_sign), beside=by_sign)


def _code(sign: ir.StringValue, signs: dict[str, str]) -> ir.StringValue:
    known = ((sign == name, code) for name, code in signs.items())
    return ibis.cases((sign == "", ibis.null("string")), *known, else_=sign)


def _conflict(lines: ir.Table) -> ir.StringValue:
    differ = (lines["stated"] != lines["beside"]).fill_null(False)
    return differ.ifelse(CURRENCY_CONFLICT.code, ibis.null("string"))


def require_one_currency(lines: ir.Table, data: Data) -> None:
    """Refuse to add up different money.

    Parameters
    ----------
    lines
        stated: ISO code that the line states, null if none; reason: null where the line counts.

    Raises
    ------
    DataError
        Lines are in several currencies, and `data.currency` does not say which is the shop's.
    """
    if data.currency is not None:
        return
    counted = lines.filter(lines["stated"].notnull(), lines["reason"].isnull())
    if not counted.limit(1).count().to_pyarrow().as_py():
        return
    marks = counted.select("stated").distinct()
    # whatever stands beside a number is a mark: of a column mapped by mistake it may be part of an id
    codes = marks.filter(marks["stated"].re_search(parsing.SIGN)).order_by("stated")
    found = codes.limit(CODES_SHOWN + 1).to_pyarrow()["stated"].to_pylist()
    others = marks.count().execute() - codes.count().execute()
    if len(found) + others > 1:
        told = [*found[:CODES_SHOWN], *(["…"] if len(found) > CODES_SHOWN else [])]
        shown = ", ".join([*told, *([f"{others} marks that are no ISO code"] if others else [])])
        raise DataError(
            f"data.currency: lines are in {shown}: name the shop's currency, and rates for the others "
            f"in data.rates"
        )


def _converted(con: Backend, lines: ir.Table, home: str, rates: ir.Table) -> ir.Table:
    """Multiplies money by the newest rate of its currency up to the line's day."""
    pairs = lines.select(stated=lines["stated"], day=lines["ts"].date()).distinct()
    dated = pairs.left_join(rates, [pairs["stated"] == rates["currency"], rates["from_day"] <= pairs["day"]])
    newest = dated.group_by(["stated", "day"]).aggregate(rate=dated["rate"].argmax(dated["from_day"]))
    newest = newest.mutate(rate=(newest["stated"] == home).ifelse(1.0, newest["rate"]))
    with steps_left_apart():
        newest = con.create_table(ibis.util.gen_name("rates"), newest, temp=True)
    newest = newest.rename(rate_currency="stated", rate_day="day")
    same = [lines["stated"] == newest["rate_currency"], lines["ts"].date() == newest["rate_day"]]
    joined = lines.left_join(newest, same)
    none = joined["rate"].isnull() & joined["ts"].notnull()
    problem = ibis.cases(
        (joined["stated"].isnull(), CURRENCY_OTHER.code),
        (none, CURRENCY_NO_RATE.code),
        else_=ibis.null("string"),
    )
    money = {word: joined[word] * joined["rate"] for word in MONEY if word in joined.columns}
    return joined.mutate(problem_currency=_conflict(joined).coalesce(problem), **money)

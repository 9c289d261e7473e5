"""How templates become pages: escaping, and the filters that write numbers, money and dates."""

from __future__ import annotations

from functools import partial

from jinja2 import Environment, PackageLoader, StrictUndefined

from churnlab.report import formats


def environment(currency_symbol: str, typical_amount: float | None) -> Environment:
    """The templates of this room, everything escaped, a name that is not given an error.

    Parameters
    ----------
    currency_symbol
        Printed before money; "" for none.
    typical_amount
        Decides how many decimals money has.
    """
    made = Environment(
        loader=PackageLoader("churnlab.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    decimals = formats.money_decimals(typical_amount)
    made.filters.update(
        number=formats.number,
        percent=formats.percent,
        money=partial(formats.money, symbol=currency_symbol, decimals=decimals),
        total=partial(formats.total, symbol=currency_symbol, decimals=decimals),
        words=formats.words,
        text=formats.text,
        day=formats.day,
        sentences=formats.sentences,
    )
    return made

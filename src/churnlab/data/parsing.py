"""Reads single cells: text, whole numbers of any script, money, moments of two calendars, yes and no."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.datatypes as dt

if TYPE_CHECKING:
    import ibis.expr.types as ir

OTHER_DIGITS, PLAIN_DIGITS = "۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩", "0123456789" * 2
BLANK = r"[\s\p{Z}\p{Cc}\p{Cf}]"  # spaces of every kind, and what is written but not seen
NOT_BLANK = r"[^\s\p{Z}\p{Cc}\p{Cf}]"

ISO_DATE = r"\d{4}-\d{2}-\d{2}"
ISO_TIME = r"[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?"
NAIVE = rf"^{ISO_DATE}({ISO_TIME})?$"
OFFSET = r"[+-](0\d|1[0-8])(:?[0-5]\d)?"  # no clock is further from UTC than 18 hours
AWARE = rf"^{ISO_DATE}{ISO_TIME} ?(Z|UTC|{OFFSET})$"

PLAIN_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
GROUPED_NUMBER = r"^(\d{1,3}(,\d{3})+|\d{1,2}(,\d{2})+,\d{3})(\.\d*)?$"  # thousands, or lakhs
CORE = r"\.?[0-9]([0-9.,eE+-]*[0-9])?\.?"
EITHER_MARK = r"^[+-]?\d{1,3}[.,]\d{3}$"  # a thousand to one reader, a fraction to the other
GROUP_MARKS = "'’`_\u00a0\u202f\u2009 "
CUT = "\u241f"  # stands where a number was cut out of its text
SIGN = r"^[A-Z]{3}$|^\p{Sc}$"  # an ISO code, or a sign of money such as €
# no number, two signs, two numbers, half a bracket
ODD = rf"^[^{CUT}]*$|[+-].*[+-]|{CUT}.*{CUT}|^[^(]*\)|\([^)]*$"

YES = ("true", "t", "yes", "y", "1", "1.0", "on", "بله", "آری", "ναι", "نعم")
NO = ("false", "f", "no", "n", "0", "0.0", "off", "خیر", "نه", "όχι", "لا")

MOMENT = dt.Timestamp(scale=6)
INSTANT = dt.Timestamp(timezone="UTC")
PARTS = {"Y": "year", "m": "month", "d": "day", "H": "hours", "M": "minutes", "S": "seconds"}
FIRST_JALALI, LAST_JALALI = 1200, 1600  # 1821 to 2221


@ibis.udf.scalar.builtin(name="timezone", signature=((dt.string, INSTANT), MOMENT))  # type: ignore[untyped-decorator]
def local(zone: str, instant: Any) -> Any:
    """The clock's reading in a time zone at an instant."""


@ibis.udf.scalar.builtin(name="timezone", signature=((dt.string, MOMENT), INSTANT))  # type: ignore[untyped-decorator]
def instant_of(zone: str, moment: Any) -> Any:
    """The instant at which a clock in a time zone reads so."""


@ibis.udf.scalar.builtin(name="try_strptime", signature=((dt.string, dt.string), MOMENT))  # type: ignore[untyped-decorator]
def _by_pattern(text: str, pattern: str) -> Any:
    """The moment that a text states by a pattern without an offset."""


@ibis.udf.scalar.builtin(name="try_strptime", signature=((dt.string, dt.string), INSTANT))  # type: ignore[untyped-decorator]
def _by_offset_pattern(text: str, pattern: str) -> Any:
    """The instant that a text states by a pattern with an offset."""


@ibis.udf.scalar.builtin(name="nfc_normalize", signature=((dt.string,), dt.string))  # type: ignore[untyped-decorator]
def composed(text: str) -> Any:
    """Unicode's composed form: é as one sign, whichever way it was typed."""


def is_blank(cell: ir.StringValue) -> ir.BooleanValue:
    """Nothing, or nothing to be seen."""
    return _begins_plainly(cell).fill_null(False).ifelse(False, cell.isnull() | ~cell.re_search(NOT_BLANK))


def _begins_plainly(cell: ir.StringValue) -> ir.BooleanValue:
    """With a sign of ASCII that is seen: most cells do, and need no search."""
    return (cell >= "!") & (cell < "\x7f")


def filled(cell: ir.StringValue) -> ir.StringValue:
    """The cell as it is, null where blank."""
    return is_blank(cell).ifelse(ibis.null("string"), cell)


def trimmed(cell: ir.StringValue) -> ir.StringValue:
    """Without blanks at either end."""
    return cell.re_replace(rf"^{BLANK}+|{BLANK}+$", "")


def is_one_of(cell: ir.StringValue, words: Sequence[str]) -> ir.BooleanValue:
    """Whether a cell is one of the words, in small letters or capitals, blanks at its ends or not."""
    told = "|".join(re.escape(word.strip()) for word in words)
    return _begins_otherwise(cell, words).ifelse(False, cell.re_search(rf"(?i)^{BLANK}*({told}){BLANK}*$"))


def _begins_otherwise(cell: ir.StringValue, words: Sequence[str]) -> ir.BooleanValue:
    """Whether a cell begins with a sign of ASCII that is seen, and none of the words begins so."""
    begins = {sign for word in words for sign in _spellings(word.strip()[:1])}
    signs = sorted(sign for sign in begins if len(sign) == 1 and sign.isascii())
    alike = [(cell >= sign) & (cell < chr(ord(sign) + 1)) for sign in signs]
    return reduce(lambda earlier, later: earlier & ~later, alike, _begins_plainly(cell)).fill_null(False)


def _spellings(sign: str) -> set[str]:
    """A sign in small and in capital letters; ſ and the sign of kelvin are spellings of s and k."""
    return {sign.lower(), sign.upper(), sign.casefold(), sign.casefold().upper()}


def plain_digits(cell: ir.StringValue) -> ir.StringValue:
    """Persian and Arabic digits as 0 to 9, blanks at the ends taken off."""
    return trimmed(cell.translate(OTHER_DIGITS, PLAIN_DIGITS))


def whole_number(cell: ir.StringValue) -> ir.StringValue:
    """123 for 123, 00123, "123.0" and ۱۲۳; null for all that is no whole number."""
    digits = plain_digits(cell).re_replace(r"^\+?(\d+)(\.0*)?$", r"\1")
    whole = digits.re_replace(r"^0+(\d)", r"\1")
    found = digits.re_search(r"^\d+$").ifelse(whole, ibis.null("string"))
    return _begins_otherwise(cell, ("+", *"0123456789")).ifelse(ibis.null("string"), found)


def without_text(raw: ir.Table, words: Iterable[str]) -> set[str]:
    """The words of whose cells none is text: all that are not empty have a type of their own.

    Parameters
    ----------
    raw
        For each of the words <word>, text, and perhaps `typed_<word>`.
    """
    found = set()
    for word in words:
        if f"typed_{word}" in raw.columns:
            text = raw.filter(raw[f"typed_{word}"].isnull(), raw[word].notnull())
            if not text.select(word).limit(1).to_pyarrow().num_rows:
                found.add(word)
    return found


def are_native(raw: ir.Table, words: Collection[str]) -> bool:
    """Whether the engine holds these numbers and moments as such, so that reading them takes no work."""
    typed = [raw[f"typed_{word}"] for word in words if f"typed_{word}" in raw.columns]
    if len(typed) < len(words) or any(cell.type().is_string() for cell in typed):
        return False
    return len(without_text(raw, words)) == len(words)


def typed_numbers(table: ir.Table, words: Collection[str]) -> ir.Table:
    """What :func:`numbers` gives for words without text, without its steps."""
    added: dict[str, ir.Value] = {}
    for word in words:
        added |= {
            word: _typed_number(table, word),
            f"sign_{word}": ibis.literal(""),
            f"other_{word}": ibis.literal(False),
            f"either_{word}": ibis.literal(False),
        }
    return table.mutate(**added)


def _typed_number(table: ir.Table, word: str) -> ir.FloatingValue:
    typed = table[f"typed_{word}"]
    return typed.isnan().ifelse(ibis.null("float64"), typed)


def numbers(table: ir.Table, words: list[str], decimal: str, signs: list[str]) -> ir.Table:
    """Read numbers: digits of any script, thousands marks, a sign of money, a minus or brackets.

    Parameters
    ----------
    table
        For each of the words `cell_<word>`, text, and perhaps `typed_<word>`, the number where the source
        has one rather than text: it counts first.
    decimal
        The decimal mark. ٫ is one always, ٬ always separates thousands.
    signs
        Signs of money that are neither ISO codes nor of Unicode's class of them.

    Returns
    -------
    ibis table
        Adds for each word

        - <word>: float64, null where unreadable
        - sign_<word>: what stands beside the number, an ISO code or a sign of money; "" if nothing does
        - other_<word>: unreadable, and readable with the other decimal mark
        - either_<word>: readable with both, to different numbers

    Notes
    -----
    In steps, each a projection: one expression of them all would repeat its parts hundreds of times.
    """
    steps = (
        lambda t, w: {f"text_{w}": _pointed(_text(t, w), decimal)},
        lambda t, w: {f"plain_{w}": t[f"text_{w}"].re_search(PLAIN_NUMBER)},
        # most cells are plain; the rest takes many steps
        lambda t, w: {f"odd_{w}": _grouped(t[f"plain_{w}"].ifelse(ibis.null("string"), t[f"text_{w}"]))},
        lambda t, w: {
            f"core_{w}": t[f"odd_{w}"].re_extract(CORE, 0),
            f"beside_{w}": t[f"odd_{w}"].re_replace(CORE, CUT),
        },
        lambda t, w: {
            f"whole_{w}": _ungrouped(t[f"core_{w}"]),
            f"turned_{w}": _ungrouped(t[f"core_{w}"].translate(".,", ",.")),
            f"sign_{w}": _sign(t[f"beside_{w}"]),
        },
        lambda t, w: _number(t, w, signs),
    )
    columns = [*table.columns]
    for step in steps:
        table = table.mutate(**{name: value for w in words for name, value in step(table, w).items()})
    added = [f"{kind}{w}" for w in words for kind in ("", "sign_", "other_", "either_")]
    return table.select(*dict.fromkeys([*columns, *added]))


def _text(table: ir.Table, word: str) -> ir.StringValue:
    """The cell where the source has text."""
    cell = table[f"cell_{word}"]
    if f"typed_{word}" not in table.columns:
        return cell
    return table[f"typed_{word}"].isnull().ifelse(cell, ibis.null("string"))


def _pointed(text: ir.StringValue, decimal: str) -> ir.StringValue:
    """With . as the decimal mark."""
    return text.translate(".,", ",.") if decimal == "," else text


def _grouped(text: ir.StringValue) -> ir.StringValue:
    """Plain digits, with , between thousands, whatever stood there."""
    text = plain_digits(text).translate("−－٫٬", "--.,")
    every_other = text.re_replace(rf"([0-9])[{GROUP_MARKS}]([0-9])", r"\1,\2")
    return every_other.re_replace(rf"([0-9])[{GROUP_MARKS}]([0-9])", r"\1,\2")


def _ungrouped(core: ir.StringValue) -> ir.StringValue:
    """Without the marks between thousands, where they stand as they should."""
    return core.re_search(GROUPED_NUMBER).ifelse(core.replace(",", ""), core)


def _sign(beside: ir.StringValue) -> ir.StringValue:
    """What stands beside one number; nothing where there is no number, or are several."""
    sign = beside.re_replace(rf"[{CUT}()+-]|{BLANK}", "")
    return beside.re_search(ODD).ifelse("", sign).fill_null("")


def _number(table: ir.Table, word: str, signs: list[str]) -> dict[str, ir.Value]:
    nothing = ibis.null("string")
    core, beside, sign = (table[f"{name}_{word}"] for name in ("core", "beside", "sign"))
    known = (sign == "") | sign.re_search(SIGN) | sign.isin(signs)
    sound = known & ~beside.re_search(ODD)
    reads, turned = (table[f"{name}_{word}"].re_search(PLAIN_NUMBER) for name in ("whole", "turned"))
    size = (sound & reads).ifelse(table[f"whole_{word}"], nothing).try_cast("float64")
    minus = beside.re_search(rf"^[^{CUT}]*-|-$|^\(.*\)$")
    plain = table[f"plain_{word}"]
    value = plain.ifelse(table[f"text_{word}"], nothing).try_cast("float64")
    value = value.coalesce(minus.ifelse(-size, size))
    if f"typed_{word}" in table.columns:
        value = _typed_number(table, word).coalesce(value)
    either = plain.ifelse(table[f"text_{word}"], core).re_search(EITHER_MARK)
    return {
        word: value,
        f"other_{word}": (sound & ~reads & turned).fill_null(False),
        f"either_{word}": either.fill_null(False),
    }


@dataclass(frozen=True)
class Clock:
    """How the moments of a table are written: patterns (none: ISO 8601), calendar, time zones."""

    patterns: tuple[str, ...]
    calendar: str
    timezone: str
    source_timezone: str | None


def moments(table: ir.Table, word: str, clock: Clock) -> ir.Table:
    """Read moments.

    Parameters
    ----------
    table
        `cell_<word>`, text, and perhaps `typed_<word>`, the moment where the source has one rather than text:
        ISO 8601, or a date or timestamp. It counts first.
    clock
        Moments without an offset are in its source_timezone, or else in business time already.

    Returns
    -------
    ibis table
        Adds <word>, in the business time zone, null where unreadable; and, if a pattern allows of that,
        other_<word> (unreadable, and readable with day and month changed over) and either_<word> (readable
        both ways, to different moments).
    """
    columns = [*table.columns]
    table = table.mutate(text=plain_digits(_text(table, word)))
    swaps = [_swapped(pattern) for pattern in clock.patterns if re.search("%[dm].*%[dm].*%[Yy]", pattern)]
    table = _read(table, "straight", clock.patterns, clock)
    typed = f"typed_{word}" in table.columns
    added = {
        word: typed_moment(table, word, clock).coalesce(table["straight"]) if typed else table["straight"]
    }
    if swaps:
        table = _read(table, "swapped", tuple(swaps), clock)
        straight, swapped = table["straight"], table["swapped"]
        added |= {
            f"other_{word}": straight.isnull() & swapped.notnull(),
            f"either_{word}": (straight != swapped).fill_null(False),
        }
    table = table.mutate(**added)
    return table.select(*dict.fromkeys([*columns, *added]))


def _swapped(pattern: str) -> str:
    """Day for month and month for day."""
    return re.sub(r"%([dm])", lambda found: "%m" if found[1] == "d" else "%d", pattern)


def typed_moment(table: ir.Table, word: str, clock: Clock) -> ir.TimestampValue:
    """What :func:`moments` gives for a word without text, without its steps."""
    typed = table[f"typed_{word}"]
    kind = typed.type()
    if kind.is_string():
        return _iso(typed, clock)
    if kind.is_timestamp() and kind.timezone is not None:
        return local(clock.timezone, typed.cast(INSTANT))
    return _at_home(typed.cast(MOMENT), clock)


def _read(table: ir.Table, name: str, patterns: tuple[str, ...], clock: Clock) -> ir.Table:
    """Adds the moment that column `text` states by the first of the patterns that reads it."""
    text = table["text"]
    if clock.calendar == "jalali":
        readings = []
        for number, pattern in enumerate(patterns or ("%Y-%m-%d",)):
            table = _jalali(table, f"{name}_{number}", pattern)
            readings.append(_at_home(table[f"{name}_{number}"], clock))
    elif not patterns:
        table = table.mutate(iso=text.re_replace(r"^(\d{4})(\d{2})(\d{2})$", r"\1-\2-\3"))
        readings = [_iso(table["iso"], clock)]
    else:
        readings = [_by(text, pattern, clock) for pattern in patterns]
    return table.mutate(**{name: reduce(lambda earlier, later: earlier.coalesce(later), readings)})


def _by(text: ir.StringValue, pattern: str, clock: Clock) -> ir.TimestampValue:
    if "%z" in pattern or "%Z" in pattern:
        return local(clock.timezone, _by_offset_pattern(text, pattern))
    return _at_home(_by_pattern(text, pattern), clock)


def _at_home(moment: ir.TimestampValue, clock: Clock) -> ir.TimestampValue:
    """A moment of the source's clock by the clock of the business."""
    if clock.source_timezone is None or clock.source_timezone == clock.timezone:
        return moment
    return local(clock.timezone, instant_of(clock.source_timezone, moment))


def _iso(text: ir.StringValue, clock: Clock) -> ir.TimestampValue:
    """ISO 8601: a date, or a date and time with or without an offset."""
    nothing = ibis.null("string")
    naive = text.re_search(NAIVE).ifelse(text, nothing).try_cast(MOMENT)
    aware = _seconds_and_offset(text.re_search(AWARE).ifelse(text, nothing)).try_cast(INSTANT)
    return _at_home(naive, clock).coalesce(local(clock.timezone, aware))


def _seconds_and_offset(text: ir.StringValue) -> ir.StringValue:
    """The way that every DuckDB reads: seconds are written, and the offset is a number without a space."""
    text = text.re_replace(r" ?(Z|UTC)$", "+00").re_replace(r" ([+-])", r"\1")
    return text.re_replace(r"[T ](\d{2}:\d{2})([+-])", r" \1:00\2")


def _jalali(table: ir.Table, name: str, pattern: str) -> ir.Table:
    """Adds the moment that column `text` states as a date of the Persian calendar, perhaps with a time of
    day.

    A year begins on the day that jdatetime says. Six months of 31 days follow, five of 30, and the twelfth
    has what is left.
    """
    form, places = jalali_form(pattern)
    parts = {part: table["text"].re_extract(form, place).try_cast("int64") for part, place in places.items()}
    table = table.mutate(**{PARTS[part]: value for part, value in parts.items()})
    year, month, day = (table[PARTS[part]] for part in "Ymd")
    table = table.mutate(starts=_new_year(year), next_starts=_new_year(year + 1))
    passed = (month <= 7).ifelse((month - 1) * 31, 186 + (month - 7) * 30) + day - 1
    last = table["next_starts"] - table["starts"] - 336
    month_days = (month <= 6).ifelse(31, (month <= 11).ifelse(30, last))
    sound = month.between(1, 12) & (day >= 1) & (day <= month_days)
    days = sound.ifelse(table["starts"] + passed, ibis.null("int64"))
    clock = [table[PARTS[part]].fill_null(0) if part in parts else ibis.literal(0) for part in "HMS"]
    in_day = (clock[0] < 24) & (clock[1] < 60) & (clock[2] < 60)
    seconds = in_day.ifelse(clock[0] * 3600 + clock[1] * 60 + clock[2], ibis.null("int64"))
    return table.mutate(**{name: (days * 86_400 + seconds).as_timestamp("s").cast(MOMENT)})


def jalali_form(pattern: str) -> tuple[str, dict[str, int]]:
    """A pattern as a regular expression, and the group of each of its parts.

    Any of - / . may stand between the parts of a date, and a time of day may follow it.

    Raises
    ------
    ValueError
        The pattern has another directive than %Y %m %d %H %M %S, or lacks one of the first three.
    """
    found = re.findall(r"%(.)", pattern)
    if not {"Y", "m", "d"} <= set(found) <= set("YmdHMS") or len(found) != len(set(found)):
        raise ValueError(pattern)
    width = {"Y": r"(\d{4})"}
    form = re.sub(r"%(.)", lambda part: width.get(part[1], r"(\d{1,2})"), re.sub(r"[-/.]", "[-/.]", pattern))
    if "H" not in found:
        form += r"(?:[T ](\d{1,2}):(\d{2})(?::(\d{2}))?)?"
        found += ["H", "M", "S"]
    return f"^{form}$", {name: place for place, name in enumerate(found, 1)}


@cache
def new_years() -> list[int]:
    """Days from 1970 to the first day of each year from FIRST_JALALI on."""
    import jdatetime  # noqa: PLC0415 - few shops need it

    epoch = jdatetime.date.fromgregorian(year=1970, month=1, day=1).togregorian().toordinal()
    years = range(FIRST_JALALI, LAST_JALALI + 1)
    return [jdatetime.date(year, 1, 1).togregorian().toordinal() - epoch for year in years]


def _new_year(year: ir.IntegerValue) -> ir.IntegerValue:
    known = ibis.literal(new_years(), type="array<int64>")  # one node; of an array of literals each is one
    inside = year.between(FIRST_JALALI, LAST_JALALI)
    return inside.ifelse(known[year - FIRST_JALALI], ibis.null("int64"))


def flag(cell: ir.StringValue) -> ir.BooleanValue:
    """Yes or no in several languages; null where it is neither."""
    word = plain_digits(cell).lower()
    return ibis.cases((word.isin(YES), True), (word.isin(NO), False), else_=ibis.null("boolean"))

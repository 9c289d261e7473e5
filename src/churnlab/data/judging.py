"""Gives every line of a table the first reason to refuse it, by the table's contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ibis

from churnlab.config import Data
from churnlab.data import parsing
from churnlab.data.contract import REASONS, holds
from churnlab.data.reasons import (
    DATE_MIXED,
    DATE_UNREADABLE,
    ERASED,
    FLAG_UNREADABLE,
    FORGOTTEN,
    MALFORMED,
    MARK_MIXED,
    unreadable,
)
from churnlab.engine import steps_left_apart

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandera.ibis as pa
    from ibis.backends.duckdb import Backend

PLACE = ("source_file", "source_row")


@dataclass(frozen=True)
class Reading:
    """How the cells of a table are to be read.

    Attributes
    ----------
    decimal, signs, clock
        As :func:`churnlab.data.parsing.numbers` and :func:`churnlab.data.parsing.moments` take them.
    """

    decimal: str
    signs: tuple[str, ...]
    clock: parsing.Clock


def read_cells(raw: ir.Table, schema: pa.DataFrameSchema, reading: Reading) -> ir.Table:
    """Adds the value of every cell.

    Parameters
    ----------
    raw
        What :func:`churnlab.data.sources.read` gives; `customer_id` and columns of kind `choice` have been
        read already.

    Returns
    -------
    ibis table
        The columns of `raw`, every word's text moved to `cell_<word>`; `<word>` holds the value, null where
        there is none; `problem_<word>` the code of what kept the cell from being read, else null;
        `sign_<word>` what stands beside a number; `other_<word>` and `either_<word>` whether it reads only,
        or also, by the other decimal mark or the other order of day and month.
    """
    words = [word for word in schema.columns if word in raw.columns]
    kinds = {word: schema.columns[word].metadata["kind"] for word in words}
    table = _with_numbers_and_moments(_with_cells(raw, words), kinds, reading)
    texts = {word: parsing.filled(table[f"cell_{word}"]) for word in words if kinds[word] == "text"}
    flags = {word: parsing.flag(table[f"cell_{word}"]) for word in words if kinds[word] == "flag"}
    table = table.mutate(**texts, **flags)
    may_be_blank = {word for word in words if schema.columns[word].nullable}
    return table.mutate(
        **{
            f"problem_{word}": _unread(table, word, kinds[word], word in may_be_blank)
            for word in words
            if kinds[word] in ("number", "moment", "flag")
        }
    )


def _with_cells(raw: ir.Table, words: list[str]) -> ir.Table:
    return raw.mutate(**{f"cell_{word}": raw[word] for word in words if f"cell_{word}" not in raw.columns})


def _with_numbers_and_moments(table: ir.Table, kinds: Mapping[str, str], reading: Reading) -> ir.Table:
    """By the steps that text takes, but for columns that hold no text."""
    numbers = [word for word, kind in kinds.items() if kind == "number"]
    moments = [word for word, kind in kinds.items() if kind == "moment"]
    typed = parsing.without_text(table, [*numbers, *moments])
    table = parsing.typed_numbers(table, [word for word in numbers if word in typed])
    numbers = [word for word in numbers if word not in typed]
    if numbers:
        table = parsing.numbers(table, numbers, reading.decimal, list(reading.signs))
    for word in moments:
        if word in typed:
            table = table.mutate(**{word: parsing.typed_moment(table, word, reading.clock)})
        else:
            table = parsing.moments(table, word, reading.clock)
    return table


def _unread(table: ir.Table, word: str, kind: str, may_be_blank: bool) -> ir.StringValue:
    """The code of a cell that gave no value though it had to."""
    wrong = table[word].isnull()
    if may_be_blank:
        blank = parsing.is_blank(table[f"cell_{word}"])
        if f"typed_{word}" in table.columns:
            blank = blank & table[f"typed_{word}"].isnull()
        wrong = wrong & ~blank
    codes = {"number": unreadable(word).code, "moment": DATE_UNREADABLE.code, "flag": FLAG_UNREADABLE.code}
    return wrong.ifelse(codes[kind], ibis.null("string"))


def refuse_mixed(lines: ir.Table, schema: pa.DataFrameSchema) -> ir.Table:
    """Refuses cells that read two ways, in columns where some cell reads only the other way.

    Which file a cell stands in makes no difference, so that cutting files makes none either.
    """
    for word, column in schema.columns.items():
        if f"either_{word}" not in lines.columns:
            continue
        only_other = lines.filter(lines[f"other_{word}"], lines["reason"].fill_null("") != MALFORMED.code)
        if only_other.count().to_pyarrow().as_py():
            code = DATE_MIXED.code if column.metadata["kind"] == "moment" else MARK_MIXED.code
            lines = refuse(lines, lines[f"either_{word}"], code, word)
    return lines


def judge(table: ir.Table, schema: pa.DataFrameSchema) -> ir.Table:
    """Adds `reason`, the code of the first thing wrong with a line (null: nothing), and its `column`."""
    found = [(table["malformed"].notnull(), MALFORMED.code, "")]
    for word, column in schema.columns.items():
        if f"problem_{word}" in table.columns:
            problem = table[f"problem_{word}"]
            found.append((problem.notnull(), problem, word))
        if word in table.columns:
            found += [(~holds(check, table, word), check.name, word) for check in column.checks]
    return table.mutate(
        reason=ibis.cases(*((wrong, code) for wrong, code, _ in found), else_=ibis.null("string")),
        column=ibis.cases(*((wrong, word) for wrong, _, word in found), else_=""),
    )


def refuse(table: ir.Table, wrong: ir.BooleanValue, code: str, column: str = "") -> ir.Table:
    """Gives a reason to lines that have none yet."""
    now = table["reason"].isnull() & wrong.fill_null(False)
    return table.mutate(reason=now.ifelse(code, table["reason"]), column=now.ifelse(column, table["column"]))


def judged(table: ir.Table, words: list[str], kept: tuple[str, ...], data: Data) -> ir.Table:
    """What is needed of judged lines.

    Returns
    -------
    ibis table
        source_file, source_row, reason, column, the columns of `kept` and those of :func:`refuse_mixed` that
        there are, likeness (equal in equal lines).
    """
    flags = [name for name in table.columns if name.startswith(("other_", "either_"))]
    columns = [name for name in (*kept, *flags) if name in table.columns]
    return table.select(*PLACE, "reason", "column", *columns, likeness=_likeness(table, words, data))


def set_down(con: Backend, lines: ir.Table) -> ir.Table:
    """Lines as a table of the engine, so that they are read once."""
    with steps_left_apart():
        return con.create_table(ibis.util.gen_name("lines"), lines, temp=True)


def only_counts_likeness(data: Data) -> bool:
    """Whether no line is refused because others are like it."""
    return {data.exact_duplicates, data.overlapping_rows, data.order_conflicts} == {"keep"}


def _likeness(table: ir.Table, words: list[str], data: Data) -> ir.Value:
    """What equal lines share. Where lines are refused by it, chance must not make two lines equal."""
    line = ibis.struct({word: table[f"cell_{word}"] for word in words})
    if only_counts_likeness(data):
        return line.hash() if data.dataset is None else ibis.null("int64")
    return line.cast("json").cast("string").hexdigest("md5")


def parted(
    con: Backend, lines: ir.Table, compare: Callable[[ir.Table], ir.Table]
) -> tuple[ir.Table, ir.Table]:
    """The accepted lines, and source_file, source_row, reason and column of the others.

    Parameters
    ----------
    lines
        Lines judged one by one.
    compare
        Gives reasons to lines for what the other accepted lines say; its argument itself if it finds none.
    """
    sound, refused = split(con, lines, _refused(lines).count().to_pyarrow().as_py())
    compared = compare(sound)
    if compared is sound:
        return sound, refused
    sound, beside_others = split(con, compared, _refused(compared).count().to_pyarrow().as_py())
    return sound, refused.union(beside_others)


def split(con: Backend, lines: ir.Table, n_refused: int) -> tuple[ir.Table, ir.Table]:
    """Lines without a reason, which the engine need not work out again, and the others as :func:`parted`.

    Parameters
    ----------
    n_refused
        How many have a reason.
    """
    found = _refused(lines)
    content = {"obj": found} if n_refused else {"schema": found.schema()}
    refused = con.create_table(ibis.util.gen_name("refused"), **content, temp=True)
    sound = lines.anti_join(refused, PLACE) if n_refused else lines
    return sound.mutate(reason=ibis.null("string"), column=ibis.literal("")), refused


def _refused(lines: ir.Table) -> ir.Table:
    return lines.filter(lines["reason"].notnull()).select(*PLACE, "reason", "column")


def with_content(con: Backend, refused: ir.Table, raw: ir.Table, words: list[str], data: Data) -> ir.Table:
    """Adds raw and looks to refused lines, and keeps them as a table of the engine.

    `raw` is read again for those lines only, so that the cells of accepted lines need not be kept.
    """
    if not refused.count().to_pyarrow().as_py():
        return refused.mutate(raw=ibis.literal(""), looks=ibis.literal(""))
    found = _with_cells(raw, words).inner_join(refused, PLACE)
    content = found.select(
        *PLACE,
        "reason",
        "column",
        raw=as_json(found, words, not data.privacy.hash_ids),
        looks=looks(found, words),
    )
    return con.create_table(ibis.util.gen_name("content"), content, temp=True)


def as_json(table: ir.Table, words: list[str], keep_malformed: bool) -> ir.StringValue:
    """The cells of a line, or the text of a malformed row; nothing of who asked to be forgotten."""
    row = ibis.struct({word: table[f"cell_{word}"] for word in words}).cast("json").cast("string")
    broken = ibis.struct({"row": table["malformed"]}).cast("json").cast("string")
    shown = table["malformed"].notnull().ifelse(broken if keep_malformed else ERASED, row)
    return (table["reason"] == FORGOTTEN.code).ifelse(ERASED, shown)


def quarantine(refused: ir.Table, name: str) -> ir.Table:
    """The refused lines in the shape of :data:`churnlab.data.contract.QUARANTINE`."""
    remedies = ((refused["reason"] == code, text) for code, text in REASONS.items())
    return refused.select(
        ibis.literal(name).name("table"),
        "source_file",
        "source_row",
        "reason",
        "column",
        ibis.cases(*remedies, else_="").name("detail"),
        "raw",
    )


def looks(table: ir.Table, words: list[str]) -> ir.StringValue:
    """The shape of the cell that is wrong; "" where the line as a whole is."""
    return ibis.cases(*((table["column"] == word, shape(table[f"cell_{word}"])) for word in words), else_="")


def summary(refused: ir.Table, accepted: int) -> dict[str, Any]:
    """Rows read, accepted and refused; and of each reason how many, how to mend it, and the first place.

    Parameters
    ----------
    refused
        What :func:`with_content` gives.
    accepted
        How many other lines there are.
    """
    counted = refused.group_by("reason").aggregate(rows=refused.count())
    counts = {row["reason"]: row["rows"] for row in counted.to_pyarrow().to_pylist()}
    place = ibis.row_number().over(group_by="reason", order_by=[refused[name] for name in PLACE])
    firsts = refused.mutate(place=place).filter(ibis._.place == 0).order_by("reason")
    examples = {
        row["reason"]: {name: row[name] for name in (*PLACE, "column", "looks")}
        for row in (firsts.to_pyarrow().to_pylist() if counts else ())
    }
    reasons = sorted(counts)
    return {
        "rows_read": accepted + sum(counts.values()),
        "rows_accepted": accepted,
        "rows_quarantined": sum(counts.values()),
        "quarantined_by_reason": {reason: counts[reason] for reason in reasons},
        "refused": [
            {"reason": reason, "rows": counts[reason], "remedy": REASONS[reason], "first": examples[reason]}
            for reason in reasons
        ],
    }


def shape(cell: ir.StringValue) -> ir.StringValue:
    """What a cell looks like without what it says: a for letters, 9 for digits, 30 characters at most."""
    return cell.substr(0, 30).re_replace(r"\p{L}", "a").re_replace(r"\p{N}", "9")

"""Whose line it is: how ids are spelt, who does not count, and keyed hashes in place of ids."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import ibis

from churnlab.config import Data
from churnlab.data import parsing
from churnlab.data.forgotten import forgotten_ids, read_forgotten
from churnlab.data.pseudonyms import pseudonym_table, read_key
from churnlab.data.reasons import EXCLUDED, FORGOTTEN, ID_MISSING, ID_NOT_WHOLE
from churnlab.errors import DataError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.duckdb import Backend


PIECES = r"[,;|\t\"]"
"""What parts the cells of a row that cannot be read as a record."""


def spelt(cell: ir.StringValue, policy: str) -> ir.StringValue:
    """An id by the policy of `data.customer_ids`: exact as written, text trimmed and composed, integer."""
    if policy == "integer":
        return parsing.whole_number(cell)
    return parsing.composed(parsing.trimmed(cell)) if policy == "text" else cell


def identified(con: Backend, raw: ir.Table, data: Data) -> ir.Table:
    """Adds `cell_customer_id` and `problem_customer_id`, and puts the id by the policy into `customer_id`.

    With `data.privacy.hash_ids` both hold keyed hashes: nothing that is written after this names a customer.

    Raises
    ------
    ConfigError
        The key of the hashes is not in the environment.
    DataError
        The list of excluded or forgotten customers cannot be read.
    """
    raw = _withheld_rows(con, raw, data)
    cell = raw["customer_id"]
    missing = parsing.is_blank(cell) | parsing.is_one_of(cell, data.missing_ids)
    table = raw.mutate(cell_customer_id=cell, customer_id=spelt(cell, data.customer_ids), id_missing=missing)
    listed = _listed(con, table, data)
    if listed is None:
        table = table.mutate(listed_as=ibis.null("string"))
    else:
        table = table.left_join(listed, table["customer_id"] == listed["listed_id"]).drop("listed_id")
    problem = ibis.cases(
        (table["id_missing"], ID_MISSING.code),
        (table["customer_id"].isnull(), ID_NOT_WHOLE.code),
        (table["listed_as"].notnull(), table["listed_as"]),
        else_=ibis.null("string"),
    )
    table = table.mutate(problem_customer_id=problem).drop("id_missing", "listed_as")
    return _hashed(con, table, data) if data.privacy.hash_ids else table


def _withheld_rows(con: Backend, raw: ir.Table, data: Data) -> ir.Table:
    """The raw lines, without the text of malformed rows that hold the id of a forgotten customer."""
    path = Path(data.privacy.forgotten)
    if "malformed" not in raw.columns or not read_forgotten(path).days:
        return raw
    rows = raw.filter(raw["malformed"].notnull()).select(text="malformed").distinct()
    pieces = rows.select("text", piece=rows["text"].re_split(PIECES).unnest())
    pieces = pieces.mutate(id=spelt(parsing.trimmed(pieces["piece"]), data.customer_ids))
    pieces = con.create_table(ibis.util.gen_name("pieces"), pieces.filter(pieces["id"].notnull()), temp=True)
    gone = forgotten_ids(con, pieces.select(customer_id="id").distinct(), path)
    assert gone is not None  # the list has entries
    theirs = pieces.semi_join(gone, pieces["id"] == gone["customer_id"]).select(withheld="text").distinct()
    theirs = con.create_table(ibis.util.gen_name("withheld"), theirs, temp=True)
    joined = raw.left_join(theirs, raw["malformed"] == theirs["withheld"])
    text = joined["withheld"].notnull().ifelse("erased", joined["malformed"])
    return joined.mutate(malformed=text).drop("withheld")


def _listed(con: Backend, table: ir.Table, data: Data) -> ir.Table | None:
    """Ids that do not count: listed_id and listed_as, the code of the reason; None if all count."""
    excluded = excluded_ids(con, data)
    ids = table.select("customer_id").filter(table["customer_id"].notnull()).distinct()
    gone = forgotten_ids(con, ids, Path(data.privacy.forgotten))
    if gone is None and not excluded:
        return None
    rows = {"listed_id": excluded, "listed_as": [EXCLUDED.code] * len(excluded)}
    listed = ibis.memtable(rows, schema={"listed_id": "string", "listed_as": "string"})
    if gone is not None:
        forgotten = gone.select(listed_id="customer_id", listed_as=ibis.literal(FORGOTTEN.code))
        listed = listed.anti_join(forgotten, "listed_id").union(forgotten)
    return con.create_table(ibis.util.gen_name("listed"), listed, temp=True)


def excluded_ids(con: Backend, data: Data) -> list[str]:
    """The ids of `data.exclude_customers`, the first cell of each line of a CSV, by the policy of ids."""
    if data.exclude_customers is None:
        return []
    path = Path(data.exclude_customers).expanduser()
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            names = [row[0] for row in csv.reader(handle) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"data.exclude_customers: {path} cannot be read: name a UTF-8 CSV with one id a line"
        ) from error
    if names[:1] == [data.columns.customer_id] or names[:1] == ["customer_id"]:
        del names[0]
    written = ibis.memtable({"id": sorted(set(names))}, schema={"id": "string"})
    found = con.to_pyarrow(written.select(id=spelt(written["id"], data.customer_ids)))
    return sorted({name for name in found["id"].to_pylist() if name})


def _hashed(con: Backend, table: ir.Table, data: Data) -> ir.Table:
    """With the hash of the id, and of an id that cannot be read, in place of both."""
    key = read_key(data.privacy)
    known = table["customer_id"].coalesce(table["cell_customer_id"])
    table = table.mutate(known_id=known)
    ids = table.filter(known.notnull()).select(customer_id="known_id").distinct()
    hashes = pseudonym_table(con, ids, key).rename(hashed_id="customer_id")
    joined = table.left_join(hashes, table["known_id"] == hashes["hashed_id"])
    whole = joined["customer_id"].notnull()
    return joined.mutate(
        customer_id=whole.ifelse(joined["pseudonym"], ibis.null("string")),
        cell_customer_id=joined["pseudonym"],
    ).drop("known_id", "hashed_id", "pseudonym")


def referrers(con: Backend, table: ir.Table, data: Data) -> ir.Table:
    """Spells, and hashes, the ids in `referrer` as those of customers; who is forgotten referred nobody."""
    table = table.mutate(referrer=spelt(parsing.filled(table["referrer"]), data.customer_ids))
    table = _without_forgotten(con, table, data)
    if not data.privacy.hash_ids:
        return table
    ids = table.filter(table["referrer"].notnull()).select(customer_id="referrer").distinct()
    hashes = pseudonym_table(con, ids, read_key(data.privacy)).rename(hashed_id="customer_id")
    joined = table.left_join(hashes, table["referrer"] == hashes["hashed_id"])
    return joined.mutate(referrer=joined["pseudonym"]).drop("hashed_id", "pseudonym")


def _without_forgotten(con: Backend, table: ir.Table, data: Data) -> ir.Table:
    ids = table.filter(table["referrer"].notnull()).select(customer_id="referrer").distinct()
    gone = forgotten_ids(con, ids, Path(data.privacy.forgotten))
    if gone is None:
        return table
    joined = table.left_join(gone.rename(gone_id="customer_id"), table["referrer"] == gone["customer_id"])
    known = joined["gone_id"].isnull().ifelse(joined["referrer"], ibis.null("string"))
    return joined.mutate(referrer=known).drop("gone_id")

"""Keyed hashes in place of customer ids."""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import ibis
import pyarrow as pa

from churnlab.config import Privacy
from churnlab.errors import ConfigError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.duckdb import Backend

LEAST_KEY_CHARACTERS = 16
DIGITS = 32  # 128 bits: among 10^9 customers two are equal with a chance of 10^-21
IDS_PER_BATCH = 65_536
PSEUDONYMS = pa.schema([("customer_id", pa.string()), ("pseudonym", pa.string())])


def read_key(privacy: Privacy) -> bytes:
    """The key of the pseudonyms, from the environment variable that `data.privacy.key_env` names.

    Raises
    ------
    ConfigError
        The variable is not set, or holds fewer than 16 characters. The message does not hold its value.
    """
    key = os.environ.get(privacy.key_env, "")
    if len(key) < LEAST_KEY_CHARACTERS:
        finding = f"has fewer than {LEAST_KEY_CHARACTERS} characters" if key else "is not set"
        raise ConfigError(
            f"data.privacy.hash_ids: environment variable {privacy.key_env} {finding}: "
            f"put a secret of at least {LEAST_KEY_CHARACTERS} characters into it, and keep it"
        )
    return key.encode()


def pseudonym(key: bytes, customer_id: str) -> str:
    """The first 32 hexadecimal digits of HMAC-SHA-256 (RFC 2104) of the id in UTF-8."""
    return hmac.digest(key, customer_id.encode(), "sha256").hex()[:DIGITS]


def pseudonym_table(con: Backend, ids: ir.Table, key: bytes) -> ir.Table:
    """The pseudonym of every id.

    Parameters
    ----------
    ids
        customer_id: text, distinct, never null.

    Returns
    -------
    ibis table
        customer_id, pseudonym: both distinct.
    """
    batches = list(_batches(ids, key))
    table = con.create_table(
        ibis.util.gen_name("pseudonyms"), pa.Table.from_batches(batches, PSEUDONYMS), temp=True
    )
    found = table.aggregate(rows=table.count(), distinct=table["pseudonym"].nunique()).to_pyarrow()
    (rows,), (distinct,) = found["rows"].to_pylist(), found["distinct"].to_pylist()
    if rows != distinct:
        raise AssertionError(f"{rows} ids have {distinct} pseudonyms")
    return table


def _batches(ids: ir.Table, key: bytes) -> Iterator[pa.RecordBatch]:
    """Some ids at a time as Python's text; what is kept is Arrow's."""
    for batch in ids.select("customer_id").to_pyarrow_batches(chunk_size=IDS_PER_BATCH):
        column = batch.column(0).cast(pa.string())
        hashed = pa.array([pseudonym(key, name) for name in column.to_pylist()], pa.string())
        yield pa.record_batch([column, hashed], schema=PSEUDONYMS)

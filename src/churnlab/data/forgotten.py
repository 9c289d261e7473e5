"""The list of customers who asked to be forgotten, which names none of them."""

from __future__ import annotations

import csv
import hmac
import io
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import ibis
import pyarrow as pa
import pyarrow.compute as pc

from churnlab.engine import write_text
from churnlab.errors import DataError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.duckdb import Backend

COLUMNS = ("salt", "mark", "forgotten_on")
IDS_PER_BATCH = 65_536
SALT, MARK, DAY = (
    re.compile(pattern) for pattern in (r"[0-9a-f]{32}", r"[0-9a-f]{64}", r"\d{4}-\d{2}-\d{2}")
)


@dataclass(frozen=True)
class ForgottenList:
    """The list as it is on disk.

    `salt`: the same for all entries, None while there are none; `days`: mark → ISO day, in the order of
    entry.
    """

    salt: str | None
    days: dict[str, str]

    def mark(self, customer_id: str) -> str:
        """HMAC-SHA-256 of the id, keyed with the list's salt, in hexadecimal."""
        assert self.salt is not None
        return hmac.digest(self.salt.encode(), customer_id.encode(), "sha256").hex()


def read_forgotten(path: Path) -> ForgottenList:
    """Read the list: CSV with the columns salt, mark and forgotten_on; without the file it is empty.

    Marks do not name anybody, but whoever holds the list can test a guessed id against it: it deserves the
    protection that the ids themselves have.

    Raises
    ------
    DataError
        The file cannot be read, or is no such list.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return ForgottenList(None, {})
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(path, "it cannot be read as UTF-8 text") from error
    try:
        header, *rows = list(csv.reader(io.StringIO(text, newline=""), strict=True)) or [list(COLUMNS)]
    except csv.Error as error:
        raise _damaged(path, "it is no CSV") from error
    if tuple(header) != COLUMNS:
        raise _damaged(path, f"its header is not {','.join(COLUMNS)}")
    rows = [row for row in rows if row]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(COLUMNS) or not all(map(_fits, (SALT, MARK, DAY), row)) or row[0] != rows[0][0]:
            raise _damaged(path, f"entry {number} is not one that churnlab wrote")
    return ForgottenList(rows[0][0] if rows else None, {mark: day for _, mark, day in rows})


def _fits(pattern: re.Pattern[str], cell: str) -> bool:
    return pattern.fullmatch(cell) is not None


def _damaged(path: Path, finding: str) -> DataError:
    return DataError(f"{path}: {finding}: restore the list (git checkout, or a backup), do not empty it")


def forgotten_ids(con: Backend, ids: ir.Table, path: Path) -> ir.Table | None:
    """Those of the ids that are on the list.

    Parameters
    ----------
    ids
        customer_id: text, distinct, never null, before any hashing.

    Returns
    -------
    ibis table or None
        customer_id; None where the list is missing or empty.

    Raises
    ------
    DataError
        The list is damaged.
    """
    forgotten = read_forgotten(path)
    if not forgotten.days:
        return None
    schema = pa.schema([("customer_id", pa.string())])
    found = pa.Table.from_batches(list(_listed(ids, forgotten)), schema)
    return con.create_table(ibis.util.gen_name("forgotten"), found, temp=True)


def _listed(ids: ir.Table, forgotten: ForgottenList) -> Iterator[pa.RecordBatch]:
    for batch in ids.select("customer_id").to_pyarrow_batches(chunk_size=IDS_PER_BATCH):
        column = batch.column(0).cast(pa.string())
        listed = pa.array([forgotten.mark(name) in forgotten.days for name in column.to_pylist()], pa.bool_())
        yield pa.record_batch([pc.filter(column, listed)], names=["customer_id"])


def remember_forgotten(path: Path, ids: Iterable[str], today: date) -> list[str]:
    """Put customers on the list; those already on it keep the day of their first request.

    The first entry draws the salt of the list.

    Returns
    -------
    list of str
        The marks of the ids, in their order.

    Raises
    ------
    DataError
        The list is damaged or cannot be written.
    """
    before = read_forgotten(path)
    after = ForgottenList(before.salt or secrets.token_hex(16), dict(before.days))
    marks = [after.mark(name) for name in ids]
    for mark in marks:
        after.days.setdefault(mark, today.isoformat())
    if after.days != before.days:
        rows = [COLUMNS, *((after.salt, mark, day) for mark, day in after.days.items())]
        write_text("".join(f"{','.join(map(str, row))}\n" for row in rows), path)
    return marks

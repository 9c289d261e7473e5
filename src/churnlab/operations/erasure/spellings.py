"""Every way in which refused and landed lines spell an id that `data.customer_ids` reads as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from churnlab.config import Params
from churnlab.data.identities import spelt
from churnlab.engine import connect
from churnlab.errors import DataError
from churnlab.operations.erasure.file_kinds import is_parquet
from churnlab.operations.erasure.traces import LINES, MENTION, OWNER
from churnlab.operations.sinks.publication import Sink


def by_policy(ids: Sequence[str], params: Params) -> list[str]:
    """The ids as orders have them before any hashing, in their order.

    Raises
    ------
    DataError
        One of them is blank, or no whole number where ids are.
    """
    policy = params.data.customer_ids
    written = ibis.memtable({"place": range(len(ids)), "id": list(ids)})
    table = written.select("place", id=spelt(written["id"], policy)).order_by("place")
    found: list[str | None] = connect(params.engine).to_pyarrow(table)["id"].to_pylist()
    names = [name for name in found if name is not None and name.strip()]
    if len(names) < len(ids):
        raise DataError(
            f"CUSTOMER_ID: {len(ids) - len(names)} of {len(ids)} are no ids (data.customer_ids: {policy}): "
            "name customers as the source does"
        )
    return names


def found_spellings(
    ids: Sequence[str], files: Iterable[Path], params: Params, sinks: Sequence[Sink] = ()
) -> set[str]:
    """The cells of raw lines, in these files and sinks, that the policy reads as one of the ids."""
    policy = params.data.customer_ids
    if policy == "exact":
        return set()
    con = connect(params.engine)
    known = con.create_table("known", ibis.memtable({"known": sorted(set(ids))}), temp=True)

    def theirs(lines: ir.Table) -> set[str]:
        found = set()
        for cells in _id_cells(lines):
            table = cells.filter(cells["cell"].notnull()).distinct()
            same = table.semi_join(known, spelt(table["cell"], policy) == known["known"])
            found |= set(con.to_pyarrow(same)["cell"].to_pylist())
        return found

    landed = (file for file in files if is_parquet(file) and set(LINES) & set(pq.read_schema(file).names))
    of_files = [theirs(con.read_parquet(file)) for file in landed]
    of_sinks = [sink.among_refused(lambda lines: theirs(ibis.memtable(pa.table(lines)))) for sink in sinks]
    return set().union(*of_files, *of_sinks)


def _id_cells(table: ir.Table) -> Iterable[ir.Table]:
    """The cells that hold ids, of landed lines and of the JSON of refused ones."""
    for name in (OWNER, MENTION):
        if "malformed" in table.columns and name in table.columns:
            yield table.select(cell=table[name].cast("string"))
        if "raw" in table.columns:
            yield table.select(cell=table["raw"].try_cast("json")[name].str)

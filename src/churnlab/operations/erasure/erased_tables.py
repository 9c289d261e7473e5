"""Takes customers out of Parquet tables and leaves everybody else's rows as they are."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from churnlab.engine import write_atomically
from churnlab.operations.erasure.traces import LINES, MENTION, NOTE, OWNER, Hits, Wanted

ROWS_PER_BATCH = 65_536
ROWS_PER_GROUP = 1_048_576  # as pyarrow.parquet.write_table cuts them, on which equal bytes rest
WITHHELD = {"raw": '{"erased": true}', "malformed": "erased", NOTE: "erased"}


def search(path: Path, wanted: Wanted) -> Hits:
    """How often a table names the wanted.

    Raises
    ------
    OSError, pyarrow.ArrowException
        The file cannot be read.
    """
    with pq.ParquetFile(path, memory_map=True) as file:
        names = [
            field.name
            for field in file.schema_arrow
            if _holds_text(field.type) or field.name in (OWNER, MENTION)
        ]
        batches = file.iter_batches(ROWS_PER_BATCH, columns=names) if names else iter(())
        return sum((without(pa.table(batch), wanted)[1] for batch in batches), Hits())


def erase(path: Path, wanted: Wanted) -> None:
    """Remove the rows about the wanted, and empty the cells of other rows that name them.

    Rows of raw lines are not removed but emptied, and become malformed rows that say nothing.
    `referrer` becomes null; the text of a refused line, or a topic with the id in it, is withheld. The row
    and its reason stay, so that rows read are still rows accepted and rows refused. Equal rows give the
    bytes that :func:`churnlab.engine.write_parquet` gives.

    Raises
    ------
    DataError
        The file cannot be written.
    """
    with pq.ParquetFile(path, memory_map=True) as file:
        schema = _schema(file)

        def write(temporary: Path) -> None:
            with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
                batches = (pa.table(batch).cast(schema) for batch in file.iter_batches(ROWS_PER_BATCH))
                for group in _groups((without(batch, wanted)[0] for batch in batches), schema):
                    writer.write_table(group, row_group_size=ROWS_PER_GROUP)

        write_atomically(path, write)


def _schema(file: pq.ParquetFile) -> pa.Schema:
    """The schema that the table was written with, which Arrow keeps in the file beside Parquet's own.

    Dictionaries become plain columns: they would keep the values of removed rows.
    """
    kept = (file.metadata.metadata or {}).get(b"ARROW:schema")
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(kept))) if kept else file.schema_arrow
    kinds = {f.name: f.type.value_type if pa.types.is_dictionary(f.type) else f.type for f in schema}
    return pa.schema([pa.field(f.name, kinds[f.name], f.nullable) for f in schema])


def _groups(batches: Iterator[pa.Table], schema: pa.Schema) -> Iterator[pa.Table]:
    """The same rows in groups of :data:`ROWS_PER_GROUP`; one empty group where there is no row."""
    held, is_first = schema.empty_table(), True
    for batch in batches:
        held = pa.concat_tables([held, batch])
        while len(held) >= ROWS_PER_GROUP:
            yield held.slice(0, ROWS_PER_GROUP).combine_chunks()
            held, is_first = held.slice(ROWS_PER_GROUP), False
    if len(held) or is_first:
        yield held.combine_chunks()


def without(table: pa.Table, wanted: Wanted) -> tuple[pa.Table, Hits]:
    """A table without the wanted, and what was taken out of it or could not be."""
    rows = cells = elsewhere = 0
    if OWNER in table.column_names:
        theirs = _is_wanted(table[OWNER], wanted)
        rows = _true(theirs)
        table = (
            _blanked(table, theirs) if "malformed" in table.column_names else table.filter(pc.invert(theirs))
        )
    for name in table.column_names:
        if name in (MENTION, NOTE, *LINES):
            where = _named_in(name, table[name], wanted)
            table = _emptied(table, name, where)
            cells += _true(where)
        elif name != OWNER:
            texts = _texts(table[name])
            elsewhere += sum(_true(_holds(text, wanted.patterns)) for text in texts)
    return table, Hits(rows, cells, elsewhere)


def _blanked(table: pa.Table, theirs: pa.ChunkedArray) -> pa.Table:
    """Landed lines keep their number and place, by which the ledger knows that a file is whole."""
    if not _true(theirs):
        return table
    kept = ("source_file", "source_row", "malformed")
    emptied = {
        f.name: table[f.name]
        if f.name in kept
        else pc.if_else(theirs, pa.scalar(None, f.type), table[f.name])
        for f in table.schema
    }
    blank = pa.table(emptied, schema=table.schema)
    return _emptied(blank, "malformed", theirs)


def _is_wanted(ids: pa.ChunkedArray, wanted: Wanted) -> pa.ChunkedArray:
    return pc.is_in(_text(ids), value_set=pa.array(sorted(wanted.ids), pa.large_string()))


def _named_in(name: str, cells: pa.ChunkedArray, wanted: Wanted) -> pa.ChunkedArray:
    """Which cells of a column name the wanted."""
    if name == MENTION:
        return _is_wanted(cells, wanted)
    return _holds(_text(cells), wanted.patterns) if name == NOTE else refused_theirs(_text(cells), wanted)


def _emptied(table: pa.Table, name: str, where: pa.ChunkedArray) -> pa.Table:
    if not _true(where):
        return table
    place, kind = table.column_names.index(name), table.schema.field(name).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    cells = pc.if_else(where, pa.scalar(WITHHELD.get(name), kind), table[name].cast(kind))
    return table.set_column(place, table.schema.field(name).with_type(kind), cells)


def refused_theirs(lines: pa.ChunkedArray, wanted: Wanted) -> pa.ChunkedArray:
    """Which refused lines are about the wanted: those that hold an id as a word are looked at one by one."""
    held = _holds(lines, wanted.loose_patterns)
    if not _true(held):
        return held
    theirs = iter([wanted.in_raw_line(line) for line in lines.filter(held).to_pylist()])
    flags = [is_held and next(theirs) for is_held in held.to_pylist()]
    return pa.chunked_array([pa.array(flags, pa.bool_())])


def _holds(texts: pa.ChunkedArray, patterns: list[str]) -> pa.ChunkedArray:
    """Which texts match one of the patterns; a null does not."""
    held = pa.chunked_array([pa.repeat(False, len(texts))])
    for pattern in patterns:
        held = pc.or_(held, pc.fill_null(pc.match_substring_regex(texts, pattern), False))
    return held


def _true(flags: pa.ChunkedArray) -> int:
    return pc.sum(flags).as_py() or 0


def _texts(values: pa.ChunkedArray | pa.Array) -> Iterator[pa.ChunkedArray | pa.Array]:
    """The texts of a column, those inside its lists and structs too."""
    kind = values.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _texts(pc.list_flatten(values))
    elif pa.types.is_struct(kind):
        for position in range(kind.num_fields):
            yield from _texts(pc.struct_field(values, [position]))
    elif _holds_text(kind):
        yield _text(values)


def _text(values: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    return values.cast(pa.large_string())


def _holds_text(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_dictionary(kind):
        return _holds_text(kind.value_type)
    if pa.types.is_struct(kind):
        return any(_holds_text(field.type) for field in kind)
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)

"""Customers' days as arrays, one customer after the other, and sums over each customer's part of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

CUSTOMERS_PER_BLOCK = 8192  # their columns fit into a processor's cache
PLACES = 4
ROUNDING = 1e-14  # what the sum of some thousand numbers may be off by, relative


@dataclass(frozen=True)
class Histories:
    """Rows of customers, each customer's in the order of their days.

    What it gives for a customer rests on that customer's rows alone, to the last bit.

    Attributes
    ----------
    begins
        Place of each customer's first row, ascending; int64.
    lengths
        Number of each customer's rows, at least 1; int64.
    columns
        Name to values, one per row.
    """

    begins: np.ndarray
    lengths: np.ndarray
    columns: Mapping[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        """The column of that name."""
        return self.columns[name]

    def having(self, **columns: np.ndarray) -> Histories:
        """These and the columns so far."""
        return replace(self, columns={**self.columns, **columns})

    def total(self, values: np.ndarray) -> np.ndarray:
        """Sum of each customer's values, in the order of the days."""
        return np.add.reduceat(np.asarray(values, dtype=np.float64), self.begins)

    def amount(self, values: np.ndarray) -> np.ndarray:
        """Sum of each customer's amounts, the same in any order where they have up to four decimals."""
        return plain(self.total(values))

    def count(self, rows: np.ndarray) -> np.ndarray:
        """Number of each customer's rows for which the condition holds, as float64."""
        return self.total(rows)

    def greatest(self, values: np.ndarray) -> np.ndarray:
        """Largest of each customer's values."""
        return np.maximum.reduceat(values, self.begins)

    def first(self, values: np.ndarray) -> np.ndarray:
        """Value on each customer's first day."""
        return values[self.begins]

    def last(self, values: np.ndarray) -> np.ndarray:
        """Value on each customer's last day."""
        return values[self.begins + self.lengths - 1]

    def on_rows(self, of_customers: np.ndarray) -> np.ndarray:
        """A value per customer, set beside each of the customer's rows."""
        return np.repeat(of_customers, self.lengths)

    def owners(self) -> np.ndarray:
        """Place of each row's customer among the customers; int64."""
        return self.on_rows(np.arange(len(self.begins)))

    def of(self, rows: np.ndarray) -> Histories:
        """Those rows only; of customers left without one, nothing."""
        if rows.all():
            return self
        kept = np.bincount(self.owners()[rows], minlength=len(self.begins))
        lengths = kept[kept > 0]
        columns = {name: values[rows] for name, values in self.columns.items()}
        return Histories(np.cumsum(lengths) - lengths, lengths, columns)

    def blocks(self, customers: int = CUSTOMERS_PER_BLOCK) -> Iterator[Histories]:
        """So many customers at a time; at least one block, without customers if there are none."""
        ends = np.append(self.begins, len(next(iter(self.columns.values()))))
        for start in range(0, max(len(self.begins), 1), customers):
            begins = self.begins[start : start + customers]
            rows = slice(ends[start], ends[start + len(begins)])
            columns = {name: values[rows] for name, values in self.columns.items()}
            yield Histories(begins - rows.start, self.lengths[start : start + customers], columns)


def histories_of(rows: pa.Table) -> tuple[pa.ChunkedArray, Histories]:
    """Customers and their days from a table.

    Parameters
    ----------
    rows
        customer_id (all rows of a customer together, in the order of their days) and any other columns:
        numbers become float64 (0 for null), dates days since 1970 (int64), texts codes from 0 in no order
        (int64, -1 for null), booleans stay.

    Returns
    -------
    customer_id of each customer, in the order of the rows; the rows.
    """
    ids = rows["customer_id"]
    if not len(ids):
        begins = np.zeros(0, dtype=np.int64)
    else:
        changes = pc.not_equal(ids.slice(1), ids.slice(0, len(ids) - 1)).to_numpy()
        begins = np.concatenate([[0], np.flatnonzero(changes) + 1])
    lengths = np.diff(np.append(begins, len(ids)))
    names = [name for name in rows.column_names if name != "customer_id"]
    return ids.take(pa.array(begins)), Histories(
        begins, lengths, {name: _values(rows[name]) for name in names}
    )


def whole_customers(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches of rows, customer after customer, cut anew so that no customer's rows are in two."""
    held: pa.Table | None = None
    for batch in batches:
        if not batch.num_rows:
            continue
        rows = pa.Table.from_batches([batch])
        rows = rows if held is None else pa.concat_tables([held, rows])
        cut = pc.index(rows["customer_id"], rows["customer_id"][-1]).as_py()
        if cut:
            yield rows.slice(0, cut)
        held = rows.slice(cut)
    if held is not None:
        yield held


def plain(sums: np.ndarray) -> np.ndarray:
    """Sums of amounts without what rounding left behind the fourth decimal."""
    nearest = np.rint(sums * 10**PLACES) / 10**PLACES
    return np.where(np.abs(sums - nearest) <= ROUNDING * np.abs(sums), nearest, sums)


def _values(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_date(column.type):
        return column.cast(pa.int32()).to_numpy().astype(np.int64)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        codes = column.combine_chunks().dictionary_encode().indices
        return codes.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    if pa.types.is_boolean(column.type):
        return column.to_numpy()
    return column.cast(pa.float64()).fill_null(0.0).to_numpy()

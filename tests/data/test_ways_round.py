"""Ways round the reading of text give what the long way gives. Authority: the long way, and lists by hand."""

from datetime import datetime

import ibis
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from churnlab.data import cleaning, parsing

MOMENT = datetime(2023, 1, 5, 12)
TEXT = {"amount": "9", "discount": "x", "ts": "2023-01-09"} | dict.fromkeys(
    ("typed_amount", "typed_discount", "typed_ts")
)
TYPES = {"typed_amount": pa.float64(), "typed_discount": pa.float64(), "typed_ts": pa.timestamp("us")}
CELL = st.sampled_from([(None, None), (1.5, "1.5"), (float("nan"), "nan"), (-2.0, "-2.0"), (1e300, "1e+300")])
SHOWN = ("source_row", "reason", "column", "ts", "amount", "discount", "is_return", "raw", "looks")


def judged(con, settings, rows, **changes):
    """The verdict on raw lines, given as dicts of churnlab's words."""
    place = {"source_file": "x", "source_row": 0, "malformed": None, "customer_id": "c"}
    lines = [place | row | {"source_row": number} for number, row in enumerate(rows)]
    schema = pa.schema([(name, TYPES.get(name, pa.string())) for name in lines[0]])
    schema = schema.set(1, pa.field("source_row", pa.int64()))
    raw = con.create_table(ibis.util.gen_name("raw"), pa.Table.from_pylist(lines, schema), temp=True)
    found = cleaning.judged_lines(con, raw, settings("x.csv", excess_returns="keep", **changes))
    names = [name for name in ("customer_id", *SHOWN) if name in found.columns]
    return found.select(names).order_by("source_row").to_pyarrow()


@given(cells=st.lists(st.tuples(CELL, CELL, st.booleans()), min_size=1, max_size=12))
@examples(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_columns_without_text_are_judged_as_those_with_some(con, settings, cells):
    """Law: a line of text in the table changes nothing about the typed lines beside it."""
    typed = [
        {"typed_amount": amount, "amount": said, "typed_discount": off, "discount": off_said}
        | {"typed_ts": MOMENT if dated else None, "ts": MOMENT.isoformat() if dated else None}
        for (amount, said), (off, off_said), dated in cells
    ]
    alone = judged(con, settings, typed)
    beside_text = judged(con, settings, [*typed, {name: TEXT[name] for name in typed[0]}])
    assert beside_text.num_rows == len(cells) + 1
    assert alone.equals(beside_text.slice(0, len(cells)))


@pytest.mark.parametrize("cell", ["NULL", " n/a ", "\u200fnan", "ΆΓΝΩΣΤΟΣ", "άγνωστος", "نامشخص"])
def test_what_stands_for_a_missing_id_may_be_in_capitals(con, settings, cell):
    missing = ("null", "N/A", "NaN", "άγνωστος", "نامشخص")
    rows = [{"customer_id": cell, "ts": "2024-01-01", "amount": "1"}]
    assert judged(con, settings, rows, missing_ids=missing)["reason"].to_pylist() == ["customer_id_missing"]


def test_what_only_looks_like_it_is_an_id(con, settings):
    ids = ["nullx", "na", "n.a", "n/a n/a", "!", "~", "\u0645", "0"]
    rows = [{"customer_id": cell, "ts": "2024-01-01", "amount": "1"} for cell in ids]
    found = judged(con, settings, rows)
    assert (found["customer_id"].to_pylist(), found["reason"].null_count) == (ids, len(ids))


def test_what_cannot_be_seen_is_blank(con):
    blank = [None, "", " ", "\t\n", "\u00a0", "\u200f\u200c", "\x7f", "\ufeff"]
    seen = ["!", "~", "a", " a", "\u200fa", "é", "\U0001f600", "\u064b", "|x"]
    table = ibis.memtable({"cell": [*blank, *seen]}, schema={"cell": "string"})
    found = con.to_pyarrow(table.select(blank=parsing.is_blank(table["cell"])))["blank"].to_pylist()
    assert found == [True] * len(blank) + [False] * len(seen)

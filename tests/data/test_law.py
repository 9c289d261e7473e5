"""Law: rows read = accepted + quarantined, row by row, and what is wrong with some rows changes no other.

Good rows and rows of every reason are mixed in any order. Authority: the rows, each broken in one known way.
"""

import hmac
from datetime import date, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from churnlab.config import Contacts, Customers, Interactions, Privacy
from churnlab.data import cleaning, side_tables
from churnlab.data.contract import REASONS

LAST = date(2024, 6, 30)
SALT = "00112233445566778899aabbccddeeff"
PATTERNS = ("%Y-%m-%d", "%d/%m/%Y")
WORDS = (
    "customer_id",
    "ts",
    "currency",
    "quantity",
    "unit_price",
    "amount",
    "discount",
    "order_id",
    "product_id",
)

# one cell or two of a good row, and what the row is then refused for
BROKEN = [
    ({"malformed": "c1,2024-03-01"}, "malformed_row"),
    ({"customer_id": "\u00a0"}, "customer_id_missing"),
    ({"customer_id": "1.23E+05"}, "customer_id_not_whole"),
    ({"customer_id": "00666"}, "customer_excluded"),
    ({"customer_id": "999"}, "customer_forgotten"),
    ({"ts": "2024-02-30"}, "date_unreadable"),
    ({"ts": "1900-01-01"}, "date_too_early"),
    ({"ts": "2200-01-01"}, "date_far_ahead"),
    ({"ts": "2024-07-01"}, "date_after_as_of"),
    ({"currency": "XAF"}, "currency_no_rate"),
    ({"currency": "  "}, "currency_other"),
    ({"amount": "$5", "currency": "EUR"}, "currency_conflict"),
    ({"quantity": "one"}, "quantity_unreadable"),
    ({"unit_price": "1..2"}, "unit_price_unreadable"),
    ({"amount": "-"}, "amount_unreadable"),
    ({"amount": "1e999"}, "number_out_of_range"),
    ({"discount": "some"}, "discount_unreadable"),
]
TOLD_BY_OTHERS = (
    "duplicate_line",
    "overlapping_row",
    "order_restated",
    "order_conflict",
    "return_exceeds_purchases",
    "decimal_mark_mixed",
    "date_order_mixed",
)
SEVERAL = st.lists(st.integers(0, len(BROKEN) + len(TOLD_BY_OTHERS) - 1), max_size=60)


def good(number: int) -> dict[str, str]:
    """A row that no other equals, of an order and a customer of its own."""
    return {
        "customer_id": str(1_000 + number),
        "ts": str(date(2024, 1, 1) + timedelta(days=number % 90)),
        "currency": "USD" if number % 3 == 0 else "EUR",
        "quantity": "2",
        "unit_price": "3.5",
        "amount": f"{number}.25",
        "discount": "",
        "order_id": f"o{number}",
        "product_id": f"p{number % 4}",
        "source_file": "b.csv",
    }


def told_by_others(
    reason: str, number: int, never: tuple[str, ...]
) -> list[tuple[dict[str, str], str | None]]:
    """Rows, and what each is refused for; some of them only beside the others."""
    row, earlier = good(number), good(number) | {"source_file": "a.csv"}
    groups: dict[str, list[tuple[dict[str, str], str | None]]] = {
        "duplicate_line": [(row, None), (row, reason)],
        "overlapping_row": [(earlier, reason), (row, None)],
        "order_restated": [(earlier | {"amount": "7"}, reason), (row, None)],
        "order_conflict": [(row, reason), (row | {"customer_id": "77"}, reason)],
        "return_exceeds_purchases": [
            (row, None),
            (row | {"order_id": f"r{number}", "amount": "-999999"}, reason),
        ],
        "decimal_mark_mixed": [
            (row | {"amount": "1.234,5"}, "amount_unreadable"),
            (row | {"amount": "1,234"}, reason),
        ],
        "date_order_mixed": [
            (row | {"ts": "12/25/2023"}, "date_unreadable"),
            (row | {"ts": "03/04/2024"}, reason),
        ],
    }
    return [] if reason in never else groups[reason]


def mixed(n_good: int, kinds: list[int], never: tuple[str, ...]) -> list[tuple[dict[str, str], str | None]]:
    rows: list[tuple[dict[str, str], str | None]] = [(good(number), None) for number in range(n_good)]
    for number, kind in enumerate(kinds, n_good):
        if kind < len(BROKEN):
            cells, reason = BROKEN[kind]
            rows.append((good(number) | cells, reason))
        else:
            rows += told_by_others(TOLD_BY_OTHERS[kind - len(BROKEN)], number, never)
    return rows


def raw_lines(con, rows, words):
    """Raw lines as sources.read gives them; a row's number is its place in its file."""
    counted: dict[str, int] = {}
    places = []
    for row in rows:
        file = row.get("source_file", "x.csv")
        counted[file] = counted.get(file, 0) + 1
        places.append((file, counted[file]))
    columns = {word: pa.array([row.get(word) for row in rows], pa.string()) for word in (*words, "malformed")}
    columns["source_file"] = pa.array([file for file, _ in places], pa.string())
    columns["source_row"] = pa.array([number for _, number in places], pa.int64())
    raw = pa.table(columns)
    return con.create_table(f"law_{id(raw)}", raw, temp=True, overwrite=True), places


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    """Settings that let every reason be given."""
    folder = tmp_path_factory.mktemp("lists")
    (folder / "excluded.csv").write_text("666\n")
    mark = hmac.digest(SALT.encode(), b"999", "sha256").hex()
    (folder / "forgotten.csv").write_text(f"salt,mark,forgotten_on\n{SALT},{mark},2024-05-01\n")
    (folder / "rates.csv").write_text("currency,date,rate\nUSD,2023-01-01,0.5\n")
    return {
        "customer_ids": "integer",
        "exclude_customers": str(folder / "excluded.csv"),
        "privacy": Privacy(forgotten=str(folder / "forgotten.csv")),
        "as_of": LAST,
        "currency": "EUR",
        "rates": str(folder / "rates.csv"),
    }


# an order is either restated or contradicted, and a row either repeated or overlapping, as a shop chooses:
# settings, and the reasons that cannot be given then
CHOICES = (
    (
        {"order_conflicts": "newest_file", "overlapping_rows": "quarantine"},
        ("duplicate_line", "order_conflict"),
    ),
    (
        {"order_conflicts": "quarantine", "exact_duplicates": "quarantine"},
        ("overlapping_row", "order_restated"),
    ),
)


# few examples of many rows: it is the query that takes long, whatever it judges
@given(n_good=st.integers(1, 24), kinds=SEVERAL, choice=st.sampled_from(CHOICES), seed=st.randoms())
@examples(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_row_is_refused_for_its_own_reason_and_no_other(
    con, settings, lists, n_good, kinds, choice, seed
):
    told, never = choice
    rows = mixed(n_good, kinds, never)
    seed.shuffle(rows)
    judged_as_told(con, settings("x.csv", csv={"date_format": PATTERNS}, **told, **lists), rows)


def test_every_reason_at_once(con, settings, lists):
    reasons = {reason for _, _, broken in SIDES.values() for _, reason in broken}
    for told, never in CHOICES:
        rows = mixed(5, list(range(len(BROKEN) + len(TOLD_BY_OTHERS))), never)
        judged_as_told(con, settings("x.csv", csv={"date_format": PATTERNS}, **told, **lists), rows)
        reasons |= {reason for _, reason in rows if reason}
    assert reasons == set(REASONS)


def judged_as_told(con, data, rows):
    raw, places = raw_lines(con, [row for row, _ in rows], WORDS)
    found = cleaning.clean(con, raw, data)
    refused = {place: reason for place, (_, reason) in zip(places, rows, strict=True) if reason}
    listed = found.quarantine.to_pyarrow().to_pylist()
    quarantine = {(row["source_file"], row["source_row"]): row["reason"] for row in listed}
    assert told_of(rows, places, quarantine) == told_of(rows, places, refused)
    assert found.summary["rows_read"] == len(rows)
    assert sum(found.orders.to_pyarrow()["n_lines"].to_pylist()) == len(rows) - len(refused)
    alone = [row for row, reason in rows if reason is None]
    clean = cleaning.clean(con, raw_lines(con, alone, WORDS)[0], data)
    assert clean.summary["rows_quarantined"] == 0
    assert clean.orders.to_pyarrow().equals(found.orders.to_pyarrow())


def told_of(rows, places, reasons):
    """Content → how often it is refused for what: equal rows of a file cannot be told apart."""
    told: dict[tuple[str, str | None], int] = {}
    for place, (row, _) in zip(places, rows, strict=True):
        key = (repr(sorted(row.items())), reasons.get(place))
        told[key] = told.get(key, 0) + 1
    return told


NOON = datetime(2024, 3, 1, 12)
SIDES = {
    "interactions": (
        Interactions(
            path="x.csv",
            columns={
                w: w
                for w in ("score", "responded", "resolved", "response_hours", "resolution_hours", "topic")
            },
        ),
        {"customer_id": "c", "ts": str(NOON), "kind": "nps", "score": "9", "responded": str(NOON)},
        [
            ({"kind": "chat"}, "kind_unknown"),
            ({"score": "11"}, "score_out_of_range"),
            ({"score": " "}, "score_missing"),
            ({"kind": "intent", "score": "10.5"}, "score_out_of_range"),
            ({"kind": "Intent", "score": ""}, "score_missing"),
            ({"kind": "wish", "score": "good"}, "score_unreadable"),
            ({"score": "good"}, "score_unreadable"),
            ({"responded": "2024-02-29"}, "ended_before_start"),
            ({"responded": "2024-02-30"}, "date_unreadable"),
            ({"response_hours": "soon"}, "response_hours_unreadable"),
            ({"resolution_hours": "later"}, "resolution_hours_unreadable"),
            ({"responded": "", "response_hours": "-1"}, "ended_before_start"),
            ({"responded": "", "response_hours": "1e300"}, "date_far_ahead"),
            ({"malformed": "c"}, "malformed_row"),
            ({"customer_id": "nan"}, "customer_id_missing"),
            ({"ts": "1900-01-01"}, "date_too_early"),
        ],
    ),
    "customers": (
        Customers(
            path="x.csv",
            columns={
                "is_business": "is_business",
                "consent": {"email": "email"},
                "paid_late_share": "paid_late_share",
                "referrals": "referrals",
            },
        ),
        {
            "customer_id": "c",
            "is_business": "no",
            "consent_email": "yes",
            "paid_late_share": "1",
            "referrals": "0",
        },
        [
            ({"paid_late_share": "often"}, "paid_late_share_unreadable"),
            ({"paid_late_share": "1.01"}, "criterion_out_of_range"),
            ({"referrals": "many"}, "referrals_unreadable"),
            ({"referrals": "-1"}, "criterion_out_of_range"),
            ({"is_business": "maybe"}, "flag_unreadable"),
            ({"consent_email": "2"}, "flag_unreadable"),
            ({"customer_id": ""}, "customer_id_missing"),
            ({"malformed": "c"}, "malformed_row"),
            ({"customer_id": "twice", "is_business": "yes"}, "customer_twice"),
            ({"customer_id": "twice", "is_business": "no"}, "customer_twice"),
        ],
    ),
    "contacts": (
        Contacts(path="x.csv", columns={"group": "group"}),
        {"customer_id": "c", "ts": str(NOON), "group": "Control"},
        [
            ({"group": "B"}, "group_unknown"),
            ({"group": ""}, "group_unknown"),
            ({"ts": "never"}, "date_unreadable"),
            ({"customer_id": "\u200b"}, "customer_id_missing"),
            ({"malformed": "c"}, "malformed_row"),
        ],
    ),
}


@pytest.mark.parametrize("name", SIDES)
@given(n_good=st.integers(0, 8), times=st.integers(1, 3), seed=st.randoms())
@examples(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_row_of_an_optional_table_is_refused_for_its_own_reason(
    con, settings, name, n_good, times, seed
):
    section, plain, broken = SIDES[name]
    data = settings("x.csv", **{name: section})
    words = tuple(side_tables.mapped(name, data))
    rows = [(plain | {"customer_id": f"c{number}"}, None) for number in range(n_good)]
    rows += [(plain | cells, reason) for cells, reason in broken * times]
    seed.shuffle(rows)
    raw, places = raw_lines(con, [row for row, _ in rows], words)
    found = side_tables.clean_side(con, raw, name, data)
    quarantine = {row["source_row"]: row["reason"] for row in found.quarantine.to_pyarrow().to_pylist()}
    assert quarantine == {n: reason for (_, n), (_, reason) in zip(places, rows, strict=True) if reason}
    alone = [row for row, reason in rows if reason is None]
    clean = side_tables.clean_side(con, raw_lines(con, alone, words)[0], name, data)
    assert clean.table.to_pyarrow().equals(found.table.to_pyarrow())
    assert (found.summary["rows_read"], found.summary["rows_accepted"]) == (len(rows), n_good)

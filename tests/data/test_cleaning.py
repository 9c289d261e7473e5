"""Authority: the ledger judged by hand, and the law that every line read is accepted or quarantined."""

import json
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from churnlab.data import cleaning
from churnlab.data.contract import REASONS
from churnlab.errors import ConfigError


def table(con, rows):
    """Raw lines as sources.read gives them, from dicts of words."""
    schema = pa.schema([(word, pa.string()) for word in {"malformed": None} | rows[0]])
    raw = pa.Table.from_pylist(rows, schema=schema)
    raw = raw.append_column("source_file", pa.array(["lines.csv"] * len(rows)))
    raw = raw.append_column("source_row", pa.array(range(1, len(rows) + 1), pa.int64()))
    return con.create_table(f"raw_{id(raw)}", raw, temp=True, overwrite=True)


@pytest.fixture(scope="session")
def judge_all(con, settings):
    """The reasons given to lines that are good but for the cells named; and their moments and amounts.

    A query takes long, so lines with the same words are judged in one.
    """

    def run(many, csv=None, **changes):
        data, by_words, found = settings("x.csv", None, csv, **changes), {}, [None] * len(many)
        for place, cells in enumerate(many):
            row = {"customer_id": "c", "ts": "2024-01-01", "amount": "1.0"} | cells
            row = {word: cell for word, cell in row.items() if cell != "absent"}
            by_words.setdefault(frozenset({"malformed", *row}), {})[place] = {"malformed": None} | row
        for rows in by_words.values():
            lines = cleaning.judged_lines(con, table(con, list(rows.values())), data)
            judged = lines.order_by("source_row").to_pyarrow().to_pylist()
            for place, line in zip(rows, judged, strict=True):
                found[place] = line
        return found

    return run


@pytest.fixture(scope="session")
def judge(judge_all):
    """The same of one line."""

    def run(csv=None, *, changes=None, **cells):
        return judge_all([cells], csv, **(changes or {}))[0]

    return run


def test_the_ledger_is_judged_as_by_hand(ledger_csv, ledger_columns, cleaned):
    found = cleaned(ledger_csv, ledger_columns, return_order_prefix="R")
    quarantine = found.quarantine.to_pyarrow().to_pylist()
    assert [(row["source_file"], row["source_row"], row["reason"]) for row in quarantine] == [
        ("ledger.csv", 12, "customer_id_missing"),
        ("ledger.csv", 13, "date_unreadable"),
        ("ledger.csv", 14, "quantity_unreadable"),
        ("ledger.csv", 15, "date_too_early"),
        ("ledger.csv", 16, "malformed_row"),
    ]
    assert [row["detail"] for row in quarantine] == [REASONS[row["reason"]] for row in quarantine]
    assert json.loads(quarantine[4]["raw"]) == {"row": "00002,2024-03-01,D5,p1"}
    assert json.loads(quarantine[0]["raw"]) == {
        "customer_id": "  ",
        "ts": "2024-03-02",
        "amount": "5.00",
        "quantity": "1",
        "order_id": "D1",
        "product_id": "p1",
        "category": "tea",
        "discount": "0",
        "channel": "web",
    }


def test_the_summary_of_the_ledger(ledger_csv, ledger_columns, cleaned):
    """By hand: 16 rows, 5 refused, 3 return lines of 11, four customers, nine orders."""
    summary = dict(cleaned(ledger_csv, ledger_columns, return_order_prefix="R").summary)
    assert len(summary.pop("data_version")) == 64
    first = {row["reason"]: row["first"] for row in summary.pop("refused")}
    assert first["date_unreadable"] == {
        "source_file": "ledger.csv",
        "source_row": 13,
        "column": "ts",
        "looks": "9999-99-99",
    }
    assert summary == {
        "rows_read": 16,
        "rows_accepted": 11,
        "rows_quarantined": 5,
        "quarantined_by_reason": {
            "customer_id_missing": 1,
            "date_too_early": 1,
            "date_unreadable": 1,
            "malformed_row": 1,
            "quantity_unreadable": 1,
        },
        "return_line_share": 3 / 11,
        "customers": 4,
        "orders": 9,
        "first_day": "2024-01-05",
        "last_day": "2024-03-02",
        "as_of": "2024-03-02",
        "has_items": True,
        "has_discount": True,
        "has_products": True,
        "has_categories": True,
        "has_channel": True,
    }


REASONS_BY_HAND = [
    ({"malformed": "c;2024"}, "malformed_row"),
    ({"customer_id": None}, "customer_id_missing"),
    ({"customer_id": "\u00a0\t "}, "customer_id_missing"),
    ({"ts": None}, "date_unreadable"),
    ({"ts": "2023-02-29"}, "date_unreadable"),
    ({"ts": "2024-13-01"}, "date_unreadable"),
    ({"ts": "yesterday"}, "date_unreadable"),
    ({"ts": "infinity"}, "date_unreadable"),
    ({"ts": "2024-01-01T25:00"}, "date_unreadable"),
    ({"ts": "1989-12-31T23:59:59"}, "date_too_early"),
    ({"ts": "1990-01-01"}, None),
    ({"amount": ""}, "amount_unreadable"),
    ({"amount": "1,5"}, "amount_unreadable"),
    ({"amount": "1,000.00"}, None),
    ({"amount": "1,00.00"}, "amount_unreadable"),
    ({"amount": "nan"}, "amount_unreadable"),
    ({"amount": "inf"}, "amount_unreadable"),
    ({"amount": "$1"}, None),
    ({"amount": "1 apple"}, "amount_unreadable"),
    ({"amount": "1e999"}, "number_out_of_range"),
    ({"amount": "-1e15"}, "number_out_of_range"),
    ({"amount": "999999999999999.9"}, None),
    ({"quantity": "x"}, "quantity_unreadable"),
    ({"quantity": ""}, None),
    ({"amount": "absent", "quantity": "", "unit_price": "2"}, "quantity_unreadable"),
    ({"amount": "absent", "quantity": "1", "unit_price": " "}, "unit_price_unreadable"),
    ({"amount": "absent", "quantity": "2", "unit_price": "x"}, "unit_price_unreadable"),
    ({"amount": "absent", "quantity": "1e14", "unit_price": "10"}, "number_out_of_range"),
    ({"discount": "some"}, "discount_unreadable"),
    ({"discount": " "}, None),
    ({"order_id": "", "product_id": None, "category": "", "channel": ""}, None),
    ({"customer_id": "", "ts": "", "amount": ""}, "customer_id_missing"),
    ({"ts": "", "amount": ""}, "date_unreadable"),
]


def test_the_first_check_that_fails_gives_the_reason(judge_all):
    found = judge_all([cells for cells, _ in REASONS_BY_HAND])
    told = [(cells, line["reason"]) for (cells, _), line in zip(REASONS_BY_HAND, found, strict=True)]
    assert told == REASONS_BY_HAND


NUMBERS_BY_HAND = {
    ".": {" 12.50 ": 12.5, "+.5": 0.5, "-7": -7.0, "1.5E3": 1500.0, "۱۲۳٫۵": 123.5},
    ",": {"12,5": 12.5, "−3,25": -3.25, "١٢٣": 123.0},
}


@pytest.mark.parametrize("decimal", NUMBERS_BY_HAND)
def test_numbers_are_read(judge_all, decimal):
    expected = NUMBERS_BY_HAND[decimal]
    found = judge_all([{"amount": text} for text in expected], {"decimal": decimal})
    assert [line["reason"] for line in found] == [None] * len(expected)
    assert dict(zip(expected, (line["amount"] for line in found), strict=True)) == expected


def test_a_point_is_a_thousands_mark_to_a_reader_of_decimal_commas(judge):
    assert judge(csv={"decimal": ","}, amount="1.234")["amount"] == 1234.0
    assert judge(csv={"decimal": ","}, amount="1.23")["reason"] == "amount_unreadable"


DATES_BY_HAND = {
    None: {
        "2024-02-29": datetime(2024, 2, 29),
        "20240229": datetime(2024, 2, 29),
        "2024-02-29 07:08": datetime(2024, 2, 29, 7, 8),
        "2024-02-29T07:08:09.25": datetime(2024, 2, 29, 7, 8, 9, 250_000),
        " ۲۰۲۴-۰۲-۲۹ ": datetime(2024, 2, 29),
    },
    "%m/%d/%Y %H:%M": {"12/1/2010 8:26": datetime(2010, 12, 1, 8, 26)},
    "%d.%m.%Y": {"01.12.2010": datetime(2010, 12, 1)},
}


@pytest.mark.parametrize("pattern", DATES_BY_HAND)
def test_dates_are_read(judge_all, pattern):
    expected = DATES_BY_HAND[pattern]
    found = judge_all([{"ts": text} for text in expected], {"date_format": pattern})
    assert dict(zip(expected, (line["ts"] for line in found), strict=True)) == expected


WITH_OFFSET = {
    None: [
        "2024-03-10T23:30:00Z",
        "2024-07-01 00:30:00.5+02:00",
        "2024-03-31T03:59+0330",
        "2021-09-22 00:15:00 UTC",
    ],
    "%d/%m/%Y %H:%M %z": ["10/03/2024 23:30 +0330"],
}


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tehran", "Europe/Athens", "America/New_York"])
@pytest.mark.parametrize("pattern", WITH_OFFSET)
def test_moments_with_an_offset_move_to_business_time(judge_all, zone, pattern):
    """Peer: datetime and zoneinfo of the standard library."""
    texts = WITH_OFFSET[pattern]
    stated = [
        datetime.strptime(text, pattern) if pattern else datetime.fromisoformat(text.replace(" UTC", "Z"))
        for text in texts
    ]
    expected = [moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for moment in stated]
    found = judge_all([{"ts": text} for text in texts], {"date_format": pattern}, timezone=zone)
    assert [line["ts"] for line in found] == expected


def test_as_of_is_the_last_day_that_counts(judge):
    last = {"as_of": date(2024, 1, 1)}
    assert judge(changes=last, ts="2024-01-01T23:59:59")["reason"] is None
    assert judge(changes=last, ts="2024-01-02")["reason"] == "date_after_as_of"
    tehran = last | {"timezone": "Asia/Tehran"}
    assert judge(changes=tehran, ts="2024-01-01T21:00:00Z")["reason"] == "date_after_as_of"


def test_another_currency_is_refused_only_when_one_is_named(judge):
    assert judge(changes={"currency": "EUR"}, currency="eur ")["reason"] is None
    assert judge(changes={"currency": "EUR"}, currency="USD")["reason"] == "currency_other"
    assert judge(changes={"currency": "EUR"}, currency=None)["reason"] == "currency_other"
    assert judge(currency="USD")["reason"] is None


RETURNS_BY_HAND = [
    ({"amount": "-5"}, -5.0, True),
    ({"amount": "5", "quantity": "-1"}, -5.0, True),
    ({"amount": "5", "quantity": ""}, 5.0, False),
    ({"amount": "-5", "quantity": "-1"}, -5.0, True),
    ({"amount": "5", "order_id": "C12"}, -5.0, True),
    ({"amount": "0", "order_id": "12C"}, 0.0, False),
    ({"amount": "absent", "quantity": "-2", "unit_price": "2.5"}, -5.0, True),
    ({"amount": "absent", "quantity": "2", "unit_price": "2.5"}, 5.0, False),
]


def test_returns_are_told_by_sign_pieces_or_prefix(judge_all):
    found = judge_all([cells for cells, _, _ in RETURNS_BY_HAND], return_order_prefix="C")
    assert [line["reason"] for line in found] == [None] * len(found)
    told = [line["is_return"] for line in found]
    amounts = [line["amount"] for line in found]
    given = [cells for cells, _, _ in RETURNS_BY_HAND]
    assert list(zip(given, amounts, told, strict=True)) == RETURNS_BY_HAND


def test_a_customer_whose_id_has_the_prefix_returns_nothing(judge):
    assert not judge(changes={"return_order_prefix": "C"}, customer_id="C1", order_id="")["is_return"]


def test_equal_lines_are_kept_or_refused_as_told(tmp_path, cleaned, write_csv):
    rows = [
        ["c", "2024-01-01", "5"],
        ["c", "2024-01-01", "5"],
        ["c", "2024-01-01", "6"],
        ["", "2024-01-01", "5"],
    ]
    path = write_csv(tmp_path / "twice.csv", ["customer_id", "ts", "amount"], [*rows, rows[3]])
    kept, refused = cleaned(path), cleaned(path, exact_duplicates="quarantine")
    assert kept.summary["quarantined_by_reason"] == {"customer_id_missing": 2}
    assert kept.orders.amount.sum().execute() == 16.0
    assert refused.summary["quarantined_by_reason"] == {"customer_id_missing": 2, "duplicate_line": 1}
    assert refused.orders.amount.sum().execute() == 11.0
    assert refused.quarantine.source_row.execute().tolist() == [2, 4, 5]


def test_nothing_accepted_is_an_empty_table_of_orders(tmp_path, cleaned, write_csv):
    found = cleaned(write_csv(tmp_path / "none.csv", ["customer_id", "ts", "amount"], [["", "", ""]]))
    assert (found.summary["rows_read"], found.summary["orders"], found.summary["as_of"]) == (1, 0, None)


@pytest.mark.parametrize(
    ("wrong", "csv", "key"),
    [
        ({"timezone": "Tehran/Asia"}, {}, "data.timezone"),
        ({}, {"date_format": "%d/%Q"}, "data.csv.date_format"),
    ],
)
def test_an_unusable_setting_is_named(ledger_csv, ledger_columns, cleaned, wrong, csv, key):
    with pytest.raises(ConfigError, match=rf"^{key}: [^\n]+: write [^\n]+$"):
        cleaned(ledger_csv, ledger_columns, csv, **wrong)


GOOD = st.fixed_dictionaries(
    {
        "customer_id": st.sampled_from(["01", "1", "Ελένη", "مریم"]),
        "ts": st.dates(date(2023, 1, 1), date(2023, 1, 9)).map(str) | st.just("2023-01-05T12:00:00Z"),
        "amount": st.decimals(-99, 99_999, places=2).map(str),
        "order_id": st.sampled_from(["", "A", "B"]),
        "channel": st.sampled_from(["web", "shop", ""]),
        "product_id": st.sampled_from(["p", "q", ""]),
    }
)
SPOILT = st.sampled_from(
    [
        {"customer_id": " "},
        {"ts": "31/12/2023"},
        {"ts": None},
        {"amount": "12.3.4"},
        {"amount": None},
        {"malformed": "x"},
    ]
)
LINES = st.lists(st.tuples(GOOD, st.none() | SPOILT), min_size=1, max_size=25)


@given(lines=LINES, seed=st.randoms())
@examples(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_line_is_lost_and_their_order_does_not_matter(con, settings, lines, seed):
    """Law: accepted + quarantined = read; and shuffled lines give identical orders."""
    rows = [{"malformed": None} | good | (spoilt or {}) for good, spoilt in lines]
    data = settings("x.csv", excess_returns="keep")
    found = cleaning.clean(con, table(con, rows), data)
    spoilt = sum(spoilt is not None for _, spoilt in lines)
    assert (found.summary["rows_read"], found.summary["rows_quarantined"]) == (len(rows), spoilt)
    assert sum(found.orders.to_pyarrow()["n_lines"].to_pylist()) == len(rows) - spoilt
    assert found.quarantine.count().execute() == spoilt

    seed.shuffle(rows)
    shuffled = cleaning.clean(con, table(con, rows), data)
    assert shuffled.orders.to_pyarrow().equals(found.orders.to_pyarrow())
    for cleaned in (found, shuffled):  # the first place of a reason does move
        cleaned.summary["refused"] = [row["rows"] for row in cleaned.summary["refused"]]
    assert shuffled.summary == found.summary

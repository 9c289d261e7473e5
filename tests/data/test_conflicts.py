"""Authority: small files whose rows are compared by hand."""

from datetime import date, timedelta

import pytest

from churnlab.data.conflicts import first_far_day

HEADER = ["customer_id", "ts", "amount", "order_id"]
COLUMNS = {"amount": "amount", "order_id": "order_id"}


@pytest.fixture
def shop(tmp_path, write_csv, cleaned):
    """Refused rows as (file, row) → code, and the money accepted."""

    def run(files, columns=COLUMNS, csv=None, **changes):
        for name, rows in files.items():
            write_csv(tmp_path / name, HEADER, rows)
        found = cleaned(tmp_path / "*.csv", columns, csv, **changes)
        refused = {
            (row["source_file"], row["source_row"]): row["reason"]
            for row in found.quarantine.to_pyarrow().to_pylist()
        }
        assert found.summary["rows_read"] == found.summary["rows_accepted"] + len(refused)
        return refused, found.orders.amount.sum().to_pyarrow().as_py(), found.cautions

    return run


MAY = [["a", "2024-05-30", "1", "A1"], ["a", "2024-05-31", "2", "A2"], ["a", "2024-05-31", "2", "A2"]]
JUNE = [["a", "2024-05-31", "2", "A2"], ["a", "2024-06-01", "4", "A3"]]


def test_rows_of_two_files_count_as_often_as_the_file_with_most(shop):
    """A2's line stands twice in May and once in June: twice it is."""
    kept = shop({"5.csv": MAY, "6.csv": JUNE})
    assert kept[:2] == ({}, 11.0)
    assert "stand in several files" in kept[2][0]
    refused, money, cautions = shop({"5.csv": MAY, "6.csv": JUNE}, overlapping_rows="quarantine")
    assert (money, cautions) == (9.0, [])
    assert list(refused.values()) == ["overlapping_row"]
    assert next(iter(refused))[0] == "5.csv"  # the later file's row counts


def test_an_order_stated_again_counts_as_the_later_file_has_it(shop):
    again = [["a", "2024-05-31", "7", "A2"]]
    refused, money, _ = shop({"5.csv": MAY, "6.csv": again}, order_conflicts="newest_file")
    assert refused == {("5.csv", 2): "order_restated", ("5.csv", 3): "order_restated"}
    assert money == 8.0
    both = shop({"5.csv": MAY, "6.csv": again}, order_conflicts="quarantine")
    assert set(both[0].values()) == {"order_conflict"}
    assert both[1] == 1.0


def test_equal_orders_in_two_files_are_no_conflict_once_overlap_is_taken_off(shop):
    same = shop(
        {"5.csv": MAY[:1], "6.csv": MAY[:1]}, order_conflicts="quarantine", overlapping_rows="quarantine"
    )
    assert same[:2] == ({("5.csv", 1): "overlapping_row"}, 1.0)


def test_an_order_of_two_customers(shop):
    rows = [["a", "2024-05-30", "1", "A1"], ["b", "2024-05-30", "2", "A1"], ["b", "2024-05-30", "4", ""]]
    refused, money, _ = shop({"5.csv": rows}, order_conflicts="quarantine")
    assert (set(refused.values()), money) == ({"order_conflict"}, 4.0)
    assert "order ids belong to several customers" in shop({"5.csv": rows})[2][0]


def test_a_return_of_more_than_was_ever_bought(shop):
    rows = [
        ["a", "2024-01-01", "50", "A1"],
        ["a", "2024-01-02", "-60", "R1"],  # more than 50
        ["a", "2024-01-03", "20", "A2"],
        ["a", "2024-01-04", "-70", "R2"],  # all of 50 + 20
        ["a", "2024-01-05", "-71", "R3"],
        ["b", "2024-01-01", "-50", "R4"],  # bought before the log began
        ["b", "2024-01-01", "-501", "R5"],  # but nothing costs a tenth of it
        ["b", "2024-01-02", "1", "B1"],
    ]
    refused, _, _ = shop({"1.csv": rows})
    assert refused == {("1.csv", row): "return_exceeds_purchases" for row in (2, 5, 7)}
    assert shop({"1.csv": rows}, excess_returns="keep")[0] == {}


def test_purchases_of_the_same_moment_and_refused_ones(shop):
    rows = [["a", "2024-01-01", "-5", "R1"], ["a", "2024-01-01", "5", "A1"], ["", "2024-01-01", "99", "A2"]]
    assert shop({"1.csv": rows})[0] == {("1.csv", 3): "customer_id_missing"}


def test_day_and_month_in_both_orders(shop):
    form = {"date_format": "%d/%m/%Y"}
    rows = [
        ["a", "13/02/2024", "1", ""],
        ["a", "02/13/2024", "2", ""],
        ["a", "03/04/2024", "4", ""],
        ["a", "04/04/2024", "8", ""],
    ]
    other = [["a", "03/04/2024", "16", ""]]
    refused, money, _ = shop({"1.csv": rows, "2.csv": other}, csv=form)
    assert refused == {
        ("1.csv", 2): "date_unreadable",
        ("1.csv", 3): "date_order_mixed",
        ("2.csv", 1): "date_order_mixed",  # which file it stands in proves nothing
    }
    assert money == 1 + 8
    assert shop({"1.csv": rows}, csv=form, ambiguous_cells="keep")[0] == {("1.csv", 2): "date_unreadable"}


def test_both_decimal_marks_in_one_file(shop):
    rows = [["a", "2024-01-01", "12,5", ""], ["a", "2024-01-01", "1,234", ""], ["a", "2024-01-01", "1.5", ""]]
    refused, money, _ = shop({"1.csv": rows})
    assert refused == {("1.csv", 1): "amount_unreadable", ("1.csv", 2): "decimal_mark_mixed"}
    assert money == 1.5
    assert shop({"1.csv": rows[1:]})[1] == 1235.5


def test_a_far_date_is_no_last_day(shop):
    rows = [["a", f"2024-01-{day:02d}", "1", ""] for day in range(1, 29)] + [["a", "2099-12-31", "1", ""]]
    assert shop({"1.csv": rows})[0] == {("1.csv", 29): "date_far_ahead"}
    told = shop({"1.csv": rows}, as_of=date(2024, 2, 1))
    assert told[0] == {("1.csv", 29): "date_after_as_of"}


@pytest.mark.parametrize(
    ("gap", "later", "far"),
    [
        (366, 1, False),
        (367, 1, True),
        (367, 11, False),
        (3653, 11, False),
        (3654, 11, True),
        (3654, 1001, False),
    ],
)
def test_what_lies_too_far_ahead(gap, later, far):
    """1,000 lines on one day, `later` lines after a gap: a hundredth after a year, half after ten years."""
    first = date(2000, 1, 1)
    found = first_far_day({first: 1000, first + timedelta(days=gap): later})
    assert (found is not None) == far


def test_equal_ids_written_in_several_ways_are_told(shop):
    rows = [["123", "2024-01-01", "1", ""], ["00123", "2024-01-01", "1", ""], ["x", "2024-01-01", "1", ""]]
    [caution] = shop({"1.csv": rows})[2]
    assert caution.startswith("1 customer ids are the same whole number")
    assert shop({"1.csv": rows[:1]}, customer_ids="integer")[2] == []

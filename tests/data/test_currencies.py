"""Authority: money converted by hand."""

import pytest

from churnlab.errors import DataError

HEADER = ["customer_id", "ts", "amount", "currency"]
COLUMNS = {"amount": "amount", "currency": "currency"}


@pytest.fixture
def shop(tmp_path, write_csv, cleaned):
    """Total of the accepted money, and the code of each refused row."""

    def run(rows, header=HEADER, columns=COLUMNS, **changes):
        found = cleaned(write_csv(tmp_path / "lines.csv", header, rows), columns, **changes)
        refused = found.quarantine.to_pyarrow().to_pylist()
        total = found.orders.amount.sum().to_pyarrow().as_py()
        return total, {row["source_row"]: row["reason"] for row in refused}

    return run


@pytest.fixture
def rates(tmp_path):
    path = tmp_path / "rates.csv"
    path.write_text("currency,date,rate\nusd,2024-01-01,0.5\nUSD,2024-02-01,0.75\nGBP,2024-01-01,2\n")
    return str(path)


ROWS = [
    ["a", "2024-01-15", "10", "USD"],
    ["a", "2024-02-01", "10", "usd "],
    ["a", "2024-02-02", "10", "EUR"],
    ["a", "2023-12-31", "10", "USD"],
    ["a", "2024-01-15", "10", "JPY"],
    ["a", "2024-01-15", "10", ""],
]


def test_money_is_converted_by_the_newest_rate_up_to_its_day(shop, rates):
    total, refused = shop(ROWS, currency="EUR", rates=rates)
    assert total == 10 * 0.5 + 10 * 0.75 + 10
    assert refused == {4: "currency_no_rate", 5: "currency_no_rate", 6: "currency_other"}


def test_without_rates_another_currency_is_refused(shop):
    total, refused = shop(ROWS, currency="EUR")
    assert (total, set(refused.values())) == (10.0, {"currency_other"})


def test_mixed_money_without_a_currency_of_the_shop_is_no_total(shop):
    with pytest.raises(DataError, match=r"^data\.currency: lines are in EUR, JPY, USD: name the shop's"):
        shop(ROWS)


def test_signs_beside_the_money_count_as_currencies(shop, rates):
    rows = [
        ["a", "2024-01-15", "$10"],
        ["a", "2024-01-15", "10 €"],
        ["a", "2024-01-15", "10"],
        ["a", "2024-01-15", "£1"],
    ]
    plain = {"header": HEADER[:3], "columns": {"amount": "amount"}}
    assert shop(rows, currency="EUR", rates=rates, **plain) == (5.0 + 10 + 10 + 2, {})
    with pytest.raises(DataError, match=r"lines are in EUR, GBP, USD"):
        shop(rows, **plain)
    canadian = shop(rows[:1], currency="CAD", currency_symbols={"$": "CAD"}, **plain)
    assert canadian == (10.0, {})


def test_a_sign_against_the_column_is_a_conflict(shop):
    total, refused = shop([["a", "2024-01-15", "€5", "USD"], ["a", "2024-01-15", "5", "USD"]], currency="USD")
    assert (total, refused) == (5.0, {1: "currency_conflict"})


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("currency,price\nUSD,1\n", "lacks rate"),
        ("currency,rate\nUSD,zero\n", "row 1"),
        ("currency,rate\nUSD,1\nEUR,-2\n", "row 2"),
        ("currency,date,rate\nUSD,2024-02-30,1\n", "row 1"),
        ("currency,rate\nUSD,1\nUSD,2\n", "row 2"),
        ("", "cannot be read"),
    ],
)
def test_rates_that_cannot_be_used(shop, tmp_path, text, finding):
    path = tmp_path / "rates.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=rf"^data\.rates: .*{finding}"):
        shop(ROWS, currency="EUR", rates=str(path))


def test_multiplying_all_rates_multiplies_the_money(shop, rates, tmp_path):
    total, _ = shop(ROWS[:2], currency="EUR", rates=rates)
    million = tmp_path / "million.csv"
    million.write_text("currency,date,rate\nUSD,2024-01-01,500000\nUSD,2024-02-01,750000\n")
    assert shop(ROWS[:2], currency="EUR", rates=str(million))[0] == pytest.approx(total * 1e6, rel=1e-15)

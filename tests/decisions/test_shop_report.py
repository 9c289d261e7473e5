"""Figures, cohorts, concentration, stage and matrix. Authority: nine orders, counted by hand."""

import json
from datetime import date, timedelta

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnlab.decisions.concentration import concentration, gini, lorenz
from churnlab.decisions.figure_table import COLUMNS, figure_table
from churnlab.decisions.retention import first_orders, retention_curve, retention_triangle
from churnlab.decisions.shop_report import shop_report
from churnlab.decisions.shop_stage import shop_stage, stage_of
from churnlab.decisions.value_frequency import value_frequency

CON = ibis.duckdb.connect()
LEDGER = pd.DataFrame(
    [
        ("ann", date(2023, 1, 10), 40.0, True, "web"),
        ("ann", date(2023, 2, 1), 10.0, True, "web"),
        ("ann", date(2023, 2, 1), 20.0, True, "shop"),
        ("ann", date(2023, 4, 9), -5.0, False, None),
        ("bob", date(2023, 1, 20), 60.0, True, "shop"),
        ("cy", date(2023, 2, 3), 30.0, True, "web"),
        ("cy", date(2023, 4, 4), 30.0, True, "web"),
        ("dee", date(2023, 2, 7), -8.0, False, "web"),
        ("eva", date(2023, 4, 12), 100.0, True, "shop"),
    ],
    columns=["customer_id", "day", "amount", "is_purchase", "channel"],
)
START, END = date(2023, 1, 1), date(2023, 4, 15)
SCORES = pd.DataFrame(
    {"customer_id": ["ann", "bob", "cy", "dee"], "value_label": ["بالا", "low", "بالا", "low"]}
)


def orders(frame=LEDGER):
    table = CON.create_table("orders", frame.assign(day=pd.to_datetime(frame["day"])), overwrite=True)
    return table.mutate(day=table.day.cast("date"))


def scores():
    return CON.create_table("scores", SCORES, overwrite=True)


def counts(table, dimension):
    part = table[table["dimension"] == dimension]
    return {
        row.value: (row.customers, row.orders, row.repeat_customers, row.revenue) for row in part.itertuples()
    }


def test_whole_period_by_hand():
    """4 buyers, 7 orders, ann and cy came back; 160 + 130 - 5 - 8 = 277."""
    row = figure_table(orders(), START, END).iloc[0]
    assert (row["customers"], row["orders"], row["repeat_customers"], row["revenue"]) == (4, 7, 2, 277.0)
    assert row["repeat_customer_rate"] == pytest.approx(0.5)
    assert row["purchase_frequency"] == pytest.approx(7 / 4)
    assert row["average_order_value"] == pytest.approx(277 / 7)
    assert row["customer_value"] == pytest.approx(277 / 4)


def test_months_by_hand_the_empty_one_too():
    """Repeat customers of February: ann, with two orders in it. Nobody bought in March."""
    table = figure_table(orders(), START, END)
    assert counts(table, "month") == {
        "2023-01": (2, 2, 0, 100.0),
        "2023-02": (2, 3, 1, 52.0),
        "2023-03": (0, 0, 0, 0.0),
        "2023-04": (2, 2, 0, 125.0),
    }
    march = table[table["value"] == "2023-03"].iloc[0]
    assert march[["repeat_customer_rate", "average_order_value"]].isna().all()


def test_a_part_of_a_month_is_printed_as_the_part():
    """The log begins on 10 January and the period ends on 15 April."""
    months = figure_table(orders(), START, END).query("dimension == 'month'")
    periods = list(zip(months["period_start"], months["period_end"], strict=True))
    assert periods[0] == (date(2023, 1, 10), date(2023, 1, 31))
    assert periods[1] == (date(2023, 2, 1), date(2023, 2, 28))
    assert periods[-1] == (date(2023, 4, 1), date(2023, 4, 15))


def test_cohorts_channels_and_segments_by_hand():
    """A cohort is of the whole log: in April cy belongs to February. dee never bought, eva has no score."""
    table = figure_table(orders(), START, END, scores())
    assert counts(table, "cohort") == {
        "2023-01": (2, 4, 1, 125.0),
        "2023-02": (1, 2, 1, 60.0),
        "2023-04": (1, 1, 0, 100.0),
        "unknown": (0, 0, 0, -8.0),
    }
    assert counts(table, "channel") == {
        "shop": (3, 3, 0, 180.0),
        "unknown": (0, 0, 0, -5.0),
        "web": (2, 4, 2, 102.0),
    }
    assert counts(table, "value_label") == {
        "بالا": (2, 5, 2, 65.0 + 60.0),
        "low": (1, 1, 0, 60.0 - 8.0),
        "unknown": (1, 1, 0, 100.0),
    }
    april = figure_table(orders(), date(2023, 4, 1), END)
    assert counts(april, "cohort")["2023-02"] == (1, 1, 0, 30.0)


def test_triangle_by_hand():
    """April is not over on the 15th: it is absent, and so is eva's cohort. March is over and empty."""
    found = retention_triangle(orders(), END)
    rows = found[["cohort", "months_since", "customers", "active_customers", "revenue"]]
    assert list(rows.itertuples(index=False, name=None)) == [
        ("2023-01", 0, 2, 2, 100.0),
        ("2023-01", 1, 2, 1, 30.0),
        ("2023-01", 2, 2, 0, 0.0),
        ("2023-02", 0, 1, 1, 30.0),
        ("2023-02", 1, 1, 0, 0.0),
    ]
    curve = retention_curve(found)
    assert curve["customers"].tolist() == [3, 3, 2]
    assert curve["retention"].tolist() == pytest.approx([1, 1 / 3, 0])


def test_a_month_is_over_on_its_last_day():
    assert retention_triangle(orders(), date(2023, 4, 30))["month"].max() == "2023-04"
    assert retention_triangle(orders(), date(2023, 4, 29))["month"].max() == "2023-03"


def test_first_orders_by_hand():
    """ann came back after 22 days and cy after 60. On 15 April, ann's order is 95 days old and bob's 85."""
    found = first_orders(orders(), START, END)
    assert (found.customers, found.returned, found.return_rate) == (1, 1, 1.0)
    assert (found.returners, found.median_days_to_second) == (2, 41.0)
    later = first_orders(orders(), START, date(2023, 5, 4))
    assert (later.customers, later.returned) == (3, 2)


def test_a_second_order_is_in_time_on_the_last_day_of_the_window():
    """By hand: 90 days after 1 January is 1 April."""
    for gap, returned in ((90, 1), (91, 0)):
        days = [date(2023, 1, 1), date(2023, 1, 1) + timedelta(gap)]
        log = pd.DataFrame({"customer_id": "a", "day": days, "amount": 1.0, "is_purchase": True})
        assert first_orders(orders(log), START, date(2023, 12, 31)).returned == returned


def test_concentration_by_hand():
    """Revenue 60, 20, 20, 0 and one of -10 that counts as 0. Gini of 0, 0, 20, 20, 60: 0.56."""
    found = concentration(np.array([20.0, -10.0, 60.0, 0.0, 20.0]))
    assert found.top_shares == pytest.approx({"0.1": 0.6, "0.2": 0.6, "0.5": 0.8})
    assert found.gini == pytest.approx(0.56)
    assert (found.customers, found.negative_customers, found.negative_revenue) == (5, 1, -10.0)
    assert [found.lorenz[k] for k in (0, 40, 60, 80, 90, 100)] == pytest.approx([0, 0, 0.2, 0.4, 0.7, 1])
    assert "bring 60%" in found.sentence


@pytest.mark.parametrize("net", [[], [0.0, 0.0], [-3.0]])
def test_without_revenue_nothing_is_concentrated(net):
    found = concentration(np.array(net))
    assert (found.gini, found.lorenz, found.top_shares) == (None, (), {})


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=60))
def test_lorenz_is_convex_and_gini_lies_between_0_and_1(values):
    """Invariants of the curve; the Gini against its other definition, by mean absolute differences."""
    net = np.array(values)
    _, revenue = lorenz(net)
    if net.sum() < 1e-3:
        return
    assert np.diff(revenue, 2).min(initial=0) >= -1e-12
    differences = np.abs(net[:, None] - net[None, :]).mean()
    assert gini(net) == pytest.approx(differences / (2 * net.mean()), abs=1e-9)
    assert 0 <= gini(net) <= 1


@pytest.mark.parametrize(
    ("age", "share", "growth", "stage"),
    [
        (179, 0.9, 0.0, "start_up"),
        (180, 0.9, 0.5, "traction"),
        (364, 0.9, 0.5, "traction"),
        (365, 0.5, 0.11, "steady_growth"),
        (365, 0.5, 0.1, "established"),
        (4000, 0.49, 0.0, "traction"),
        (4000, 0.8, None, "established"),
        (4000, None, None, "traction"),
    ],
)
def test_stages_begin_where_the_thresholds_say(age, share, growth, stage):
    assert stage_of(age, share, growth) == stage


def test_stage_measures_by_hand():
    """96 days of log: windows of 48. From 27 February: cy 30 and eva 100, less 5; ann and cy are old."""
    found = shop_stage(orders(), END)
    assert (found.stage, found.age_days, found.window_days) == ("start_up", 96, 48)
    assert (found.active_customers, found.active_before, found.new_customers) == (2, 3, 1)
    assert found.repeat_revenue_share == pytest.approx(25 / 125)
    assert found.growth == pytest.approx(2 / 3 - 1)
    assert "33% smaller" in found.sentence


def test_a_log_of_a_chosen_group_is_told():
    assert (
        "Nobody in the last window is new"
        in shop_stage(orders(LEDGER[LEDGER["customer_id"] != "eva"]), END).sentence
    )


def test_matrix_by_hand():
    """Medians: 1.5 orders, 32.5 an order. a has both, b is frequent, c dear, d neither.

    Had c ordered 4 times: 3 more of 45. Had b's 2 orders been worth 50: 100 instead of 40.
    """
    people = pd.DataFrame({"orders": [4, 2, 1, 1], "revenue": [200.0, 40.0, 45.0, 10.0]})
    found = value_frequency(people)
    assert (found.median_orders, found.median_order_value) == (1.5, 32.5)
    assert [(f.customers, f.orders, f.revenue) for f in found.fields] == [
        (1, 4, 200.0),
        (1, 2, 40.0),
        (1, 1, 45.0),
        (1, 1, 10.0),
    ]
    assert (found.frequency_gain, found.basket_gain) == (pytest.approx(135), pytest.approx(60))
    assert found.focus == "frequency"
    assert found.sentence.startswith("Build frequency first")


def test_matrix_of_equal_customers_says_nothing():
    found = value_frequency(pd.DataFrame({"orders": [1, 1], "revenue": [5.0, 5.0]}))
    assert found.focus is None
    assert sum(field.customers for field in found.fields) == 2


LOGS = st.lists(
    st.tuples(
        st.sampled_from("abcdef"),
        st.integers(0, 200).map(lambda n: date(2023, 1, 5) + timedelta(n)),
        st.integers(-5_000, 90_000).map(lambda cents: cents / 100),
        st.sampled_from(["web", "مغازه", None]),
    ),
    max_size=25,
)


def frame_of(log):
    frame = pd.DataFrame(log, columns=["customer_id", "day", "amount", "channel"]).astype(
        {"customer_id": "str", "channel": "str", "amount": "float64"}
    )
    return frame.assign(is_purchase=frame["amount"] >= 0)


@settings(max_examples=12, deadline=None)
@given(LOGS, st.integers(0, 100), st.integers(0, 150))
def test_parts_add_up_and_the_triangle_begins_with_everybody(log, after, length):
    """Invariants, logs and periods without a purchase among them."""
    start = date(2023, 1, 1) + timedelta(after)
    found = shop_report(orders(frame_of(log)), start, start + timedelta(length), scores())
    assert list(found.table.columns) == COLUMNS
    whole = found.table.iloc[0]
    for _, part in found.table.groupby("dimension"):
        assert part["revenue"].sum() == pytest.approx(whole["revenue"], abs=1e-6)
        assert part["orders"].sum() == whole["orders"]
    assert (found.triangle.query("months_since == 0")["retention"] == 1).all()
    assert found.triangle["retention"].between(0, 1).all()
    json.dumps(found.to_dict(), allow_nan=False)


@settings(max_examples=8, deadline=None)
@given(LOGS, st.randoms(use_true_random=False))
def test_order_of_rows_changes_no_byte(log, random):
    """Invariant."""
    period = date(2023, 1, 1), date(2023, 7, 31)
    shuffled = random.sample(log, len(log))
    assert json.dumps(shop_report(orders(frame_of(log)), *period).to_dict()) == json.dumps(
        shop_report(orders(frame_of(shuffled)), *period).to_dict()
    )


def test_large_currency_units():
    """Invariant: money times 2^30 (as of rials, exact in binary) scales money alone."""
    small, large = (
        shop_report(orders(LEDGER.assign(amount=LEDGER["amount"] * k)), START, END) for k in (1.0, 2.0**30)
    )
    money = ["revenue", "average_order_value", "customer_value"]
    pd.testing.assert_frame_equal(
        small.table.assign(**{name: small.table[name] * 2**30 for name in money}), large.table, rtol=1e-12
    )
    for name in ("stage", "first_orders"):
        assert getattr(small, name) == getattr(large, name)
    assert small.concentration.lorenz == pytest.approx(large.concentration.lorenz)
    assert small.matrix.sentence == large.matrix.sentence


def test_satisfaction_is_told_where_there_is_a_table():
    """A complaint of February, settled in March; without the table, the JSON has no such key."""
    names = ("customer_id", "ts", "kind", "score", "channel", "topic", "responded", "resolved")
    moments = [pd.Timestamp("2023-02-05 08:00"), pd.NaT, pd.Timestamp("2023-03-05 08:00")]
    row = ("ann", moments[0], "complaint", float("nan"), "تلفن", None, moments[1], moments[2])
    frame = pd.DataFrame([row], columns=names).astype({"topic": "str", "responded": "datetime64[us]"})
    table = CON.create_table("interactions", frame, overwrite=True)
    told = shop_report(orders(), START, END, None, table).to_dict()["satisfaction"]
    assert told["first_day"] == "2023-02-05"
    open_then = {month["month"]: month["complaints_open"] for month in told["months"]}
    assert open_then == {"2023-02": 1, "2023-03": 0, "2023-04": 0}
    assert [month["complaints_per_100_active"] for month in told["months"]] == [50.0, None, 0.0]
    assert told["channels"][0] == {
        "period": "2023-03",
        "channel": "تلفن",
        "responses": 0,
        "response_hours": None,
        "resolutions": 1,
        "resolution_hours": 28 * 24.0,
    }
    json.dumps(told)
    assert "satisfaction" not in shop_report(orders(), START, END).to_dict()

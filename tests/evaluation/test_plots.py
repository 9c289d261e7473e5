"""Figures show the frames they are given."""

import pandas as pd
import pytest

from churnlab.evaluation import curves, plots

TRUTH = pd.DataFrame(
    {
        "customer_id": list("abcdefgh"),
        "churned": [1, 0, 1, 0, 1, 0, 0, 1],
        "spend": [0.0, 10, 0, 30, 0, 5, 8, 0],
    }
)
SAID = {
    "model": TRUTH[["customer_id"]].assign(
        churn_probability=[0.9, 0.2, 0.7, 0.1, 0.6, 0.5, 0.3, 0.4], expected_spend=[1.0, 9, 2, 25, 3, 6, 7, 4]
    ),
    "days_since_last_order": TRUTH[["customer_id"]].assign(score=[9, 1, 8, 2, 7, 3, 4, 6]),
}
FIGURES = [
    (curves.roc, plots.roc_figure),
    (curves.precision_recall, plots.precision_recall_figure),
    (curves.lift, plots.lift_figure),
    (curves.reliability, plots.reliability_figure),
    (curves.clv_deciles, plots.clv_deciles_figure),
]


@pytest.mark.parametrize(("curve", "draw"), FIGURES)
def test_a_figure_says_what_to_read_and_names_its_axes(curve, draw):
    layout = draw(curve(TRUTH, SAID)).layout
    assert layout.title.text
    assert layout.title.subtitle.text
    assert layout.xaxis.title.text
    assert layout.yaxis.title.text


def test_methods_are_overlaid_in_their_colours():
    """One line per method, the first method in the first colour in each figure."""
    for curve, draw in FIGURES[:3]:
        lines = [t for t in draw(curve(TRUTH, SAID)).data if t.name]
        assert [t.name for t in lines] == ["model", "days since last order"]
        assert [t.line.color for t in lines] == list(plots.COLOURS[:2])


def test_lines_hold_the_values_of_the_frame():
    frame = curves.roc(TRUTH, SAID)
    line = next(t for t in plots.roc_figure(frame).data if t.name == "model")
    part = frame[frame["method"] == "model"]
    assert list(line.x) == (part["false_positive_rate"] * 100).tolist()
    assert list(line.y) == (part["true_positive_rate"] * 100).tolist()


def test_bars_are_what_was_spent():
    """By hand: the best forecast (25) spent 30, the next (9) spent 10."""
    bars = plots.clv_deciles_figure(curves.clv_deciles(TRUTH, SAID), "€").data[0]
    assert bars.type == "bar"
    assert list(bars.y)[:2] == [30, 10]


def test_money_axis_names_the_currency():
    figure = plots.clv_deciles_figure(curves.clv_deciles(TRUTH, SAID), "€")
    assert figure.layout.yaxis.title.text.endswith("(€)")


def test_heat_map_orders_ranges_by_number_and_leaves_gaps():
    """By hand: rows 0, 2–3 and 16–31 in this order, and None where no customer is."""
    scores = pd.DataFrame(
        {
            "frequency": [20, 0, 3],
            "days_since_last_order": [5, 100, 20],
            "churn_probability": [0.1, 0.9, 0.5],
        }
    )
    heat = plots.frequency_recency_figure(curves.frequency_recency(scores)).data[0]
    assert list(heat.y) == ["0", "2–3", "16–31"]
    starts = [int(label.split("–")[0]) for label in heat.x]
    assert starts == sorted(starts)
    assert sorted(v for row in heat.z for v in row if v is not None) == [10, 50, 90]
    assert sum(v is None for row in heat.z for v in row) == len(heat.x) * 3 - 3


@pytest.mark.parametrize(("curve", "draw"), FIGURES)
def test_an_empty_curve_draws_an_empty_figure(curve, draw):
    assert draw(curve(TRUTH, {})).layout.title.text

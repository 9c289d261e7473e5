"""Charts and section of the shop. Authority: figures written by hand."""

import numpy as np
import pandas as pd
import pytest

from churnlab.decisions.concentration import concentration
from churnlab.decisions.retention import TRIANGLE, FirstOrders, retention_curve
from churnlab.decisions.shop_report import ShopReport
from churnlab.decisions.shop_stage import Stage
from churnlab.decisions.value_frequency import value_frequency
from churnlab.report.shop_charts import cohort_figure, curve_figure, shop_charts
from churnlab.report.templating import environment

RIALS = 10**9


def triangle():
    rows = [
        ("2023-01", 0, "2023-01", 4, 4, 1.0, 0.0),
        ("2023-01", 1, "2023-02", 4, 1, 0.25, 0.0),
        ("2023-01", 2, "2023-03", 4, 0, 0.0, 0.0),
        ("2023-02", 0, "2023-02", 2, 2, 1.0, 0.0),
        ("2023-02", 1, "2023-03", 2, 1, 0.5, 0.0),
    ]
    return pd.DataFrame(rows, columns=TRIANGLE)


@pytest.fixture
def shop():
    people = pd.DataFrame({"orders": [4, 2, 1, 1], "revenue": [200.0, 40.0, 45.0, -10.0]}) * [1, RIALS]
    return ShopReport(
        table=pd.DataFrame(),
        triangle=triangle(),
        curve=retention_curve(triangle()),
        first_orders=FirstOrders(90, 5, 2, 0.4, 3, 21.0),
        concentration=concentration(people["revenue"].to_numpy()),
        stage=Stage("traction", 400, 200, 0.2, 5, 4, 3, 0.25, "Stage: <traction>."),
        matrix=value_frequency(people),
    )


def test_a_month_that_is_not_over_is_blank_and_an_empty_one_is_zero():
    (heat,) = cohort_figure(triangle()).data
    assert list(heat.y) == ["2023-01", "2023-02"]
    assert [list(row) for row in heat.z] == [[25.0, 0.0], [50.0, None]]


def test_curves_end_where_the_cohort_ends():
    first, second, together = curve_figure(triangle(), retention_curve(triangle())).data
    assert (list(first.y), list(second.y)) == ([25.0, 0.0], [50.0])
    assert list(together.y) == pytest.approx([100 * 2 / 6, 0.0])


def test_what_is_not_known_is_not_drawn(shop):
    assert list(shop_charts(shop)) == ["cohorts", "retention", "lorenz"]
    empty = {"triangle": triangle()[:1], "concentration": concentration(np.array([0.0]))}
    nothing = ShopReport(**{**vars(shop), **empty})
    assert shop_charts(nothing) == {}


def test_section_shows_sentences_and_big_money(shop):
    made = environment("﷼", 25 * RIALS)
    macro = "{% macro rows_word(n, one, many) %}{{ n | number }} {{ many }}{% endmacro %}"
    source = macro + "{% include 'shop.html.j2' %}"
    html = made.from_string(source).render(shop=shop, shop_figures=[], dominant="Not seen.")
    assert "Stage: &lt;traction&gt;. Not seen." in html
    assert "200,000,000,000" in html
    assert "1 customers returned more than they bought" in html
    assert "Rare, large" in html
    assert "Frequency-building" in html

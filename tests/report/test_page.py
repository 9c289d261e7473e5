"""The page is one valid, self-contained document that shows what it is given and runs nothing it is given."""

import dataclasses
from datetime import date
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from churnlab.evaluation import baselines, curves, plots
from churnlab.report.decision_charts import STRATEGIES
from churnlab.report.page import ReportContext, headline, render
from churnlab.report.tables import risk_value
from churnlab.report.wording import DEFINITIONS

HOSTILE = '<script>alert("x")</script>'
VOID = {"meta", "input", "br", "img", "hr", "link", "col", "path"}
NAMES = ["مریم حسینی", "Αλέξανδρος", HOSTILE, '"><img src=x onerror=alert(1)>', "0001723", "{{ 7 * 7 }}"]


class Reader(HTMLParser):
    """Collects elements, attributes and text, and refuses tags closed out of order."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)


def read(html):
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


def scores():
    n = 60
    return pd.DataFrame(
        {
            "customer_id": [f"c{k:02d}" for k in range(n)],
            "churn_probability": np.linspace(0.02, 0.98, n),
            "clv": np.linspace(500, 10, n),
            "p_alive": 1.0,
            "risk_label": ["low"] * 30 + ["medium"] * 18 + ["high"] * 12,
            "value_label": ["top"] * 3 + ["high"] * 9 + ["medium"] * 18 + ["low"] * 30,
            "frequency": np.arange(n) % 7,
            "days_since_last_order": np.arange(n) * 3.0,
        }
    )


def priority_list():
    n = len(NAMES)
    return pd.DataFrame(
        {
            "priority_rank": range(1, n + 1),
            "customer_id": NAMES,
            "action": "win_back_offer",
            "channel": ["email", None] * (n // 2),
            "expected_net_benefit": [1_500.0, 900, 800, 300, 200, 100],
            "value_at_stake": 1000.0,
            "cost": 2.6,
            "group": ["treated"] * 4 + ["control"] * 2,
            "why": ["سه ماه است خرید نکرده", HOSTILE, "Silent for 90 days.", None, "x & y", "a < b"],
            "risk_label": "high",
            "value_label": "top",
            "churn_probability": 0.7,
            "clv": 1_234_567.0,
        }
    )


def figures_of_a_period(money):
    return {
        "period_start": date(2023, 1, 1),
        "period_end": date(2023, 12, 31),
        "customers": 3000,
        "orders": 4500,
        "repeat_customers": 900,
        "revenue": 4500 * money,
        "repeat_customer_rate": 0.3,
        "purchase_frequency": 1.5,
        "average_order_value": money,
        "customer_value": 1.5 * money,
    }


@pytest.fixture(scope="module")
def context():
    base = scores()
    truth = base.assign(churned=[0] * 30 + [1, 0] * 15, n_purchases=1, spend=base["clv"])
    said = {"model": base, "silence": baselines.days_since_last_order(base)}
    return ReportContext(
        title="گزارش مشتریان",
        currency_symbol="$",
        as_of=date(2023, 12, 31),
        horizon_days=90,
        data_summary={"read": 1010, "accepted": 1000, "quarantined": 10, "reasons": {"future_date": 10}},
        key_figures=[figures_of_a_period(40.0)],
        risk_value=risk_value(base),
        scores=pd.DataFrame({"customer_id": NAMES, "clv": 10.0, "reasons": [["A.", HOSTILE]] * len(NAMES)}),
        metrics=baselines.compare(truth, said),
        figures={"roc": plots.roc_figure(curves.roc(truth, {HOSTILE: base, "silence": said["silence"]}))},
        priority_list=priority_list(),
        notes=[HOSTILE],
        provenance={"model_version": HOSTILE},
    )


@pytest.fixture(scope="module")
def page(context):
    return render(context)


def test_is_one_valid_document(page):
    reader = read(page)
    assert page.startswith("<!doctype html>")
    for tag in ("html", "head", "body", "title", "main", "h1"):
        assert reader.tags.count(tag) == 1


def test_people_who_never_bought_are_counted(context, page):
    told = render(dataclasses.replace(context, potential={"treated": 1200, "control": 3, "left_out": 97}))
    sentence = (
        "1,300 people signed up and have never bought. With what the list leaves of budget and capacity, "
    )
    assert sentence + "1,200 of them are contacted and 3 held out" in told
    assert "never bought" not in page


def test_loads_nothing_from_elsewhere(page):
    """No element has an address that leaves the page, no style imports one, a policy forbids the rest."""
    reader = read(page)
    loading = {"src", "href", "action", "data", "poster", "srcset", "formaction"}
    addresses = [value for _, name, value in reader.attributes if name in loading]
    assert all(value.startswith("#") for value in addresses)
    assert not {"link", "img", "iframe", "object", "embed", "base"} & set(reader.tags)
    assert any("default-src 'none'" in value for tag, _, value in reader.attributes if tag == "meta")
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_foreign_text_is_shown_and_never_run(page):
    """Ids, reasons, notes and names of methods with markup in them reach the reader as text."""
    reader = read(page)
    text = "".join(reader.text)
    for name in NAMES:
        assert name in text
    assert HOSTILE not in page
    assert not [name for _, name, _ in reader.attributes if name.startswith("on")]


def test_plotly_is_inlined_once(page):
    assert page.count("plotly.js v") == 1


def test_a_page_without_figures_is_light(context):
    """Without figures plotly.js (over 4 MB) stays out."""
    page = render(dataclasses.replace(context, figures={}))
    read(page)
    assert len(page) < 100_000


def test_right_to_left_cells_choose_their_direction(page):
    """Every customer's cell has dir=auto; the document has a language."""
    reader = read(page)
    cells = [value for tag, name, value in reader.attributes if (tag, name) == ("td", "dir")]
    assert set(cells) == {"auto"}
    assert len(cells) >= 2 * len(NAMES)
    assert ("html", "lang", "en") in reader.attributes


def test_opens_with_what_to_do(page):
    """By hand: four treated bring 1,500 + 900 + 800 + 300 and cost 4 x 2.60; two are control."""
    text = " ".join("".join(read(page).text).split())
    assert "Contact 4 customers now for an expected net benefit of $3,500." in text
    assert "It costs $10.40" in text
    assert "the 2 control customers" in text


def test_headline_counts_the_treated_only():
    assert headline(priority_list()) == pytest.approx(
        {"contacts": 4, "held_out": 2, "net_benefit": 3500.0, "cost": 10.4, "value_at_stake": 4000.0}
    )


def test_an_empty_shop_still_has_a_page(context):
    """No contacts, no metrics, no figures, nothing in quarantine, no purchases: sentences say so."""
    nothing = dict.fromkeys(
        (
            "repeat_customer_rate",
            "purchase_frequency",
            "average_order_value",
            "customer_value",
            "period_start",
        )
    )
    page = render(
        dataclasses.replace(
            context,
            key_figures=[figures_of_a_period(1.0) | nothing],
            priority_list=priority_list().iloc[:0],
            scores=context.scores.iloc[:0],
            metrics=context.metrics.iloc[:0],
            risk_value=context.risk_value.iloc[:0],
            figures={},
            notes=[],
            data_summary={"read": 0, "accepted": 0, "quarantined": 0, "reasons": {}},
        )
    )
    text = "".join(read(page).text)
    for sentence in ("Contact nobody", "The list is empty", "No backtest was run", "Nothing was set aside"):
        assert sentence in text
    assert "nan" not in text.lower().split()


def test_shows_the_first_rows_of_the_list_only(context):
    page = render(dataclasses.replace(context, top_rows=2, scores=context.scores.iloc[:0], figures={}))
    text = "".join(read(page).text)
    assert "The first 2 of 6 customers" in text
    assert NAMES[1] in text
    assert "0001723" not in text


def test_money_in_large_units_has_separators_and_no_decimals(context):
    """Rial: 1,234,567,890 per order is printed in full, the symbol in front and isolated."""
    big = dataclasses.replace(
        context, key_figures=[figures_of_a_period(1_234_567_890.0)], currency_symbol="﷼", figures={}
    )
    text = "".join(read(render(big)).text)
    assert "﷼1,234,567,890" in text
    assert "1,234,567,890." not in text


def test_period_of_the_key_figures_is_printed(page):
    text = "".join(read(page).text)
    assert "2023-01-01 to 2023-12-31: 3,000 customers placed 4,500 orders worth $180,000." in text
    for value in ("30.0\u00a0%", "1.50", "$40.00", "$60.00"):
        assert value in text


def test_cutoffs_of_the_backtest_are_printed(context, page):
    """Two blocks with cutoffs stand for the backtest of two past days; without them none is named."""
    days = ["2023-07-02", "2023-05-03"]
    blocks = pd.concat([context.metrics.assign(cutoff=day) for day in days])
    text = "".join(read(render(dataclasses.replace(context, metrics=blocks))).text)
    told = "past moments (2023-05-03, 2023-07-02; figures are means, and below them the lowest and highest)"
    assert told in text
    assert "asked about a past moment, without" in "".join(read(page).text)


def profit(**realised):
    """What each strategy brought at one cutoff, within 10; those that are not named, nothing."""
    frame = pd.DataFrame({"strategy": list(STRATEGIES)}).assign(cutoff="2023-07-02", action="", contacts=1.0)
    brought = frame["strategy"].map(realised).fillna(0.0)
    ahead = realised["plan"] - brought
    return frame.assign(
        cost=1.0,
        expected_profit=brought,
        realised_profit=brought,
        low=brought - 10,
        high=brought + 10,
        plan_ahead=ahead,
        ahead_low=ahead - 10,
        ahead_high=ahead + 10,
    )


def test_the_list_stands_beside_the_best_rule_under_each_definition(context):
    """By hand: value brought 70 of the list's 50; by the other definition, nobody did better."""
    tables = {"spent_afterwards": profit(plan=50.0, value=70.0), "not_long_silent": profit(plan=50.0)}
    named = [table.assign(definition=name, cutoffs=2) for name, table in tables.items()]
    page = render(
        dataclasses.replace(
            context, figures={}, profit=tables["spent_afterwards"], definitions=pd.concat(named)
        )
    )
    text = " ".join("".join(read(page).text).split())
    first, second = (text.index(DEFINITIONS[name][1:]) for name in tables)
    assert first < second
    for cell in ("$50.00", "$70.00most valuable first", "−$20.00", "−$30.00 to −$10.00"):
        assert cell in text[first:second]
    assert "$40.00 to $60.00" in text[second:]


@pytest.mark.parametrize(
    ("name", "told", "untold"),
    [
        ("spent_afterwards", "went on to spend", "two usual gaps counts as gone"),
        ("not_long_silent", "two usual gaps counts as gone", "went on to spend"),
    ],
)
def test_the_page_says_what_a_kept_customer_is_taken_to_bring(context, name, told, untold):
    table = profit(plan=50.0)
    found = table.assign(definition=name, cutoffs=2)
    page = render(dataclasses.replace(context, figures={}, profit=table, definitions=found))
    text = " ".join("".join(read(page).text).split())
    assert told in text
    assert untold not in text


def test_equal_input_gives_equal_text(context, page):
    assert render(context) == page


FOREIGN = st.sampled_from(
    [
        HOSTILE,
        '"><img src=x onerror=alert(1)>',
        "' onmouseover='alert(1)",
        "</td></tr></table></main>",
        "</script><script>alert(1)</script>",
        "<!--",
        "]]>",
        "&lt;b&gt;&#60;",
        "{{ 7 * 7 }}{% raw %}",
        "\u202etxt.exe",
        "javascript:alert(1)",
    ]
) | st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=20)


def filled(context, text):
    """The context with one text wherever a text comes from data or settings."""
    listed = context.priority_list.assign(customer_id=text, action=text, channel=text, why=text)
    top = context.scores.assign(customer_id=text, reasons=[[text, text]] * len(context.scores))
    return dataclasses.replace(
        context,
        title=text,
        priority_list=listed,
        scores=top.assign(lifecycle_type=text, buying_style=text),
        data_summary=context.data_summary | {"reasons": {text: 10}, "first_day": text, "last_day": text},
        notes=[text],
        provenance={text: text},
        figures={},
    )


@given(text=FOREIGN)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_element_and_no_attribute_comes_from_data(context, text):
    """The page has the same bones whatever the texts are, and shows each as it is."""
    plain, found = read(render(filled(context, "word"))), read(render(filled(context, text)))
    assert found.tags == plain.tags
    assert found.attributes == plain.attributes
    assert "".join(found.text).count(text) >= 2 * len(NAMES)

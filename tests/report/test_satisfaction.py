"""Trends of satisfaction on the page. Authority: figures written by hand."""

from __future__ import annotations

import dataclasses
from datetime import date
from types import SimpleNamespace

import pandas as pd
import pytest

from churnlab.features.satisfaction import CAUSES, CHANNELS, LATELY, MONTHS, UNKNOWN, WISHES, Satisfaction
from churnlab.report.satisfaction import NEEDED, satisfaction_charts, told
from churnlab.report.templating import environment

NAN = float("nan")
HOSTILE = '<img src=x onerror="alert(1)">'


def frame(rows: list[tuple], types: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(types)).astype(types)


@pytest.fixture
def found() -> Satisfaction:
    months = [
        ("2024-01", 200, 4, 2.0, 3, 5, 0.75, 0, NAN, 7, 8.26, 0),
        ("2024-02", 0, 0, NAN, 1, 0, NAN, 4, -25.0, 0, NAN, 1234),
    ]
    channels = [
        ("2024-01", "تلفن", 1, 2.0, 0, NAN),
        ("2024-02", "تلفن", 0, NAN, 1, 2500.0),
        (LATELY, "تلفن", 1, 2.0, 1, 2500.0),
        (LATELY, HOSTILE, 3, 0.25, 0, NAN),
    ]
    return Satisfaction(
        date(2024, 1, 5),
        frame(months, MONTHS),
        frame(channels, CHANNELS),
        frame([(HOSTILE, 3, 0.75, 2, 0), (UNKNOWN, 1, 0.25, 0, 9)], CAUSES),
        frame([("چراغ", 1200, 0.97, 11), (HOSTILE, 34, 0.03, 0)], WISHES),
    )


def section(found: Satisfaction | None) -> str:
    source = "{% macro drawings(figures) %}{% endmacro %}{% include 'satisfaction.html.j2' %}"
    shop = SimpleNamespace(satisfaction=found)
    shown = {"satisfaction": told(found), "satisfaction_figures": [], "shop": shop}
    page = environment("", 10.0).from_string(source)
    return page.render(**shown, context=SimpleNamespace(as_of=date(2024, 2, 20)))


def test_the_section_shows_months_waits_and_causes(found):
    """The busiest channel first; a text of the shop's is shown and not run."""
    html = section(found)
    for cell in (
        "2.0",
        "75\u00a0%",
        "\u221225",
        "2,500.0",
        "0.2",
        "8.3",
        "1,234",
        "چراغ",
        "تلفن",
        "2024-01-05",
        "2024-02-20",
    ):
        assert cell in html
    assert HOSTILE not in html
    assert html.index("&lt;img") < html.index("تلفن")
    assert "Not in the table" not in html


def test_what_the_table_lacks_is_said_and_not_shown(found):
    """Without answers to questions and without complaints: waits for tickets alone."""
    nothing = {"complaints": 0, "complaints_open": 0, "csat_answers": 0, "nps_answers": 0}
    nothing |= {"intent_answers": 0, "wishes": 0}
    none = {"causes": found.causes[:0], "wished": found.wished[:0]}
    bare = dataclasses.replace(found, months=found.months.assign(**nothing), **none)
    html = section(bare)
    assert set(told(bare)["missing"]) == {
        NEEDED[name] for name in NEEDED if name not in ("response", "resolution")
    }
    assert NEEDED["csat"] in html
    assert "Per 100 active" not in html and "Causes" not in html
    assert "Would buy again" not in html and "wished for, last" not in html
    assert list(satisfaction_charts(bare)) == ["response", "resolution"]


def test_complaints_whose_causes_are_not_told(found):
    unknown = dataclasses.replace(found, causes=frame([(UNKNOWN, 4, 1.0, 2, 0)], CAUSES))
    assert told(unknown)["missing"] == [NEEDED["causes"]]


def test_wishes_alone(found):
    """They have a table of months, and of things only where it is said what they are."""
    nothing = dict.fromkeys(
        ("complaints", "complaints_open", "csat_answers", "nps_answers", "intent_answers"), 0
    )
    months = found.months.assign(**nothing)
    alone = dataclasses.replace(found, months=months, channels=found.channels[:0], causes=found.causes[:0])
    html = section(alone)
    assert "1,234" in html and "wished for, last" in html and "NPS" not in html
    unsaid = dataclasses.replace(alone, wished=frame([(UNKNOWN, 1234, 1.0, 11)], WISHES))
    assert "1,234" in section(unsaid) and "wished for, last" not in section(unsaid)


def test_without_a_table_a_sentence_says_what_is_needed():
    assert "data.interactions" in section(None)
    assert satisfaction_charts(None) == {}


def test_charts_by_hand(found):
    """A month without active customers has no rate, a month without answers no score."""
    charts = satisfaction_charts(found)
    assert list(charts) == ["complaints", "scores", "response", "resolution"]
    (bars,) = charts["complaints"].data
    assert (list(bars.x), list(bars.y)) == (["2024-01", "2024-02"], [2.0, None])
    csat, nps = charts["scores"].data
    assert (list(csat.y), list(nps.y)) == ([75.0, None], [None, -25.0])
    (line,) = charts["resolution"].data  # one channel had a month that was drawn
    assert (line.name, list(line.y)) == ("تلفن", [None, 2500.0])


def test_one_month_is_no_trend(found):
    assert satisfaction_charts(dataclasses.replace(found, months=found.months[:1])) == {}

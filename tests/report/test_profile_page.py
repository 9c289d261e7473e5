"""The page is one valid, self-contained document that shows the profile and runs nothing it is given."""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta
from html.parser import HTMLParser
from io import StringIO
from typing import Any

import ibis
import pandas as pd
import pytest
from rich.console import Console

from churnlab.features.profile import Profile, Refused, Rows, profile
from churnlab.report.profile_page import render
from churnlab.report.profile_summary import show

HOSTILE = '<script>alert("x")</script>'
FILES = ["فروش ۱۴۰۲.csv", "Πωλήσεις.csv", "مبيعات.csv", "🛍️ shop.csv", f"{HOSTILE}.csv", "{{ 7 * 7 }}.csv"]
REASONS = ["customer_id_missing", "دلیل نامعلوم", "άγνωστος λόγος", "سبب", "🤷", HOSTILE]
VOID = {"meta", "input", "br", "img", "hr", "link", "col", "path"}


class Reader(HTMLParser):
    """Collects elements, attributes and text, and refuses tags closed out of order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


def words(html: str) -> str:
    return " ".join("".join(read(html).text).split())


@pytest.fixture(scope="module")
def found(small_orders: Any, small_log: Any) -> Profile:
    """The small shop, with files and reasons in many scripts."""
    nothing = {"source_file": "string", "source_row": "int64", "reason": "string"}
    quarantine = ibis.memtable(pd.DataFrame({name: [] for name in nothing}), schema=ibis.schema(nothing))
    summary = {
        "rows_read": 1000,
        "rows_accepted": 979,
        "rows_quarantined": 21,
        "return_line_share": 0.08,
        "as_of": str(small_log.LAST_DAY),
    }
    clean = profile(small_orders, quarantine, summary, small_log.params)
    refused = tuple(
        Refused(reason, k + 1, (k + 1) / 1000, f"remedy of {reason}", file, 10 * k + 1)
        for k, (reason, file) in enumerate(zip(REASONS, FILES, strict=True))
    )
    rows = Rows(read=1000, accepted=979, quarantined=21, share_quarantined=0.021, refused=refused)
    return dataclasses.replace(clean, rows=rows, cautions=(HOSTILE, "تعطیلی"), timezone=HOSTILE)


@pytest.fixture(scope="module")
def page(found: Profile) -> str:
    return render(found, f"گزارش {HOSTILE}", "﷼")


def test_is_one_valid_document(page: str) -> None:
    reader = read(page)
    assert page.startswith("<!doctype html>")
    for tag in ("html", "head", "body", "title", "main", "h1"):
        assert reader.tags.count(tag) == 1


def test_loads_nothing_from_elsewhere(page: str) -> None:
    reader = read(page)
    loading = {"src", "href", "action", "data", "poster", "srcset", "formaction"}
    assert all(value.startswith("#") for _, name, value in reader.attributes if name in loading)
    assert not {"link", "img", "iframe", "object", "embed", "base"} & set(reader.tags)
    assert any("default-src 'none'" in value for tag, _, value in reader.attributes if tag == "meta")
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style and "@import" not in style
    assert page.count("plotly.js v") == 1


def test_links_of_the_page_lead_somewhere(page: str) -> None:
    reader = read(page)
    ids = {value for _, name, value in reader.attributes if name == "id"}
    aims = {value.removeprefix("#") for _, name, value in reader.attributes if name == "href"}
    assert aims and aims <= ids


def test_foreign_text_is_shown_and_never_run(page: str) -> None:
    """Titles, file names, reasons, cautions and the time zone reach the reader as text, in any script."""
    text = "".join(read(page).text)
    for name in (*FILES, *(reason.replace("_", " ") for reason in REASONS), "تعطیلی", f"گزارش {HOSTILE}"):
        assert name in text
    assert HOSTILE not in page
    assert not [name for _, name, _ in read(page).attributes if name.startswith("on")]


def test_shows_the_numbers_of_the_profile(page: str, found: Profile) -> None:
    text, shop = words(page), found.shop
    assert shop
    figures = shop.figures
    assert f"{figures.customers:,} customers placed {figures.orders:,} orders" in text
    assert "1,000 rows were read and 21 set aside (2.1 %)" in text
    assert f"{100 * figures.repeat_customer_rate:.1f} %" in text
    assert f"Proposed: {shop.suggestion.horizon_days} days" in text
    for sentence in shop.suggestion.reasoning:
        assert sentence in text
    for told in shop.gates.values():
        for gate in told:
            assert gate.needs in text
            assert gate.sentence in text
    for other in shop.suggestion.alternatives:
        assert f"{other.horizon_days} days" in text


def test_money_in_large_units_has_separators_and_no_decimals(found: Profile) -> None:
    assert found.shop
    figures = dataclasses.replace(found.shop.figures, average_order_value=1_234_567_890.0)
    rial = dataclasses.replace(found, shop=dataclasses.replace(found.shop, figures=figures))
    assert "﷼1,234,567,890" in words(render(rial, "", "﷼"))


def test_a_source_without_a_purchase_still_has_a_page(found: Profile) -> None:
    nothing = dataclasses.replace(found, shop=None, as_of=None, cautions=())
    html = render(nothing, "", "")
    assert "No purchase is among the 979 accepted rows." in words(html)
    assert FILES[0] in words(html)
    assert len(html) < 100_000


@pytest.mark.parametrize("rows", [[("a", 0)], [("a", 0), ("a", 3)]], ids=["one order", "one repeat"])
def test_a_shop_of_one_customer_has_a_page(
    small_log: Any, found: Profile, rows: list[tuple[str, int]]
) -> None:
    """No curve, no bars, no proposal: dashes and sentences instead, and no `nan`."""
    frame = pd.DataFrame(rows, columns=["customer_id", "day"])
    frame["day"] = [date(2024, 1, 1) + timedelta(days=k) for k in frame["day"]]
    frame = frame.assign(
        order_id=[str(k) for k in range(len(frame))],
        ts=pd.to_datetime(frame["day"]),
        amount=5.0,
        gross=5.0,
        returned=0.0,
        is_purchase=True,
    )
    summary = {
        "rows_read": 2,
        "rows_accepted": 2,
        "rows_quarantined": 0,
        "return_line_share": 0.0,
        "as_of": "2024-01-09",
    }
    kinds = {"source_file": "string", "source_row": "int64", "reason": "string"}
    refused = ibis.memtable(pd.DataFrame({name: [] for name in kinds}), schema=ibis.schema(kinds))
    small = profile(ibis.memtable(frame), refused, summary, small_log.params)
    text = words(render(small, "", "$"))
    assert "1 customer placed" in text
    assert "these data cannot tell" in text
    assert "nan" not in text.lower().split()


def test_equal_input_gives_equal_text(page: str, found: Profile) -> None:
    assert render(found, f"گزارش {HOSTILE}", "﷼") == page


def test_the_terminal_shows_the_same_and_reads_no_markup(found: Profile) -> None:
    hostile = dataclasses.replace(
        found.rows.refused[0], reason="[red]مریم[/red]", first_file="[link=x]Ω.csv", first_row=1234
    )
    rows = dataclasses.replace(found.rows, refused=(hostile,))
    out = StringIO()
    show(dataclasses.replace(found, rows=rows), Console(file=out, width=200, highlight=False))
    text = out.getvalue()
    assert found.shop
    assert "1,000 rows read, 979 accepted, 21 set aside (2.1%)" in text
    assert "[red]مریم[/red]" in text
    assert "[link=x]Ω.csv, row 1,234" in text
    assert f"Proposed features.horizon_days: {found.shop.suggestion.horizon_days}" in text
    for sentence in (*found.shop.suggestion.reasoning, f"Caution: {HOSTILE}"):
        assert sentence in text

"""Text of any script goes through every step unharmed (D20). Authority: the strings that were put in."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow.parquet as pq
import pytest

from churnlab.config import Audience, Contact, Params
from churnlab.data.ingestion import ingest
from churnlab.decisions.key_figures import key_figures
from churnlab.decisions.priority import priority_plan
from churnlab.engine import connect, read_parquet, write_parquet
from churnlab.operations.nightly import Job, score_source
from churnlab.operations.sinks.csv_files import write_csv
from churnlab.report.page import ReportContext, render
from churnlab.report.tables import risk_value

WORDS = [
    "مریم حسینی",
    "می\u200cخواهم",  # zero-width non-joiner
    "\u200fعلی\u200f",  # right-to-left marks
    "\u202bسارا ۱۲\u202c-A",  # embedded right to left
    "\u0643\u062a\u0627\u0628 \u0643\u064a",  # Arabic letters kaf and yeh
    "\u06a9\u062a\u0627\u0628 \u06a9\u06cc",  # the Persian ones that look like them
    "Ελένη Παπαδοπούλου",
    unicodedata.normalize("NFC", "Αλέξανδρος"),
    unicodedata.normalize("NFD", "Αλέξανδρος"),
    unicodedata.normalize("NFC", "Zoë Ångström"),
    unicodedata.normalize("NFD", "Zoë Ångström"),
    "أحمد بن علي",
    "שרה",
    "👩🏽‍💻 ☕️",
    "𝒳 王小明 한국어",
    'O\'Brien, "Bob" & <b>co</b>',
    "  two  blanks  ",
    "00123",
]
ACTIONS = {"تماس_شخصی": "تلفن", "προσφορά": "ταχυδρομείο", "🎁": "پیامک"}


class Through(NamedTuple):
    """What was put in, and all that came out."""

    lines: pd.DataFrame
    orders: pd.DataFrame
    quarantine: pd.DataFrame
    scores: pd.DataFrame
    contacts: pd.DataFrame
    folder: Path
    html: str


def lines_of(small_log: Any) -> pd.DataFrame:
    """The small log with every text in one of the scripts."""
    numbers = {name: k for k, name in enumerate(small_log.frame["customer_id"].unique())}
    of = [numbers[name] for name in small_log.frame["customer_id"]]
    n = len(of)
    return small_log.frame.assign(
        customer_id=[f"{WORDS[k % len(WORDS)]}{k // len(WORDS) or ''}" for k in of],
        order_id=[f"{WORDS[k % len(WORDS)]}/{k}" for k in range(n)],
        category=[WORDS[(k * 5) % len(WORDS)] for k in range(n)],
        channel=[WORDS[(k * 7) % len(WORDS)] for k in range(n)],
    )


def params_for(small_log: Any, path: Path) -> Params:
    data = small_log.params.data
    words = {"order_id": "order_id", "category": "category", "channel": "channel"}
    known = small_log.params.decisions.actions
    contacts = [known[name] for name in ("personal_call", "win_back_offer", "thank_you")]
    actions: dict[str, Contact] = {
        name: contact.model_copy(update={"channel": channel, "audience": Audience()})
        for (name, channel), contact in zip(ACTIONS.items(), contacts, strict=True)
    }
    return small_log.params.model_copy(
        update={
            "data": data.model_copy(
                update={"path": str(path), "columns": data.columns.model_copy(update=words)}
            ),
            "decisions": small_log.params.decisions.model_copy(update={"actions": actions}),
        }
    )


def page(params: Params, small_log: Any, orders: Any, scores: pd.DataFrame, contacts: pd.DataFrame) -> str:
    return render(
        ReportContext(
            title="گزارش مشتریان",
            currency_symbol="ریال",
            as_of=small_log.LAST_DAY,
            horizon_days=60,
            data_summary={"read": 1, "accepted": 1, "quarantined": 0, "reasons": {}},
            key_figures=[key_figures(orders, small_log.LAST_DAY, 365)],
            risk_value=risk_value(scores),
            scores=scores,
            metrics=pd.DataFrame({"method": [], "target": [], "metric": [], "value": []}),
            figures={},
            priority_list=contacts,
            top_rows=len(contacts),
        )
    )


@pytest.fixture(scope="module", params=["csv", "utf-16", "parquet", "jsonl"])
def through(request: Any, small_log: Any, small_model: Path, tmp_path_factory: Any) -> Through:
    """Input, orders, scores, list and report of a shop of all scripts; two lines are refused."""
    folder = tmp_path_factory.mktemp("scripts")
    lines = lines_of(small_log)
    refused = lines.head(len(WORDS)).assign(ts="هیچ", category=WORDS)
    whole = pd.concat([lines.assign(ts=lines["ts"].astype(str)), refused])
    path = folder / f"shop.{request.param if request.param != 'utf-16' else 'csv'}"
    params = params_for(small_log, path)
    if request.param == "parquet":
        whole.to_parquet(path, index=False)
    elif request.param == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in whole.to_dict("records")), encoding="utf-8")
    else:
        encoding = "utf-8-sig" if request.param == "csv" else "utf-16"
        whole.to_csv(path, index=False, encoding=encoding)
        form = params.data.csv.model_copy(update={"encoding": encoding})
        params = params.model_copy(update={"data": params.data.model_copy(update={"csv": form})})
    score_source(Job(params, None, str(small_model)), folder)
    con = connect(params.engine)
    orders = ingest(con, params.data).orders
    scores = read_parquet(folder / "scores.parquet")
    contacts = priority_plan(scores, params.decisions).contacts
    write_parquet(contacts, folder / "list.parquet")
    write_csv(contacts, folder / "list.csv")
    quarantine = read_parquet(folder / "quarantine.parquet")
    html = page(params, small_log, orders, scores, contacts)
    return Through(lines, orders.to_pandas(), quarantine, scores, contacts, folder, html)


def test_ids_reach_the_scores_letter_by_letter(through):
    assert list(through.scores["customer_id"]) == sorted(set(through.lines["customer_id"]), key=str.encode)


def test_orders_and_channels_reach_the_orders_letter_by_letter(through):
    assert set(through.orders["order_id"]) == set(through.lines["order_id"])
    assert set(through.orders["channel"]) == set(WORDS)
    told = through.lines.set_index("order_id")[["customer_id", "channel"]]
    pd.testing.assert_frame_equal(
        through.orders.set_index("order_id")[["customer_id", "channel"]].sort_index(),
        told.sort_index(),
        check_dtype=False,
    )


def test_spellings_that_look_alike_are_kept_apart(small_log, tmp_path):
    """One order of a line per category: none was made one with another."""
    lines = pd.DataFrame({"category": WORDS, "channel": "x", "order_id": "A1", "amount": 1.0})
    lines.assign(customer_id="c", ts="2022-01-01").to_csv(tmp_path / "one.csv", index=False)
    params = params_for(small_log, tmp_path / "one.csv")
    (order,) = ingest(connect(params.engine), params.data).orders.to_pyarrow().to_pylist()
    assert (order["n_lines"], order["n_categories"]) == (len(WORDS), len(set(WORDS)))


def test_refused_lines_are_quoted_letter_by_letter(through):
    quoted = [json.loads(row)["category"] for row in through.quarantine["raw"]]
    assert sorted(quoted) == sorted(WORDS)


def test_the_list_leaves_in_the_same_letters(through):
    written = pq.read_table(through.folder / "list.parquet").to_pylist()
    names = list(through.contacts["customer_id"])
    assert [row["customer_id"] for row in written] == names
    assert set(names) <= set(through.lines["customer_id"])
    assert {(row["action"], row["channel"]) for row in written} <= set(ACTIONS.items())


def test_spreadsheets_get_a_byte_order_mark_and_the_same_letters(through):
    content = (through.folder / "list.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert [row["customer_id"] for row in rows] == list(through.contacts["customer_id"])
    assert [row["channel"] for row in rows] == list(through.contacts["channel"])


class Cells(HTMLParser):
    """The texts of table cells by their class, and whether each says its direction."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.stacks: list[list[str]] = []
        self.open: str | None = None
        self.directions: set[str | None] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "td":
            told = dict(attrs)
            self.open = (told.get("class") or "").split(" ")[0]
            if self.open == "id":
                self.directions.add(told.get("dir"))
                self.ids.append("")
            elif self.open == "stack":
                self.stacks.append([])

    def handle_endtag(self, tag: str) -> None:
        if tag == "td":
            self.open = None

    def handle_data(self, data: str) -> None:
        if self.open == "id":
            self.ids[-1] += data
        elif self.open == "stack":
            self.stacks[-1].append(data)


def test_the_report_shows_the_same_letters(through):
    cells = Cells()
    cells.feed(through.html)
    listed, everyone = list(through.contacts["customer_id"]), list(through.scores["customer_id"])
    assert cells.ids == listed + everyone
    assert cells.directions == {"auto"}
    shown = [
        [name.replace("_", " "), channel]
        for name, channel in through.contacts[["action", "channel"]].to_numpy()
    ]
    assert cells.stacks[: len(listed)] == shown
    assert "<title>گزارش مشتریان – " in through.html


def test_the_script_decides_nothing(through, small_log, small_model, tmp_path):
    """A customer's figures are those of the customer of the same lines whose name is plain."""
    out = score_source(Job(small_log.params, None, str(small_model)), tmp_path)
    plain = read_parquet(out).set_index("customer_id")
    names = dict(zip(through.lines["customer_id"], small_log.frame["customer_id"], strict=True))
    found = through.scores.assign(customer_id=through.scores["customer_id"].map(names)).set_index(
        "customer_id"
    )
    apart = ["data_version", "priority_rank", "expected_net_benefit"]
    pd.testing.assert_frame_equal(
        found.drop(columns=apart).sort_index(), plain.drop(columns=apart).sort_index(), check_exact=True
    )


def test_one_name_in_several_spellings_is_one_customer_to_the_policy_text(small_log, small_model, tmp_path):
    """Composed or not, with marks and blanks at the ends: the scores are those of one spelling."""
    names = small_log.frame["customer_id"].str.replace("c", "Ζωή_é", regex=False)
    ways = [
        lambda name: unicodedata.normalize("NFD", name),
        lambda name: f"\u200f{name}\u00a0",
        lambda name: unicodedata.normalize("NFC", name),
    ]
    spellings = {
        "one": [unicodedata.normalize("NFC", name) for name in names],
        "many": [ways[k % len(ways)](name) for k, name in enumerate(names)],
    }
    found = {}
    for title, ids in spellings.items():
        path = tmp_path / f"{title}.csv"
        small_log.frame.assign(customer_id=ids).to_csv(path, index=False)
        data = small_log.params.data.model_copy(update={"path": str(path), "customer_ids": "text"})
        params = small_log.params.model_copy(update={"data": data})
        found[title] = read_parquet(score_source(Job(params, None, str(small_model)), tmp_path / title))
    pd.testing.assert_frame_equal(found["many"], found["one"], check_exact=True)

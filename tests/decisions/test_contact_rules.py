"""Bars on any small shop. Authority: a verifier that reads the rows one by one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from _settings import small_decisions
from churnlab.config import Contact, Decisions, Engine, read_params
from churnlab.decisions.bars import Bar
from churnlab.decisions.contact_rules import barred, is_quiet, not_for_them, without_consent_column
from churnlab.decisions.priority import best_actions, priority_plan, untold
from churnlab.engine import connect
from churnlab.errors import DataError
from churnlab.features.contact_facts import contact_facts
from churnlab.features.signals import Signals

TODAY = date(2024, 6, 28)  # a Friday
MARGIN = 0.3
MOMENT = pa.timestamp("us")
ORDERS = pa.schema(
    [
        ("customer_id", pa.string()),
        ("day", pa.date32()),
        ("is_purchase", pa.bool_()),
        ("amount", pa.float64()),
    ]
)
CUSTOMERS = pa.schema(
    [
        ("customer_id", pa.string()),
        ("known_from", MOMENT),
        ("signup", MOMENT),
        ("is_business", pa.bool_()),
        ("referrer", pa.string()),
        ("consent_email", pa.bool_()),
        ("consent_phone", pa.bool_()),
    ]
)
INTERACTIONS = pa.schema(
    [
        ("customer_id", pa.string()),
        ("ts", MOMENT),
        ("kind", pa.string()),
        ("score", pa.float64()),
        ("responded", MOMENT),
        ("resolved", MOMENT),
    ]
)
CONTACTS = pa.schema(
    [("customer_id", pa.string()), ("ts", MOMENT), ("action", pa.string()), ("group", pa.string())]
)
WORDS = {
    "lifecycle_type": ["potential", "new", "active", "loyal", "inactive", "dissatisfied"],
    "buying_style": ["loyal", "discount", "impulse", "need-based", "wandering", "unassigned"],
    "risk_label": ["low", "medium", "high"],
    "value_label": ["low", "medium", "high", "top"],
}
PLAYBOOK = read_params(Path(__file__).parents[2] / "params.yaml").decisions.actions
OFFER = {"contact_cost": 0.1, "incentive_cost": 6.0, "save_rate": 0.1}
ACTIONS = {
    "call": {"channel": "phone", **OFFER, "purpose": "service"},
    "gift": {"channel": "sms", **OFFER, "offer": "perk"},
    "note": {"channel": "email", **OFFER},
    "off": {"channel": "email", **OFFER, "offer": "discount", "discount_share": 0.05},
    "best": {"channel": "email", **OFFER, "for": {"top_of_year": True}},
    "some": {
        "channel": "email",
        **OFFER,
        "for": {"buying_style": ["loyal", "impulse"], "value_label": ["top"]},
    },
}


def decisions(actions: dict[str, Any] = ACTIONS, **changes: Any) -> Decisions:
    return small_decisions(actions, **({"budget": 1e6} | changes))


people = st.sampled_from("abcd")
moments = st.integers(-800, 3).map(lambda n: datetime(2024, 6, 28, 12) + timedelta(days=n))
lately = st.integers(-40, 3).map(lambda n: datetime(2024, 6, 28, 12) + timedelta(days=n))
flags = st.sampled_from([True, False, None])


def rows(**columns: Any) -> Any:
    return st.lists(st.fixed_dictionaries(columns), max_size=8)


@st.composite
def shops(draw: Any) -> dict[str, Any]:
    bought = rows(customer_id=people, ts=moments, amount=st.integers(-40, 100).map(float))
    orders = draw(bought) + [{"customer_id": c, "ts": datetime(2023, 9, 1), "amount": 0.0} for c in "abcd"]
    for row in orders:
        row |= {"day": row["ts"].date(), "is_purchase": row["amount"] >= 0}
    told = draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    "customer_id": people,
                    "known_from": st.none() | lately,
                    "consent_email": flags,
                    "consent_phone": flags,
                }
            ),
            max_size=8,
            unique_by=lambda row: (row["customer_id"], row["known_from"]),
        )
    )
    return {
        "orders": orders,
        "customers": draw(st.none() | st.just(told)),
        "interactions": draw(
            st.none()
            | rows(
                customer_id=people,
                ts=lately,
                kind=st.sampled_from(["complaint", "ticket"]),
                resolved=st.none() | lately,
            )
        ),
        "contacts": draw(
            st.none()
            | rows(
                customer_id=people,
                ts=moments | lately,
                action=st.sampled_from(["off", "note"]),
                group=st.sampled_from(["treated", "control"]),
            )
        ),
        "scores": pd.DataFrame(
            {
                "customer_id": pd.Series(draw(st.permutations("abcd")), dtype="str"),
                "expected_order_value": [draw(st.sampled_from([5.0, 20.0, 100.0])) for _ in "abcd"],
                **{name: [draw(st.sampled_from(words)) for _ in "abcd"] for name, words in WORDS.items()},
            }
        ),
        "rules": {
            "max_contacts": draw(st.integers(1, 3)),
            "window_days": draw(st.integers(1, 30)),
            "rest_days": draw(st.integers(0, 20)),
            "require_consent": draw(st.sampled_from([True, False, "known"])),
            "quiet_weekdays": draw(st.sampled_from([[], [], [], ["fri"]])),
        },
        "policy": {
            "min_orders": draw(st.integers(0, 3)),
            "rest_days": draw(st.integers(0, 400)),
            "top_customers": draw(st.integers(0, 3)),
        },
    }


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    yield connect(Engine(threads=1))


def table(content: list[dict[str, Any]] | None, schema: pa.Schema) -> Any:
    return None if content is None else ibis.memtable(pa.Table.from_pylist(content, schema))


def facts_of(engine: Any, shop: dict[str, Any], settings: Decisions) -> pd.DataFrame:
    signals = Signals(
        table(shop["customers"], CUSTOMERS),
        table(shop["interactions"], INTERACTIONS),
        table(shop["contacts"], CONTACTS),
    )
    facts = contact_facts(
        table(shop["orders"], ORDERS),
        signals,
        as_of=TODAY,
        window_days=settings.contact_rules.window_days,
        top_customers=settings.discount_policy.top_customers,
        discounts=["off"],
    )
    return engine.to_pandas(facts)


def closed_in(engine: Any, shop: dict[str, Any]) -> tuple[np.ndarray, Decisions]:
    settings = decisions(contact_rules=shop["rules"], discount_policy=shop["policy"])
    return barred(shop["scores"], facts_of(engine, shop, settings), settings, MARGIN, TODAY), settings


def expected(  # noqa: PLR0911, PLR0912 - one return per rule, in their order
    shop: dict[str, Any], score: dict[str, Any], action: dict[str, Any]
) -> Bar:
    """The rules as docs/decisions.md tells them, one row at a time."""
    who, rules, policy = score["customer_id"], shop["rules"], shop["policy"]

    def of(name: str) -> list[dict[str, Any]]:
        return [row for row in shop[name] or [] if row["customer_id"] == who]

    def ago(moment: datetime) -> int:
        return (TODAY - moment.date()).days

    known = [r for r in of("customers") if r["known_from"] is None or ago(r["known_from"]) >= 0]
    known.sort(key=lambda r: r["known_from"] or datetime.min)
    now = known[-1] if known else {"consent_email": None, "consent_phone": None}
    channels = ("consent_email", "consent_phone")
    withdrawn = any(now[c] is False and any(r[c] for r in known) for c in channels)
    if withdrawn or (any(now[c] is False for c in channels) and not any(now[c] for c in channels)):
        return Bar.OPTED_OUT
    consent = now.get(f"consent_{action['channel']}")
    has_column = shop["customers"] is not None and action["channel"] in ("email", "phone")
    must = rules["require_consent"] is True or (rules["require_consent"] == "known" and has_column)
    if consent is False or (must and consent is None):
        return Bar.NO_CONSENT
    is_sales = action.get("purpose") != "service"
    for row in of("interactions"):
        is_open = row["resolved"] is None or ago(row["resolved"]) < 0
        if is_sales and row["kind"] == "complaint" and ago(row["ts"]) >= 0 and is_open:
            return Bar.OPEN_COMPLAINT
    if rules["quiet_weekdays"]:
        return Bar.QUIET_TIME
    made = [r for r in of("contacts") if r["group"] == "treated" and ago(r["ts"]) >= 0]
    if any(ago(r["ts"]) < rules["rest_days"] for r in made):
        return Bar.RESTING
    if sum(ago(r["ts"]) < rules["window_days"] for r in made) >= rules["max_contacts"]:
        return Bar.FREQUENCY_CAP
    if is_sales and score["lifecycle_type"] == "dissatisfied":
        return Bar.NOT_FOR_THEM
    audience = dict(action.get("for", {}))
    if audience.pop("top_of_year", False) and who not in best_of_year(shop):
        return Bar.NOT_FOR_THEM
    if any(score[name] not in words for name, words in audience.items()):
        return Bar.NOT_FOR_THEM
    if action.get("offer") == "discount":
        orders = [r for r in of("orders") if r["is_purchase"] and ago(r["ts"]) >= 0]
        if len(orders) < policy["min_orders"] or max(ago(r["ts"]) for r in orders) < 180:
            return Bar.NOT_SELECTED
        if any(r["action"] == "off" and ago(r["ts"]) < policy["rest_days"] for r in made):
            return Bar.DISCOUNT_LATELY
    if is_sales and "offer" in action and action["incentive_cost"] > MARGIN * score["expected_order_value"]:
        return Bar.BELOW_MARGIN
    return Bar.OPEN


def best_of_year(shop: dict[str, Any]) -> list[str]:
    spent = dict.fromkeys("abcd", 0.0)
    for row in shop["orders"]:
        if 0 <= (TODAY - row["day"]).days < 365:
            spent[row["customer_id"]] += row["amount"]
    best = sorted((who for who in spent if spent[who] > 0), key=lambda who: (-spent[who], who))
    return best[: shop["policy"]["top_customers"]]


@hypothesis_settings(max_examples=40, deadline=None)
@given(shop=shops())
def test_every_bar_is_the_one_that_the_rows_give(engine: Any, shop: dict[str, Any]) -> None:
    closed, _ = closed_in(engine, shop)
    found = [[Bar(code).name for code in row] for row in closed]
    scores = shop["scores"].to_dict("records")
    assert found == [[expected(shop, score, action).name for action in ACTIONS.values()] for score in scores]


@hypothesis_settings(max_examples=8, deadline=None)
@given(shop=shops(), seed=st.integers(0, 9))
def test_one_opt_out_ends_all(engine: Any, shop: dict[str, Any], seed: int) -> None:
    told = [row for row in shop["customers"] or [] if row["customer_id"] != "a"]
    agreed = {
        "customer_id": "a",
        "known_from": datetime(2024, 1, 1),
        "consent_email": True,
        "consent_phone": True,
    }
    refused = {**agreed, "known_from": datetime(2024, 6, 28, 9), "consent_phone": False}
    shop = shop | {"customers": [*told, agreed, refused]}
    closed, settings = closed_in(engine, shop)
    scores = shop["scores"].assign(churn_probability=0.9, clv=1e6, p_alive=1.0, horizon_days=90)
    assert (closed[(scores["customer_id"] == "a").to_numpy()] == Bar.OPTED_OUT).all()
    mixed = np.random.default_rng(seed).permutation(len(scores))
    plan = priority_plan(scores.iloc[mixed], settings, untold, closed[mixed])
    treated = set(plan.contacts.loc[plan.contacts["group"] == "treated", "customer_id"])
    assert treated == set(scores.loc[(closed == Bar.OPEN).any(axis=1), "customer_id"])
    assert "a" not in treated


def test_rules_do_not_depend_on_the_order_of_rows(engine: Any) -> None:
    shop = next(iter_examples())
    closed, settings = closed_in(engine, shop)
    facts = facts_of(engine, shop, settings)
    turned = barred(shop["scores"], facts.iloc[::-1], settings, MARGIN, TODAY)
    backwards = barred(shop["scores"].iloc[::-1], facts, settings, MARGIN, TODAY)
    assert (turned == closed).all()
    assert (backwards[::-1] == closed).all()


def iter_examples() -> Iterator[dict[str, Any]]:
    """A shop where customers differ in everything that rules ask."""
    yield {
        "orders": [
            {"customer_id": c, "day": date(2024, 1, 1 + k), "is_purchase": True, "amount": 10.0 * k}
            for k, c in enumerate("abcda")
        ],
        "customers": [
            {"customer_id": c, "known_from": None, "consent_email": flag, "consent_phone": True}
            for c, flag in zip("abc", (True, False, None), strict=True)
        ],
        "interactions": [{"customer_id": "a", "ts": datetime(2024, 6, 1), "kind": "complaint"}],
        "contacts": [{"customer_id": "d", "ts": datetime(2024, 6, 20), "action": "off", "group": "treated"}],
        "scores": pd.DataFrame(
            {"customer_id": list("abcd"), "expected_order_value": 50.0}
            | {name: words[:4] if len(words) > 3 else [*words, words[0]] for name, words in WORDS.items()}
        ),
        "rules": {},
        "policy": {},
    }


def test_a_scored_customer_without_facts_is_a_finding(engine: Any) -> None:
    shop = next(iter_examples())
    _, settings = closed_in(engine, shop)
    facts = facts_of(engine, shop, settings)
    with pytest.raises(DataError, match=r"^orders: 1 scored customers have no order: run the stages"):
        barred(shop["scores"], facts[facts["customer_id"] != "b"], settings, MARGIN, TODAY)
    with pytest.raises(DataError, match="two rows"):
        barred(shop["scores"], pd.concat([facts, facts]), settings, MARGIN, TODAY)


def test_discounts_are_for_those_known_to_meet_every_criterion(engine: Any) -> None:
    """a pays on time and referred two; b pays late; c referred too few; of d nothing is known."""
    shop = next(iter_examples())
    told = {"paid_late_share": [0.1, 0.2, 0.0, np.nan], "referrals": [2.0, 5.0, 1.0, np.nan]}
    before = decisions(discount_policy={"min_orders": 0, "min_tenure_days": 0})
    shop |= {"customers": None, "interactions": None, "contacts": None}
    facts = facts_of(engine, shop, before).sort_values("customer_id").assign(**told)
    scores, off = shop["scores"].assign(lifecycle_type="active"), list(ACTIONS).index("off")

    def selected(**criteria: Any) -> list[str]:
        policy = before.discount_policy.model_copy(update=criteria)
        settings = before.model_copy(update={"discount_policy": policy})
        closed = barred(scores, facts, settings, MARGIN, TODAY)
        assert ({*closed[:, off]} | {Bar.NOT_SELECTED}) <= {Bar.OPEN, Bar.NOT_SELECTED}
        assert (np.delete(closed, off, axis=1) == np.delete(free, off, axis=1)).all()
        return list(scores.loc[closed[:, off] == Bar.OPEN, "customer_id"])

    free = barred(scores, facts, before, MARGIN, TODAY)
    assert selected() == list("abcd")
    assert selected(largest_late_share=0.1) == ["a", "c"]
    assert selected(min_referrals=2) == ["a", "b"]
    assert selected(largest_late_share=0.1, min_referrals=2) == ["a"]
    assert selected(largest_late_share=1.0, min_referrals=0) == ["a", "b", "c"]


def test_quiet_periods_include_their_ends() -> None:
    rules = decisions(contact_rules={"quiet_dates": [["2024-12-24", "2024-12-26"]]}).contact_rules
    days = [date(2024, 12, 23 + k) for k in range(5)]
    assert [is_quiet(day, rules) for day in days] == [False, True, True, True, False]


def test_channels_without_consents_are_named() -> None:
    assert without_consent_column({"email"}, decisions()) == ["phone", "sms"]


def everybody() -> pd.DataFrame:
    """One customer of every kind there can be."""
    kinds = pd.MultiIndex.from_product(WORDS.values(), names=WORDS).to_frame(index=False)
    return kinds.assign(churn_probability=0.5, clv=100.0, p_alive=1.0)


def test_the_shipped_playbook_has_something_for_every_kind_of_customer() -> None:
    """D11; who buys in no style and is neither new nor silent is thanked."""
    kinds = everybody()
    is_open = not_for_them(kinds, decisions(PLAYBOOK)) == Bar.OPEN
    assert is_open.any(axis=1).all()
    named = [name for name in PLAYBOOK if name not in ("personal_call", "top_customer_reward")]
    mine = is_open[:, [list(PLAYBOOK).index(name) for name in named]]
    assert mine.any(axis=1).all()
    service = np.array([contact.purpose == "service" for contact in PLAYBOOK.values()])
    unhappy = (kinds["lifecycle_type"] == "dissatisfied").to_numpy()
    assert (is_open[unhappy] == service).all()
    assert not is_open[~unhappy][:, service].any()


def test_loyal_customers_are_given_no_discount() -> None:
    """D11: early access and thanks do for them."""
    loyal = everybody().query("buying_style == 'loyal'")
    off = [contact.offer == "discount" for contact in PLAYBOOK.values()]
    assert any(off)
    assert (not_for_them(loyal, decisions(PLAYBOOK))[:, off] == Bar.NOT_FOR_THEM).all()


def test_shipped_actions_say_where_their_save_rate_comes_from() -> None:
    assert all(len(contact.source) > 20 for contact in PLAYBOOK.values())


def test_the_best_action_is_one_that_is_for_the_customer() -> None:
    """By hand: the one action is for loyal top customers; nothing is left for the other."""
    settings = decisions({"some": Contact.model_validate(ACTIONS["some"])})
    scores = pd.DataFrame(
        {
            "churn_probability": 0.5,
            "clv": 100.0,
            "p_alive": 1.0,
            "lifecycle_type": "active",
            "buying_style": ["loyal", "discount"],
            "risk_label": "high",
            "value_label": "top",
        }
    )
    found = best_actions(scores, settings, not_for_them(scores, settings))["expected_net_benefit"]
    # 0.5·0.1·(100 - 6) - 0.5·6 - 0.1 = 1.6
    assert list(found) == pytest.approx([1.6, 0.0])

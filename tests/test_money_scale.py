"""The currency's unit decides nothing (D20). Authority: the same shop, trained and scored in another unit."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from churnlab.config import Decisions, Params
from churnlab.data.ingestion import ingest
from churnlab.decisions.priority import money_digits, priority_plan
from churnlab.engine import connect, read_parquet
from churnlab.evaluation.backtest import fit_scorer
from churnlab.operations.nightly import Job, score_source

MONEY = [
    "monetary_value",
    "expected_order_value",
    "expected_spend",
    "expected_spend_low",
    "expected_spend_high",
    "clv",
    "clv_low",
    "clv_high",
    "expected_net_benefit",
]
BY_CONTENT = ["model_version", "run_id", "data_version"]
BUDGET = 30.0


class Shop(NamedTuple):
    """Scores and priority list of the small shop in one unit of money; `factor`: units per unit of it."""

    factor: float
    scores: pd.DataFrame
    contacts: pd.DataFrame


def decisions_in(settings: Decisions, factor: float) -> Decisions:
    """Costs, incentives and a tight budget in the unit."""
    actions = {
        name: contact.model_copy(
            update={
                "contact_cost": contact.contact_cost * factor / 10,
                "incentive_cost": contact.incentive_cost * factor / 10,
            }
        )
        for name, contact in settings.actions.items()
    }
    return settings.model_copy(update={"actions": actions, "budget": BUDGET * factor, "max_contacts": 150})


def run(small_log: Any, folder: Path, unit: str) -> Shop:
    """Train at day 400 and score at the end, all in this unit."""
    csv, factor = folder / "log.csv", Decimal(unit)
    amounts = [format((Decimal(str(amount)) * factor), "f") for amount in small_log.frame["amount"]]
    small_log.frame.assign(amount=amounts).to_csv(csv, index=False)
    params: Params = small_log.params.model_copy(
        update={
            "data": small_log.params.data.model_copy(update={"path": str(csv)}),
            "decisions": decisions_in(small_log.params.decisions, float(factor)),
        }
    )
    con = connect(params.engine)
    orders = con.create_table("orders", ingest(con, params.data).orders.to_pyarrow())
    scorer, _ = fit_scorer(orders, small_log.TRAINED_ON, 60, params, "small")
    scorer.save(folder / "model")
    scores = read_parquet(score_source(Job(params, None, str(folder / "model")), folder / "out"))
    return Shop(float(factor), scores, priority_plan(scores, params.decisions).contacts)


@pytest.fixture(scope="module")
def shop(small_log: Any, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return run(small_log, tmp_path_factory.mktemp("one"), "1")


@pytest.fixture(scope="module", params=["1e6", "1e-3"])
def other(request: pytest.FixtureRequest, small_log: Any, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return run(small_log, tmp_path_factory.mktemp("other"), request.param)


def test_what_is_no_money_is_the_same(shop, other):
    fixed = [name for name in shop.scores if name not in [*MONEY, *BY_CONTENT, "reasons"]]
    pd.testing.assert_frame_equal(other.scores[fixed], shop.scores[fixed], check_exact=True)
    for ours, theirs in zip(shop.scores["reasons"], other.scores["reasons"], strict=True):
        assert [re.sub(r": [0-9.,]+", ":", told) for told in theirs] == [
            re.sub(r": [0-9.,]+", ":", told) for told in ours
        ]


@pytest.mark.parametrize("name", MONEY)
def test_money_is_multiplied_by_exactly_the_factor(name, shop, other):
    found, expected = other.scores[name].to_numpy(), shop.scores[name].to_numpy() * other.factor
    assert np.abs(expected).max() > 0
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9 * np.abs(expected).max())


def test_the_same_customers_are_contacted_in_the_same_order(shop, other):
    money = ["expected_net_benefit", "value_at_stake", "cost", "clv"]
    fixed = [name for name in shop.contacts if name not in [*money, "why"]]
    assert 20 < len(shop.contacts) < len(shop.scores)
    pd.testing.assert_frame_equal(other.contacts[fixed], shop.contacts[fixed], check_exact=True)
    for name in money:
        expected = shop.contacts[name].to_numpy() * other.factor
        assert other.contacts[name].to_numpy() == pytest.approx(expected, rel=1e-7)


def test_the_budget_binds_and_is_kept(shop, other):
    for found in (shop, other):
        spent = found.contacts.loc[found.contacts["group"] == "treated", "cost"].sum() / found.factor
        assert 0.9 * BUDGET < spent <= BUDGET * (1 + 1e-9)
    assert len(set(shop.contacts["action"])) > 1


@pytest.mark.parametrize(
    ("cost", "budget", "digits"),
    [(4.0, 1.0, 6), (4e6, 1.0, 0), (4e-3, 1.0, 9), (1.0, 9e9, 6), (0.0, 5e8, -2), (0.0, 0.0, 6)],
)
def test_digits_go_with_the_dearest_contact(small_log, cost, budget, digits):
    contact = small_log.params.decisions.actions["thank_you"]
    actions = {"one": contact.model_copy(update={"contact_cost": cost, "incentive_cost": cost / 2})}
    settings = small_log.params.decisions.model_copy(update={"actions": actions, "budget": budget})
    assert money_digits(settings) == digits

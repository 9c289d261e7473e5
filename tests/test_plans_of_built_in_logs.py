"""The list on both built-in logs keeps to every rule. Authority: a reader of the files, customer by customer.

It knows the playbook and the parameters as YAML and the orders as rows, and nothing of churnlab's decisions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd
import pytest
import yaml

from _built_in import FILES, ROOT, quick_scorer, shipped
from churnlab.engine import connect
from churnlab.operations.scoring import Provenance, Terms, write_scores
from churnlab.pipelines import ingest, prioritise
from churnlab.pipelines._files import ingested, read_json
from churnlab.pipelines._run import Workspace

LIMITS: dict[str, Any] = {
    "budget": 90.0,
    "max_contacts": 160,
    "channel_capacity": {"phone": 9},
    "segment_quotas": [
        {"column": "lifecycle_type", "value": "inactive", "least": 6},
        {"column": "value_label", "value": "top", "most": 60},
    ],
    "control_share": 0.2,
}
SURE = 1e-6


@dataclass
class Shop:
    """What the stages wrote, and what a reader knows of the shop.

    Attributes
    ----------
    actions
        As the playbook has them.
    facts
        customer_id to orders, tenure_days and whether they are among the top customers of the year.
    """

    plan: dict[str, Any]
    listed: list[dict[str, Any]]
    verdicts: list[dict[str, Any]]
    messages: list[str]
    scores: dict[str, dict[str, Any]]
    facts: dict[str, dict[str, Any]]
    actions: dict[str, dict[str, Any]]
    policy: dict[str, Any]
    margin: float


@pytest.fixture(scope="module", params=FILES)
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp(request.param)
    params = shipped(request.param).model_copy(update={"workspace": str(folder)})
    decisions = type(params.decisions).model_validate(
        params.decisions.model_dump(mode="json", by_alias=True) | LIMITS
    )
    params = params.model_copy(update={"decisions": decisions})
    work = Workspace.of(params)
    ingest.run(params)
    orders = connect(params.engine).read_parquet(work.orders)
    as_of = ingested(work).as_of
    scorer = quick_scorer(orders, params, as_of)
    terms = Terms(as_of, params.decisions, Provenance("model", "run", "data"))
    write_scores(orders, scorer, terms, work.scores, bucket_customers=10_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prioritise, "track", lambda *_: None)
        patch.setattr(prioritise, "write_profit", lambda *_: {})
        prioritise.run(params)
    yield read(work, request.param, as_of)


def read(work: Workspace, name: str, as_of: date) -> Shop:
    settings = yaml.safe_load((ROOT / FILES[name]).read_text(encoding="utf-8"))
    playbook = yaml.safe_load((ROOT / settings["decisions"]["actions"]).read_text(encoding="utf-8"))
    scores = pd.read_parquet(work.scores).to_dict("records")
    return Shop(
        plan=read_json(work.plan_summary),
        listed=pd.read_parquet(work.priority_list).to_dict("records"),
        verdicts=pd.read_parquet(work.verdicts).to_dict("records"),
        messages=work.messages.read_text(encoding="utf-8").splitlines(),
        scores={row["customer_id"]: row for row in scores},
        facts=facts_of(pd.read_parquet(work.orders), as_of, settings["decisions"]["discount_policy"]),
        actions=playbook["actions"],
        policy=settings["decisions"]["discount_policy"],
        margin=settings["clv"]["margin"],
    )


def facts_of(orders: pd.DataFrame, as_of: date, policy: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Order by order; of equal revenue the first in the alphabet is the better customer."""
    facts: dict[str, dict[str, Any]] = {}
    for row in orders.itertuples(index=False):
        known = facts.setdefault(row.customer_id, {"orders": 0, "tenure_days": 0, "revenue": 0.0})
        age = (as_of - row.day).days
        if row.is_purchase:
            known["orders"] += 1
            known["tenure_days"] = max(known["tenure_days"], age)
        if age < 365:
            known["revenue"] += row.amount
    best = sorted(facts, key=lambda name: (-round(facts[name]["revenue"], 6), name))
    best = best[: policy["top_customers"]]
    for name, known in facts.items():
        known["top_of_year"] = name in best and known["revenue"] > 0
    return facts


def test_the_limits_are_kept(shop: Shop) -> None:
    treated = [row for row in shop.listed if row["group"] == "treated"]
    of = [shop.scores[row["customer_id"]] for row in treated]
    assert 0 < len(treated) <= LIMITS["max_contacts"]
    assert sum(cost_of(row, shop) for row in treated) <= LIMITS["budget"] * (1 + SURE)
    assert sum(row["channel"] == "phone" for row in treated) <= LIMITS["channel_capacity"]["phone"]
    assert sum(score["value_label"] == "top" for score in of) <= 60
    inactive = sum(score["lifecycle_type"] == "inactive" for score in of)
    missed = shop.plan.get("missed", {}).get("least.segment_quotas.lifecycle_type=inactive", 0)
    assert inactive + missed >= 6
    assert shop.plan["gap"] <= 0.005


def cost_of(row: dict[str, Any], shop: Shop) -> float:
    p, action = shop.scores[row["customer_id"]]["churn_probability"], shop.actions[row["action"]]
    return action["contact_cost"] + action["incentive_cost"] * (p * action["save_rate"] + 1 - p)


def test_every_contact_is_worth_it_and_for_the_customer(shop: Shop) -> None:
    for row in shop.listed:
        score, facts = shop.scores[row["customer_id"]], shop.facts[row["customer_id"]]
        action = shop.actions[row["action"]]
        assert row["channel"] == action["channel"]
        assert row["expected_net_benefit"] == pytest.approx(worth_of(score, action), abs=1e-5)
        assert row["expected_net_benefit"] > 0
        for column, words in action.get("for", {}).items():
            assert facts[column] if column == "top_of_year" else score[column] in words, row
        if action.get("offer") == "discount":
            assert facts["orders"] >= shop.policy["min_orders"]
            assert facts["tenure_days"] >= shop.policy["min_tenure_days"]
        if action.get("offer", "none") != "none" and action.get("purpose", "sales") == "sales":
            assert action["incentive_cost"] <= shop.margin * score["expected_order_value"]


def worth_of(score: dict[str, Any], action: dict[str, Any]) -> float:
    p, alive = score["churn_probability"], score["p_alive"]
    stake = score["clv"] / alive * max(p + alive - 1, 0) / p
    d = action["incentive_cost"]
    return p * action["save_rate"] * (stake - d) - (1 - p) * d - action["contact_cost"]


def test_everybody_has_one_verdict_that_agrees_with_the_list(shop: Shop) -> None:
    listed = {row["customer_id"]: row for row in shop.listed}
    assert len(listed) == len(shop.listed)
    assert sorted(row["customer_id"] for row in shop.verdicts) == sorted(shop.scores)
    for row in shop.verdicts:
        on_list = listed.get(row["customer_id"])
        assert row["decision"] == ("left_out" if on_list is None else on_list["group"])
        assert on_list is None or on_list["action"] == row["action"]
        assert row["why"]
        if row["reason"] == "not_worth_it":
            assert row["expected_net_benefit"] <= 0
    left_out = Counter(row["reason"] for row in shop.verdicts if row["decision"] == "left_out")
    assert dict(left_out) == shop.plan["left_out"]


def test_some_are_held_out_and_only_the_treated_are_written_to(shop: Shop) -> None:
    groups = Counter(row["group"] for row in shop.listed)
    assert set(groups) == {"treated", "control"}
    treated = [row for row in shop.listed if row["group"] == "treated"]
    told = [row["customer_id"] for row in treated if "template" in shop.actions[row["action"]]]
    assert [yaml.safe_load(line)["customer_id"] for line in shop.messages] == told

"""Who signed up and never bought, from their table to the webhook. Authority: the same shop without them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from _hook import SECRET, listening
from churnlab.config import read_params
from churnlab.decisions.holdout import draws
from churnlab.engine import write_parquet
from churnlab.pipelines import ingest, prioritise
from churnlab.pipelines._files import read_json
from churnlab.pipelines._run import Workspace

ACTIONS = ("personal_call", "thank_you", "membership_offer")
SINCE = {"early": 9, "late": 0, "x1": 2, "x2": 2, "x3": 2, "x4": -1}  # days ago


@pytest.fixture(scope="module")
def newcomers(small_log: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the small shop (`without`), and the same (`shop`) with six who signed up only.

    early agreed to mails and reads Greek, late refuses mails, x4 signs up tomorrow.
    """
    folder = tmp_path_factory.mktemp("newcomers")
    rows = [(name, "", "yes", "") for name in small_log.frame["customer_id"].unique()]
    for name, days in SINCE.items():
        agrees, language = "no" if name == "late" else "yes", "el" if name == "early" else ""
        rows.append((name, str(small_log.LAST_DAY - timedelta(days=days)), agrees, language))
    names = ["customer_id", "joined", "mail", "speaks"]
    pd.DataFrame(rows, columns=names).to_csv(folder / "customers.csv", index=False)
    columns = {"signup": "joined", "language": "speaks", "consent": {"email": "mail"}}
    table = {"path": str(folder / "customers.csv"), "columns": columns}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prioritise, "track", lambda *_: None)
        patch.setattr(prioritise, "write_profit", lambda *_: {})
        for name, customers in (("without", None), ("shop", table)):
            settings = settings_of(small_log.settings, folder / name, customers)
            (folder / f"{name}.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
            params = read_params(folder / f"{name}.yaml")
            ingest.run(params)
            write_parquet(scores(small_log), Workspace.of(params).scores)
            prioritise.run(params)
        yield folder


def scores(small_log: Any) -> pd.DataFrame:
    """Customers of all risks and values, written by hand."""
    names = sorted(small_log.frame["customer_id"].unique())
    words = {"risk_label": "high", "value_label": "top", "lifecycle_type": "active", "buying_style": "loyal"}
    days = {"days_since_last_order": 10, "expected_next_order_date": small_log.LAST_DAY, "horizon_days": 60}
    return pd.DataFrame(
        {
            "customer_id": names,
            "as_of": small_log.LAST_DAY,
            "churn_probability": np.linspace(0.2, 0.9, len(names)),
            "p_alive": 0.95,
            "clv": np.linspace(10.0, 500.0, len(names)),
            "expected_order_value": 30.0,
            "reasons": [["Silent for 10 days, which raises the risk"]] * len(names),
        }
        | words
        | days
    )


def settings_of(settings: dict[str, Any], workspace: Path, customers: Any) -> dict[str, Any]:
    actions = {name: settings["decisions"]["actions"][name] for name in ACTIONS}
    return settings | {
        "workspace": str(workspace),
        "data": settings["data"] | {"customers": customers},
        "decisions": settings["decisions"] | {"actions": actions, "budget": 1e4},
    }


def messages_of(workspace: Path) -> list[dict[str, Any]]:
    lines = (workspace / "outputs" / "messages.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_who_only_signed_up_is_planned_for_beside_the_list(newcomers: Path) -> None:
    outputs, without = newcomers / "shop" / "outputs", newcomers / "without" / "outputs"
    for name in ("priority_list.parquet", "priority_list.csv", "verdicts.parquet"):
        assert (outputs / name).read_bytes() == (without / name).read_bytes()
    assert pd.read_parquet(without / "potential.parquet").empty
    made = pd.read_parquet(outputs / "potential.parquet").set_index("customer_id")
    assert list(made.index) == ["late", "x1", "x2", "x3", "early"]
    is_held = draws(pd.Series(made.index), "churnlab") < 0.1
    decided = dict(zip(made.index, np.where(is_held, "control", "treated"), strict=True))
    assert dict(made["decision"]) == decided | {"late": "left_out"}
    assert made.loc["late", "reason"] == "opted_out"
    assert set(made["action"]) == {"membership_offer"}
    plan = read_json(newcomers / "shop" / "reports" / "plan.json")["potential"]
    assert (plan["people"], plan["left_out"]) == (5, {"opted_out": 1})
    old, new = messages_of(newcomers / "without"), messages_of(newcomers / "shop")
    treated = [name for name in made.index if decided[name] == "treated" and name != "late"]
    assert new[: len(old)] == old
    assert [message["customer_id"] for message in new[len(old) :]] == treated
    assert [message["language"] for message in new[len(old) :]] == [*["en"] * (len(treated) - 1), "el"]


def test_why_of_who_only_signed_up(newcomers: Path, churnlab: Any) -> None:
    params = ("--params", newcomers / "shop.yaml")
    code, said, _ = churnlab("why", "early", *params)
    assert code == 0
    assert said.splitlines()[1].startswith("Treated: membership_offer by email. Known since 2023-05-")
    assert "Not contacted. The customer asked not to be" in churnlab("why", "late", *params)[1]
    assert churnlab("why", "x4", *params)[0] == 2


def test_messages_are_sent_once(newcomers: Path, churnlab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("send", "--params", newcomers / "shop.yaml")
    messages = messages_of(newcomers / "shop")
    n = len(messages)
    code, _, err = churnlab(*command)
    assert (code, err.count("\n")) == (2, 1)
    assert "days old, more than --max-age-days 7: make a new one" in err
    code, said, _ = churnlab(*command, "--dry-run")
    assert code == 0
    assert f": {n:,}, of which {n:,} are to be sent\nIt would be refused: " in said
    command = (*command, "--max-age-days", 100_000)
    assert churnlab(*command)[2].startswith("CHURNLAB_WEBHOOK_URL: is not set")
    with listening() as hook:
        monkeypatch.setenv("CHURNLAB_WEBHOOK_URL", hook.url)
        first, again = churnlab(*command), churnlab(*command)
    assert [row["customer_id"] for row in hook.rows] == [message["customer_id"] for message in messages]
    assert f"Accepted: {n:,}\n" in first[1]
    assert "Accepted: 0\n" in again[1]
    assert SECRET not in "".join(map(str, (*first, *again)))


def test_messages_of_another_list_are_not_sent(newcomers: Path, churnlab: Any) -> None:
    """The last test here, for it spoils the files."""
    outputs, command = newcomers / "shop" / "outputs", ("send", "--params", newcomers / "shop.yaml")
    message = {"customer_id": "late", "action": "membership_offer", "channel": "email", "text": ""}
    (outputs / "messages.jsonl").write_text(json.dumps(message), encoding="utf-8")
    assert "is not of the list beside it" in churnlab(*command)[2]
    scores = pd.read_parquet(outputs / "scores.parquet")
    scores.assign(churn_probability=0.5).to_parquet(outputs / "scores.parquet")
    assert "is not of the scores beside it" in churnlab(*command)[2]
    (outputs / "messages.jsonl").unlink()
    assert churnlab(*command)[0] == 2

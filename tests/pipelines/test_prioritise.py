"""The list by learned save rates. Authority: the list by the same rates, assumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from churnlab.config import Audience
from churnlab.decisions.save_rates import SaveRate, with_save_rates
from churnlab.operations.nightly import Job, score_source
from churnlab.operations.save_rates_file import write_save_rates
from churnlab.pipelines import prioritise
from churnlab.pipelines._files import read_json, write_json
from churnlab.pipelines._run import Workspace

LEARNED = {"personal_call": 0.5, "thank_you": 0.01}


@pytest.fixture(scope="module")
def scored(small_log: Any, small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return score_source(Job(small_log.params, None, str(small_model)), tmp_path_factory.mktemp("scored"))


@pytest.fixture
def listed(small_log: Any, small_orders: Any, scored: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the stage without MLflow and without a backtest; gives the file of the list and the summary."""
    monkeypatch.setattr(prioritise, "track", lambda *_: None)
    monkeypatch.setattr(prioritise, "write_profit", lambda *_: {})

    def run(folder: Path, customers: pd.DataFrame | None = None, **changes: Any) -> tuple[bytes, Any]:
        decisions = small_log.params.decisions.model_copy(update={"actions": actions_of(small_log)} | changes)
        params = small_log.params.model_copy(update={"workspace": str(folder), "decisions": decisions})
        work = Workspace.of(params)
        for room in ("data", "outputs", "reports"):
            (folder / room).mkdir(parents=True)
        work.scores.write_bytes(scored.read_bytes())
        work.backtest.write_bytes(scored.read_bytes())  # it is not looked at
        small_orders.to_parquet(work.orders)
        found = {"first_day": str(small_log.FIRST_DAY), "as_of": str(small_log.LAST_DAY), "data_version": "v"}
        write_json(found, work.ingest_summary)
        if customers is not None:
            customers.to_parquet(work.customers)
        prioritise.run(params)
        return work.priority_list.read_bytes(), read_json(work.plan_summary)

    return run


def actions_of(small_log: Any) -> dict[str, Any]:
    """Three actions for everybody."""
    shipped = small_log.params.decisions.actions
    names = ("personal_call", "thank_you", "win_back_offer")
    return {name: shipped[name].model_copy(update={"audience": Audience()}) for name in names}


def test_learned_rates_make_the_list_that_they_would_make_if_assumed(
    small_log: Any, listed: Any, tmp_path: Path, capsys: Any
) -> None:
    file = tmp_path / "effects.json"
    rates = {name: SaveRate(0.1, rate, 0.1, rate, 0.1, 9, 9) for name, rate in LEARNED.items()}
    write_save_rates(rates, [], file)
    settings = small_log.params.decisions.model_copy(update={"actions": actions_of(small_log)})
    actions = with_save_rates(settings, LEARNED).actions
    assumed = listed(tmp_path / "a")
    quiet = capsys.readouterr().out
    by_hand = listed(tmp_path / "b", actions=actions)
    learned = listed(tmp_path / "c", learned_effects=str(file))
    assert learned[0] == by_hand[0] != assumed[0]
    assert learned[1] == {**by_hand[1], "learned_save_rates": LEARNED}
    assert "learned_save_rates" not in assumed[1]
    assert quiet == ""
    said = "personal_call 50.0% learned, thank_you 1.0% learned, win_back_offer 8.0% assumed"
    assert capsys.readouterr().out == f"Save rates: {said}\n"


def test_who_refused_is_not_on_the_list_and_the_reason_is_kept(listed: Any, tmp_path: Path) -> None:
    """All customers agree to calls alone, but for those whose number is odd, who refuse everything."""
    _, plan = listed(tmp_path / "free")
    assert plan["consent_not_known"] == ["email", "phone"]
    everybody = pd.read_parquet(tmp_path / "free" / "outputs" / "scores.parquet")["customer_id"]
    refuses = everybody.str[-1].isin(list("13579"))
    nothing = pd.Series(pd.NaT, index=everybody.index, dtype="datetime64[us]")
    customers = pd.DataFrame(
        {
            "customer_id": everybody,
            "known_from": nothing,
            "signup": nothing,
            "is_business": pd.Series(None, index=everybody.index, dtype="boolean"),
            "referrer": pd.Series(None, index=everybody.index, dtype="str"),
            "language": ["el", *["fa"] * (len(everybody) - 1)],
            "consent_email": False,
            "consent_phone": ~refuses,
        }
    )
    _, plan = listed(tmp_path / "asked", customers)
    assert "consent_not_known" not in plan
    outputs = tmp_path / "asked" / "outputs"
    found, free = (
        pd.read_parquet(folder / "priority_list.parquet")
        for folder in (outputs, tmp_path / "free" / "outputs")
    )
    assert free["customer_id"].isin(everybody[refuses]).any()
    assert len(found)
    assert set(found["channel"]) == {"phone"}
    assert not found["customer_id"].isin(everybody[refuses]).any()
    lines = (outputs / "messages.jsonl").read_text(encoding="utf-8").splitlines()
    sent = {json.loads(line)["customer_id"]: json.loads(line) for line in lines}
    treated = found.loc[found["group"] == "treated", "customer_id"]
    assert list(sent) == list(treated)
    assert {message["channel"] for message in sent.values()} == {"phone"}
    greek = everybody.iloc[0]
    assert {message["language"] for name, message in sent.items() if name != greek} == {"fa"}
    told = pd.read_parquet(outputs / "verdicts.parquet").set_index("customer_id")["reason"]
    assert set(told[everybody[refuses]]) == {"opted_out", "not_worth_it"}
    assert plan["left_out"]["opted_out"] == (told == "opted_out").sum()

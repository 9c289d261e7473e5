"""The list by learned save rates. Authority: the list by the same rates, assumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from _hook import SECRET, listening
from churnlab.config import Audience
from churnlab.decisions.holdout import draws
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


def customers_table(customer_id: pd.Series) -> pd.DataFrame:
    """As ingest writes it where only ids are known."""
    nothing = pd.Series(pd.NaT, index=customer_id.index, dtype="datetime64[us]")
    return pd.DataFrame(
        {
            "customer_id": customer_id,
            "known_from": nothing,
            "signup": nothing,
            "is_business": pd.Series(None, index=customer_id.index, dtype="boolean"),
            "referrer": pd.Series(None, index=customer_id.index, dtype="str"),
            "language": pd.Series(None, index=customer_id.index, dtype="str"),
        }
    )


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
    assert pd.read_parquet(tmp_path / "a" / "outputs" / "potential.parquet").empty
    assert "potential" not in assumed[1]
    said = "personal_call 50.0% learned, thank_you 1.0% learned, win_back_offer 8.0% assumed"
    assert capsys.readouterr().out == f"Save rates: {said}\n"


def test_who_refused_is_not_on_the_list_and_the_reason_is_kept(listed: Any, tmp_path: Path) -> None:
    """All customers agree to calls alone, but for those whose number is odd, who refuse everything."""
    _, plan = listed(tmp_path / "free")
    assert plan["consent_not_known"] == ["email", "phone"]
    everybody = pd.read_parquet(tmp_path / "free" / "outputs" / "scores.parquet")["customer_id"]
    refuses = everybody.str[-1].isin(list("13579"))
    languages = ["el", *["fa"] * (len(everybody) - 1)]
    customers = customers_table(everybody).assign(
        language=languages, consent_email=False, consent_phone=~refuses
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


@pytest.fixture
def newcomers(small_log: Any, listed: Any, scored: Path, tmp_path: Path) -> Path:
    """The small shop and six who signed up and never bought, one of them tomorrow; its file of parameters.

    early agreed to mails alone, and late refuses them; of the others nothing is told.
    """
    shipped = small_log.params.decisions.actions
    names = ("personal_call", "thank_you", "membership_offer")
    actions = {name: shipped[name] for name in names}
    everybody = pd.read_parquet(scored)["customer_id"]
    listed(tmp_path / "without", actions=actions)
    those = pd.Series(["early", "late", "x1", "x2", "x3", "x4"])
    day = pd.Timestamp(small_log.LAST_DAY)
    signup = [day - pd.Timedelta(days=9), day, *[day - pd.Timedelta(days=2)] * 3, day + pd.Timedelta(days=1)]
    customers = customers_table(pd.concat([everybody, those], ignore_index=True))
    customers.loc[customers.index[-6:], "signup"] = signup
    customers["consent_email"] = [*[True] * (len(everybody) + 1), False, *[True] * 4]
    customers.loc[customers.index[-6], "language"] = "el"
    listed(tmp_path / "shop", customers, actions=actions)
    file = tmp_path / "params.yaml"
    file.write_text(
        yaml.safe_dump(small_log.settings | {"workspace": str(tmp_path / "shop")}), encoding="utf-8"
    )
    return file


def test_who_only_signed_up_is_planned_for_and_sent_to_beside_the_list(
    newcomers: Path, churnlab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs, without = tmp_path / "shop" / "outputs", tmp_path / "without" / "outputs"
    for name in ("priority_list.parquet", "priority_list.csv", "verdicts.parquet"):
        assert (outputs / name).read_bytes() == (without / name).read_bytes()
    made = pd.read_parquet(outputs / "potential.parquet").set_index("customer_id")
    assert list(made.index) == ["late", "x1", "x2", "x3", "early"]
    is_held = dict(zip(made.index, draws(pd.Series(made.index), "churnlab") < 0.1, strict=True))
    decided = {name: "control" if held else "treated" for name, held in is_held.items()}
    assert dict(made["decision"]) == decided | {"late": "left_out"}
    assert made.loc["late", "reason"] == "opted_out"
    assert set(made["action"]) == {"membership_offer"}
    plan = read_json(tmp_path / "shop" / "reports" / "plan.json")
    assert plan["potential"]["people"] == 5
    old = (without / "messages.jsonl").read_text(encoding="utf-8")
    text = (outputs / "messages.jsonl").read_text(encoding="utf-8")
    assert text.startswith(old)
    added = [json.loads(line) for line in text.removeprefix(old).splitlines()]
    assert [m["customer_id"] for m in added] == [name for name, what in decided.items() if what == "treated"][
        1:
    ]
    assert added[-1]["language"] == "el"
    code, said, _ = churnlab("why", "early", "--params", newcomers)
    assert code == 0
    assert said.splitlines()[1].startswith("Treated: membership_offer by email. Known since 2023-05-")
    assert "Not contacted." in churnlab("why", "late", "--params", newcomers)[1]
    assert churnlab("why", "x4", "--params", newcomers)[0] == 2

    n = len(text.splitlines())
    code, _, err = churnlab("send", "--params", newcomers)
    assert (code, err.count("\n")) == (2, 1)
    assert "days old, more than --max-age-days 7: make a new one" in err
    code, said, _ = churnlab("send", "--params", newcomers, "--dry-run")
    assert code == 0
    assert f": {n:,}, of which {n:,} are to be sent\nIt would be refused: " in said
    command = ("send", "--params", newcomers, "--max-age-days", 100_000)
    assert churnlab(*command)[2].startswith("CHURNLAB_WEBHOOK_URL: is not set")
    with listening() as hook:
        monkeypatch.setenv("CHURNLAB_WEBHOOK_URL", hook.url)
        first, again = churnlab(*command), churnlab(*command)
    assert [json.loads(line)["customer_id"] for line in text.splitlines()] == [
        r["customer_id"] for r in hook.rows
    ]
    assert f"Accepted: {n}" in first[1]
    assert "Accepted: 0" in again[1]
    assert SECRET not in "".join(map(str, (*first, *again)))


def test_messages_of_another_list_are_not_sent(newcomers: Path, churnlab: Any, tmp_path: Path) -> None:
    outputs = tmp_path / "shop" / "outputs"
    message = {"customer_id": "late", "action": "membership_offer", "channel": "email", "text": ""}
    (outputs / "messages.jsonl").write_text(json.dumps(message), encoding="utf-8")
    assert "is not of the list beside it" in churnlab("send", "--params", newcomers)[2]
    scores = pd.read_parquet(outputs / "scores.parquet")
    scores.assign(churn_probability=0.5).to_parquet(outputs / "scores.parquet")
    assert "is not of the scores beside it" in churnlab("send", "--params", newcomers)[2]
    (outputs / "messages.jsonl").unlink()
    assert churnlab("send", "--params", newcomers)[0] == 2

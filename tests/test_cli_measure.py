"""`churnlab measure`. Authority: sums by hand over a log and a list that are written here."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from churnlab.engine import read_parquet
from churnlab.operations.save_rates_file import read_responses

DAY = date(2024, 3, 31)
HORIZON = 30
AFTER, BEFORE = DAY + timedelta(days=30), DAY - timedelta(days=29)  # the last and the first day that count
LAST = date(2024, 5, 31)
TREATED, CONTROL = [f"t{k:02d}" for k in range(20)], [f"k{k:02d}" for k in range(10)]


def log(**more: list[tuple[str, date, float]]) -> pd.DataFrame:
    """All bought long ago; 12 of 20 treated and 3 of 10 held out come back, for 10 each."""
    rows = [(name, date(2023, 6, 1), 5.0) for name in [*TREATED, *CONTROL]]
    rows += [(name, AFTER, 10.0) for name in [*TREATED[:12], *CONTROL[:3]]]
    rows += [(TREATED[0], AFTER, -4.0), (TREATED[19], AFTER, -2.0), (CONTROL[9], AFTER + timedelta(1), 99.0)]
    rows += [("other", LAST, 1.0), ("other", BEFORE, 1.0)]
    rows += [row for extra in more.values() for row in extra]
    return pd.DataFrame(rows, columns=["customer_id", "ts", "amount"])


def plan(action: str = "personal_call") -> pd.DataFrame:
    names = [*TREATED, *CONTROL]
    return pd.DataFrame(
        {
            "priority_rank": range(1, len(names) + 1),
            "customer_id": names,
            "action": action,
            "channel": "phone",
            "expected_net_benefit": 1.0,
            "value_at_stake": 9.0,
            "cost": 2.0,
            "group": ["treated"] * len(TREATED) + ["control"] * len(CONTROL),
            "why": '=1+1, "quoted"',
            "risk_label": "high",
            "value_label": ["top", "low"] * (len(names) // 2),
            "churn_probability": 0.5,
            "clv": 20.0,
        }
    )


@pytest.fixture(autouse=True)
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is given to MLflow, in its place: tests/operations/test_recorded_effects.py asks MLflow itself."""
    from churnlab.operations import tracking

    runs: list[dict[str, Any]] = []
    monkeypatch.setattr(tracking, "record_run", lambda root, **run: runs.append({"root": root, **run}) or "r")
    return runs


@pytest.fixture
def shop(small_log: Any, tmp_path: Path) -> Any:
    """Writes log and parameters; gives the file of parameters."""

    def written(rows: pd.DataFrame | None = None, **data: Any) -> Path:
        settings = json.loads(json.dumps(small_log.settings | {"workspace": str(tmp_path)}, default=str))
        source = tmp_path / "orders.csv"
        (log() if rows is None else rows).to_csv(source, index=False)
        settings["data"] |= {"path": str(source), **data}
        settings["features"]["horizon_days"] = HORIZON
        settings["clv"]["margin"] = 0.5
        file = tmp_path / "params.yaml"
        file.write_text(yaml.safe_dump(settings), encoding="utf-8")
        return file

    return written


@pytest.fixture
def listed(tmp_path: Path) -> Any:
    def written(rows: pd.DataFrame | None = None, name: str = "list.parquet") -> Path:
        path = tmp_path / "lists" / name
        path.parent.mkdir(exist_ok=True)
        (plan() if rows is None else rows).to_parquet(path)
        return path

    return written


def found(folder: Path) -> dict[str, pd.Series]:
    table = read_parquet(folder / "measure.parquet")
    whole = table[table["segment_by"] == "all"]
    return {row["outcome"]: row for _, row in whole.iterrows()}


def test_what_a_list_brought_by_hand(churnlab: Any, shop: Any, listed: Any, tmp_path: Path) -> None:
    """Retained .6 and .3; spent (12·10 - 4 - 2)/20 = 5.7 and 3; half of the 2.7 is profit, of a cost of 2."""
    code, out, err = churnlab("measure", "--params", shop(), "--plan", listed(), "--plan-date", DAY)
    assert (code, err) == (0, "")
    effects = found(tmp_path / "reports")
    kept, spend = effects["retained"], effects["net_spend"]
    assert (kept["n_treated"], kept["n_control"]) == (20, 10)
    assert [kept["mean_treated"], kept["mean_control"]] == pytest.approx([0.6, 0.3])
    assert [spend["mean_treated"], spend["mean_control"]] == pytest.approx([5.7, 3.0])
    assert spend["return_on_spend"] == pytest.approx(2.7 * 0.5 / 2 - 1)
    assert spend["return_low"] == pytest.approx(spend["low"] * 0.5 / 2 - 1)
    assert kept["needed"] == pytest.approx(0.15 * 0.7)
    assert spend["needed"] == pytest.approx(2 / 0.5)
    assert not kept["enough_power"] and "Too few customers to tell" in kept["warning"]
    told = json.loads((tmp_path / "reports" / "measure.json").read_text(encoding="utf-8"))
    assert told["save_rates"]["personal_call"]["measured"] == pytest.approx(0.3 / 0.7)
    assert told["plans"][0]["as_of"] == "2024-03-31"
    assert len(told["effects"]) == 2 * (1 + 1 + 2)  # all, one risk label, two value labels
    assert "+30.0" in out and "personal_call" in out
    for name in [*TREATED, *CONTROL]:
        assert name not in out


def test_the_past_of_the_same_length_is_seen(churnlab: Any, shop: Any, listed: Any, tmp_path: Path) -> None:
    """What they spent before explains all that they spent after: no doubt about the difference is left."""
    past = [(name, BEFORE, 3.0) for name in [*TREATED[:12], *CONTROL[:3]]]
    long_ago = [(name, BEFORE - timedelta(days=1), 50.0) for name in TREATED[12:]]
    churnlab(
        "measure", "--params", shop(log(past=past, long_ago=long_ago)), "--plan", listed(), "--plan-date", DAY
    )
    kept = found(tmp_path / "reports")["retained"]
    assert kept["difference"] == pytest.approx(0, abs=1e-9)
    assert kept["se"] < 1e-9 < kept["se_plain"]


def test_csv_and_parquet_say_the_same(churnlab: Any, shop: Any, listed: Any, tmp_path: Path) -> None:
    from churnlab.operations.sinks.csv_files import write_csv

    rows = plan().replace({"customer_id": {"t00": "=t00", "t01": "007"}})
    orders = log().replace({"customer_id": {"t00": "=t00", "t01": "007"}})
    write_csv(rows, tmp_path / "list.csv")
    words = ("measure", "--params", shop(orders), "--plan-date", DAY, "--plan")
    assert churnlab(*words, listed(rows), "--out", tmp_path / "a")[0] == 0
    assert churnlab(*words, tmp_path / "list.csv", "--out", tmp_path / "b")[0] == 0
    one, other = (tmp_path / name / "measure.parquet" for name in ("a", "b"))
    assert one.read_bytes() == other.read_bytes()
    assert found(tmp_path / "a")["retained"]["mean_treated"] == pytest.approx(0.6)


def test_the_scores_beside_a_list_tell_its_date(
    churnlab: Any, shop: Any, listed: Any, tmp_path: Path
) -> None:
    rows = plan()
    path = listed(rows)
    scores = rows[["customer_id", "churn_probability"]].assign(as_of=DAY, horizon_days=HORIZON)
    scores.to_parquet(path.with_name("scores.parquet"))
    assert churnlab("measure", "--params", shop(), "--plan", path)[0] == 0
    told = json.loads((tmp_path / "reports" / "measure.json").read_text(encoding="utf-8"))
    assert (told["plans"][0]["as_of"], told["plans"][0]["horizon_days"]) == ("2024-03-31", HORIZON)


def test_what_was_learned_is_written(churnlab: Any, shop: Any, listed: Any, tmp_path: Path) -> None:
    from churnlab.operations.save_rates_file import read_save_rates

    code, out, _ = churnlab(
        "measure", "--params", shop(), "--plan", listed(), "--plan-date", DAY, "--write-effects"
    )
    assert code == 0
    assert out.endswith("params/effects.json\n")
    told = json.loads((tmp_path / "reports" / "measure.json").read_text(encoding="utf-8"))
    rates = read_save_rates(tmp_path / "params" / "effects.json")  # the fixture's working folder
    assert rates == {"personal_call": told["save_rates"]["personal_call"]["save_rate"]}
    assert 0.15 < rates["personal_call"] < 0.3 / 0.7


def test_few_customers_tell_not_who_responds(churnlab: Any, shop: Any, listed: Any, tmp_path: Path) -> None:
    _, out, _ = churnlab("measure", "--params", shop(), "--plan", listed(), "--plan-date", DAY)
    assert "Who responds to personal_call was not learned, for that takes 100 customers in each group" in out
    assert json.loads((tmp_path / "reports" / "measure.json").read_text(encoding="utf-8"))["uplift"] == {}


def responding() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Log, list and scores: 30 % come back, and of the treated all who were silent for less than 60 days."""
    rng, n = np.random.default_rng(4), 800
    silent, held_out, stays = rng.uniform(1, 120, n).round(), rng.random(n) < 0.3, rng.random(n) < 0.3
    names = np.array([f"p{k:04d}" for k in range(n)])
    back = names[stays | ((silent < 60) & ~held_out)]
    rows = [(name, DAY - timedelta(days=200), 5.0) for name in names] + [(name, AFTER, 10.0) for name in back]
    orders = pd.DataFrame(rows, columns=["customer_id", "ts", "amount"])
    made = plan().drop(columns=["customer_id", "group"]).iloc[[0] * n].reset_index(drop=True)
    made = made.assign(
        customer_id=names, group=np.where(held_out, "control", "treated"), churn_probability=0.7
    )
    scores = made[["customer_id", "churn_probability", "clv"]]
    scores = scores.assign(as_of=DAY, horizon_days=HORIZON, days_since_last_order=silent)
    return pd.concat([orders, log()], ignore_index=True), made, scores


def test_who_responds_is_learned_and_written(churnlab: Any, shop: Any, listed: Any, tmp_path: Path) -> None:
    orders, made, scores = responding()
    path, effects = listed(made), tmp_path / "params" / "effects.json"
    scores.to_parquet(path.with_name("scores.parquet"))
    words = ("measure", "--params", shop(orders), "--plan", path, "--write-effects")
    code, out, err = churnlab(*words)
    assert (code, err) == (0, "")
    assert "each customer's own save rate is better" in out
    told = json.loads((tmp_path / "reports" / "measure.json").read_text(encoding="utf-8"))
    trial = told["uplift"]["personal_call"]
    assert trial["is_adopted"] and trial["qini"] > trial["qini_average"]
    assert trial["features"] == ["churn_probability", "clv", "days_since_last_order"]
    assert "tree" not in json.dumps(told)
    rates, silent = (
        read_responses(effects)["personal_call"].save_rates(scores),
        scores["days_since_last_order"],
    )
    assert rates[silent < 50].mean() > 0.7
    assert rates[silent > 70].mean() < 0.2
    before = effects.read_bytes()
    assert not any(name in before.decode() for name in made["customer_id"])
    assert churnlab(*words)[0] == 0
    assert effects.read_bytes() == before


def test_each_call_is_one_run(
    churnlab: Any, shop: Any, listed: Any, recorded: list[dict[str, Any]], tmp_path: Path
) -> None:
    """With the difference counted above and the file that was written; equal calls have equal keys."""
    for _ in range(2):
        assert churnlab("measure", "--params", shop(), "--plan", listed(), "--plan-date", DAY)[0] == 0
    first, second = recorded
    assert first["root"] == tmp_path
    assert first["key"] == second["key"]
    assert first["tags"]["kind"] == "measure"
    assert first["tags"]["plan_files"] == "list.parquet"
    assert first["metrics"]["personal_call.retained.difference"] == pytest.approx(0.3)
    assert first["artifacts"] == [(tmp_path / "reports" / "measure.json", "")]


def test_without_a_server_nothing_is_measured(
    churnlab: Any, shop: Any, listed: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As for every command that records: one line before the work, not after it."""
    monkeypatch.setattr("churnlab.operations.tracking_store._TIMEOUT_SECONDS", 0.2)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    code, out, err = churnlab("measure", "--params", shop(), "--plan", listed(), "--plan-date", DAY)
    assert (code, out) == (75, "")
    assert "does not answer" in err and err.count("\n") == 1
    assert not (tmp_path / "reports").exists()


def test_who_was_contacted_is_told(churnlab: Any, shop: Any, listed: Any, tmp_path: Path) -> None:
    contacts = pd.DataFrame(
        [(name, DAY + timedelta(days=3), "treated") for name in [*TREATED[:15], CONTROL[0]]]
        + [(TREATED[16], DAY, "treated"), (CONTROL[1], AFTER, "control")],
        columns=["customer_id", "ts", "group"],
    )
    contacts.to_csv(tmp_path / "contacts.csv", index=False)
    side = {"path": str(tmp_path / "contacts.csv"), "columns": {"group": "group"}}
    side["groups"] = {"treated": ["treated"], "control": ["control"]}
    code, out, err = churnlab(
        "measure", "--params", shop(contacts=side), "--plan", listed(), "--plan-date", DAY
    )
    assert (code, err) == (0, "")
    kept = found(tmp_path / "reports")["retained"]
    assert (kept["contacted_treated"], kept["contacted_control"]) == (0.75, 0.1)
    assert "75% of those to be treated were contacted, and 10% of those held out" in out


def test_several_lists_are_one_answer(churnlab: Any, shop: Any, listed: Any, tmp_path: Path) -> None:
    """A week earlier the same people: nothing else happened, so 20 and 10 more rows and the same shares."""
    days = (DAY, DAY - timedelta(days=7))
    words = [
        w for n, day in enumerate(days) for w in ("--plan", listed(name=f"{n}.parquet"), "--plan-date", day)
    ]
    rows = log()
    code, _, _ = churnlab("measure", "--params", shop(rows), *words)
    assert code == 0
    kept = found(tmp_path / "reports")["retained"]
    assert (kept["n_treated"], kept["n_control"]) == (40, 20)
    assert kept["difference"] == pytest.approx(0.3 / 2)  # the purchases come 37 days after the earlier list


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda rows: rows.assign(group="treated"), "nobody is held out"),
        (lambda rows: rows.assign(group="control"), "nobody is treated"),
        (lambda rows: rows.assign(group="both"), "group holds other words"),
        (lambda rows: pd.concat([rows, rows.head(2)]), "2 rows repeat a customer"),
        (lambda rows: rows.drop(columns=["cost", "clv"]), "has no column cost, clv"),
        (lambda rows: rows.assign(cost="much"), "are not all numbers"),
        (lambda rows: rows.assign(clv=float("nan")), "has empty cells"),
        (lambda rows: rows.assign(customer_id="x" + rows["customer_id"]), "no customer on it has an order"),
    ],
)
def test_a_list_that_cannot_be_measured(
    change: Any, says: str, mistake: Any, shop: Any, listed: Any, tmp_path: Path
) -> None:
    line = mistake("measure", "--params", shop(), "--plan", listed(change(plan())), "--plan-date", DAY)
    assert says in line and "list.parquet" in line
    assert not (tmp_path / "reports").exists()


def test_a_window_that_is_not_over(mistake: Any, churnlab: Any, shop: Any, listed: Any) -> None:
    words = ("measure", "--params", shop(), "--plan", listed(), "--plan-date")
    line = mistake(*words, LAST - timedelta(days=29))
    assert "wait until 2024-06-01 is in the data" in line
    assert churnlab(*words, LAST - timedelta(days=29), "--as-of", "2024-06-01")[0] == 0
    assert "wait until 2024-04-30" in mistake(*words, DAY, "--as-of", "2024-04-29")


def test_lists_that_do_not_go_together(mistake: Any, shop: Any, listed: Any) -> None:
    params, path = shop(), listed()
    twice = ("--plan", path, "--plan-date", DAY) * 2
    assert "30 customers stand on two lists of one date" in mistake("measure", "--params", params, *twice)
    line = mistake("measure", "--params", params, "--plan", path, "--plan", path, "--plan-date", DAY)
    assert "1 for 2 of --plan" in line


def test_a_list_without_a_date_or_a_file(mistake: Any, shop: Any, listed: Any, tmp_path: Path) -> None:
    params, path = shop(), listed()
    assert "name its date with --plan-date" in mistake("measure", "--params", params, "--plan", path)
    others = plan()[["customer_id", "churn_probability"]].assign(as_of=DAY, horizon_days=HORIZON)
    others.assign(churn_probability=0.4).to_parquet(path.with_name("scores.parquet"))
    assert "name its date with --plan-date" in mistake("measure", "--params", params, "--plan", path)
    gone = ("--plan", tmp_path / "gone.parquet", "--plan-date", DAY)
    assert "is not a list that can be read" in mistake("measure", "--params", params, *gone)
    gone = ("--plan", tmp_path / "gone.csv", "--plan-date", DAY)
    assert "is not a list that can be read" in mistake("measure", "--params", params, *gone)

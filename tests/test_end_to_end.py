"""From a log on disk to the page. Authority: the contract of the tables, and dvc.yaml."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from html.parser import HTMLParser
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from churnlab import cli
from churnlab.config import Params
from churnlab.config.sections import Section

ROOT = Path(__file__).parents[1]
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
# `ingest` reads these for other sources than a CSV of one currency; `prioritise` names the data and the
# horizon in a run's record only where `register` did not make one before; how large discounts may be is asked
# when parameters are read
SPARK = {"engine.spark_master", "engine.spark_conf"}
ENGINE = {*SPARK, "engine.bucket_customers"}
SELDOM_READ = {
    "ingest": {"data.excel_sheet", "data.vanished_files", "data.rates", "data.privacy.key_env", *ENGINE},
    "features": ENGINE,
    "evaluate": ENGINE,
    "score": SPARK,
    "prioritise": {
        *("data.dataset", "features.horizon_days", "decisions.discount_policy.largest_share"),
        *ENGINE,
    },
    "report": ENGINE,
}
BUDGET, MAX_CONTACTS = 60.0, 12

LOAD_CHAMPION = """
import mlflow, sys
model = mlflow.pyfunc.load_model("models:/churnlab@champion")
answer = model.predict(model.input_example)
assert len(answer) == len(model.input_example) > 0
assert answer["churn_probability"].between(0, 1).all()
assert set(model.metadata.signature.outputs.input_names()) == set(answer.columns)
"""


@dataclass
class Run:
    """What one run of all stages left behind, said, and read of its parameters (dotted names by stage)."""

    folder: Path
    said: str = ""
    read: dict[str, set[str]] = field(default_factory=dict)

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.folder / "outputs" / f"{name}.parquet")

    def files(self) -> dict[str, bytes]:
        """Every file that dvc.yaml calls an output, by its path."""
        entries = [e for s in STAGES.values() for k in ("outs", "metrics", "plots") for e in s.get(k, [])]
        paths = [self.folder / (e if isinstance(e, str) else next(iter(e))) for e in entries]
        found = [f for p in paths for f in (sorted(p.rglob("*")) if p.is_dir() else [p])]
        return {file.relative_to(self.folder).as_posix(): file.read_bytes() for file in found}


def leaves(at: str, value: Any) -> Iterator[str]:
    """The dotted names of the values below one; actions are compared as a whole."""
    if isinstance(value, dict) and value and at != "decisions.actions":
        for key, inner in value.items():
            yield from leaves(f"{at}.{key}" if at else key, inner)
    else:
        yield at


def at_path(tree: dict[str, Any], path: str) -> Any:
    for part in path.split("."):
        tree = tree[part]
    return tree


class Spy:
    """Notes which parameters a stage reads; a section handed over whole counts as all its values."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, read: dict[str, set[str]]) -> None:
        self.read = read
        self.stage = ""
        self.places: dict[int, str] = {}  # of the sections that the stage was given, not of a model's own
        plain = Section.__getattribute__

        def noted(section: Section, name: str) -> Any:
            value = plain(section, name)
            place = self.places.get(id(section))
            if place is not None:
                if name in type(section).model_fields and not isinstance(value, Section):
                    read[self.stage].add(f"{place}{name}")
                elif name == "model_dump" and place:  # all of params is dumped only to name or record a run
                    read[self.stage] |= set(leaves(place.rstrip("."), value()))
            return value

        monkeypatch.setattr(Section, "__getattribute__", noted)
        for stage in STAGES:
            module = import_module(f"churnlab.pipelines.{stage}")
            monkeypatch.setattr(module, "run", self.watched(stage, module.run))

    def watched(self, stage: str, run: Callable[[Params], None]) -> Callable[[Params], None]:
        def watched(params: Params) -> None:
            self.stage, self.read[stage], self.places = stage, set(), dict(sections(params))
            run(params)
            self.places = {}

        return watched


def sections(section: Section, at: str = "") -> Iterator[tuple[int, str]]:
    """Every section by its identity, with the dotted name before its values."""
    yield id(section), at
    for name, value in vars(section).items():
        if isinstance(value, Section):
            yield from sections(value, f"{at}{name}.")


@pytest.fixture(scope="module")
def settings(small_log) -> dict[str, Any]:
    """The small log, and a rule of promotion that lets a model of so few customers pass."""
    settings = {**small_log.settings, "workspace": "."}
    settings["registry"] = {**settings["registry"], "tolerance": 1.0}
    settings["decisions"] = {**settings["decisions"], "budget": BUDGET, "max_contacts": MAX_CONTACTS}
    return settings


def run_all(folder: Path, settings: dict[str, Any], store: Path | None, spied: bool) -> Run:
    """`churnlab run --params params.yaml` in a folder of its own, with MLflow's store: a copy if given."""
    folder.mkdir()
    (folder / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    if store:
        shutil.copy(store, folder / "mlflow.db")
    run = Run(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        if spied:
            Spy(patch, run.read)
        with redirect_stdout(StringIO()) as said:
            cli.app(["run", "--params", "params.yaml"], standalone_mode=False)
    run.said = said.getvalue()
    return run


@pytest.fixture(scope="module")
def ran(tmp_path_factory, settings) -> Run:
    return run_all(tmp_path_factory.mktemp("end-to-end") / "first", settings, None, spied=True)


@pytest.fixture(scope="module")
def again(ran, settings, empty_store) -> Run:
    return run_all(ran.folder.parent / "second", settings, empty_store, spied=False)


def test_every_output_is_written(ran):
    written = ran.files()
    assert written
    assert all(written.values())


def test_the_same_log_gives_the_same_bytes(ran, again):
    first, second = ran.files(), again.files()
    assert sorted(first) == sorted(second)
    assert [name for name in first if first[name] != second[name]] == []


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reads_the_params_that_dvc_compares(ran, settings, stage):
    listed = {leaf for key in STAGES[stage]["params"] for leaf in leaves(key, at_path(settings, key))}
    assert ran.read[stage] | SELDOM_READ.get(stage, set()) == listed


def test_scores_hold_every_customer_once(ran, small_log):
    scores = ran.table("scores")
    assert scores["customer_id"].tolist() == sorted(set(small_log.frame["customer_id"]))
    unscored = scores.set_index("customer_id")["lifecycle_type"].loc[list(small_log.RETURNS_ONLY)]
    assert unscored.tolist() == ["potential", "potential"]


def test_the_list_keeps_to_budget_and_capacity(ran):
    plan = ran.table("priority_list")
    treated = plan[plan["group"] == "treated"]
    assert 0 < treated["cost"].sum() <= BUDGET
    assert 0 < len(treated) <= MAX_CONTACTS
    assert plan["priority_rank"].tolist() == list(range(1, len(plan) + 1))
    assert plan["expected_net_benefit"].is_monotonic_decreasing
    assert (plan["expected_net_benefit"] > 0).all()
    assert set(plan["customer_id"]) <= set(ran.table("scores")["customer_id"])
    pd.testing.assert_series_equal(
        pd.read_csv(ran.folder / "outputs" / "priority_list.csv", dtype={"customer_id": str})["customer_id"],
        plan["customer_id"],
    )


SAID = ["Priority list: outputs/priority_list.parquet (and .csv)", "Report:        outputs/report.html"]


def test_the_end_of_a_run_shows_where_the_list_is(ran):
    """What is no terminal may be a log, and names nobody."""
    assert ran.said.splitlines()[-2:] == SAID
    assert not any(name in ran.said for name in ran.table("scores")["customer_id"])


def test_on_a_terminal_the_end_shows_the_top_of_the_list(ran, monkeypatch):
    screen = StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.chdir(ran.folder)
    with redirect_stdout(screen):
        cli.app(["report", "--params", "params.yaml"], standalone_mode=False)
    lines = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in screen.getvalue().splitlines()]
    assert max(len(line) for line in lines) <= 80
    assert lines[-2:] == SAID
    shown = [line.split()[1] for line in lines if line.split() and line.split()[0].isdigit()]
    assert shown == ran.table("priority_list")["customer_id"].head(10).tolist()


def test_the_page_parses_and_stands_alone(ran):
    page = (ran.folder / "outputs" / "report.html").read_text(encoding="utf-8")
    seen: list[tuple[str, dict[str, str | None]]] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: seen.append((tag, dict(attrs)))  # type: ignore[method-assign]
    parser.feed(page)
    parser.close()
    assert [tag for tag, _ in seen][:2] == ["html", "head"]
    assert not [attrs for tag, attrs in seen if tag in ("script", "img", "link") and fetched(attrs)]
    assert ran.table("priority_list")["customer_id"].iloc[0] in page


def fetched(attrs: dict[str, str | None]) -> bool:
    """Whether a tag asks another file for something."""
    address = attrs.get("src") or attrs.get("href") or ""
    return bool(address) and not address.startswith(("data:", "#"))


def test_the_plots_have_the_columns_that_dvc_draws(ran):
    for plot in STAGES["evaluate"]["plots"]:
        (path, drawn), *_ = plot.items()
        assert {drawn["x"], drawn["y"]} <= set(pd.read_csv(ran.folder / path).columns)


def test_the_champion_loads_and_scores_its_example(ran):
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{ran.folder / 'mlflow.db'}"}
    command = [sys.executable, "-c", LOAD_CHAMPION]
    done = subprocess.run(
        command, cwd=ran.folder.parent, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_rows_read_are_rows_accepted_and_rows_refused(ran, small_log):
    rows = json.loads((ran.folder / "reports" / "manifest.json").read_text(encoding="utf-8"))["rows"]
    assert rows["read"] == rows["accepted"] + rows["quarantined"] == len(small_log.frame)
    assert rows["scored"] == small_log.frame["customer_id"].nunique()

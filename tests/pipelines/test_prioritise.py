"""The list by learned save rates. Authority: the list by the same rates, assumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from churnlab.config import Params
from churnlab.decisions.save_rates import SaveRate, with_save_rates
from churnlab.operations.nightly import Job, score_source
from churnlab.operations.save_rates_file import write_save_rates
from churnlab.pipelines import prioritise
from churnlab.pipelines._files import read_json
from churnlab.pipelines._run import Workspace

LEARNED = {"personal_call": 0.5, "thank_you": 0.01}


@pytest.fixture(scope="module")
def scored(small_log: Any, small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return score_source(Job(small_log.params, None, str(small_model)), tmp_path_factory.mktemp("scored"))


def listed(
    params: Params, folder: Path, scored: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any
) -> Any:
    """Run the stage without MLflow; give the file of the list and the summary."""
    decisions = params.decisions.model_copy(update=changes)
    params = params.model_copy(update={"workspace": str(folder), "decisions": decisions})
    work = Workspace.of(params)
    work.scores.parent.mkdir(parents=True)
    work.scores.write_bytes(scored.read_bytes())
    monkeypatch.setattr(prioritise, "track", lambda *_: None)
    prioritise.run(params)
    return work.priority_list.read_bytes(), read_json(work.plan_summary)


def test_learned_rates_make_the_list_that_they_would_make_if_assumed(
    small_log: Any, scored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    params, file = small_log.params, tmp_path / "effects.json"
    rates = {name: SaveRate(0.1, rate, 0.1, rate, 0.1, 9, 9) for name, rate in LEARNED.items()}
    write_save_rates(rates, [], file)
    actions = with_save_rates(params.decisions, LEARNED).actions
    assumed = listed(params, tmp_path / "a", scored, monkeypatch)
    quiet = capsys.readouterr().out
    by_hand = listed(params, tmp_path / "b", scored, monkeypatch, actions=actions)
    learned = listed(params, tmp_path / "c", scored, monkeypatch, learned_effects=str(file))
    assert learned[0] == by_hand[0] != assumed[0]
    assert learned[1] == {**by_hand[1], "learned_save_rates": LEARNED}
    assert "learned_save_rates" not in assumed[1]
    assert quiet == ""
    said = "personal_call 50.0% learned, thank_you 1.0% learned, win_back_offer 8.0% assumed"
    assert capsys.readouterr().out == f"Save rates: {said}\n"

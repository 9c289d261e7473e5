"""What the page notes. Authority: gates written by hand."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from churnlab.features.gates import Gate
from churnlab.pipelines._files import write_json
from churnlab.pipelines._run import Workspace
from churnlab.pipelines.report import notes

FITTED = Gate("spend model", passes=False, fitted=True, needs="30", has="12", sentence="rough")
ENOUGH = replace(FITTED, model="backtest", passes=True, sentence="")
MISSING = replace(FITTED, model="season", fitted=False, sentence="no year before")


def test_what_goes_short_is_noted_once(tmp_path: Path, small_scorer: Any) -> None:
    """Of a model that was not fitted its own note is there already: what stands in, it says itself."""
    work = Workspace(tmp_path)
    write_json({"beats_baselines": True, "findings": []}, work.registration)
    write_json({"gates": [gate.to_dict() for gate in (FITTED, ENOUGH, MISSING)]}, work.gates)
    assert notes(work, small_scorer) == ["spend model: rough", *small_scorer.notes]

"""The file of learned save rates. Authority: what was written into it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from churnlab.config import Params
from churnlab.decisions.save_rates import SaveRate
from churnlab.engine import read_parquet
from churnlab.errors import ConfigError
from churnlab.operations.nightly import Job, score_source
from churnlab.operations.save_rates_file import in_force, read_save_rates, write_save_rates

CALL = SaveRate(0.15, 0.9, 0.01, 0.5, 0.01, 300, 30)


def naming(params: Params, path: Path | None) -> Params:
    named = params.decisions.model_copy(update={"learned_effects": None if path is None else str(path)})
    return params.model_copy(update={"decisions": named})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_save_rates({"personal_call": CALL}, [{"as_of": "2024-03-31"}], tmp_path / "effects.json")
    assert read_save_rates(tmp_path / "effects.json") == {"personal_call": 0.5}


def test_named_nowhere_nothing_changes(small_log: Any) -> None:
    params = small_log.params
    assert in_force(params) is params


def test_named_it_replaces_save_rates_alone(small_log: Any, tmp_path: Path) -> None:
    write_save_rates({"personal_call": CALL}, [], tmp_path / "effects.json")
    params = naming(small_log.params, tmp_path / "effects.json")
    before, after = params.model_dump(), in_force(params).model_dump()
    assert before["decisions"]["actions"]["personal_call"].pop("save_rate") == 0.15
    assert after["decisions"]["actions"]["personal_call"].pop("save_rate") == 0.5
    assert before == after


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read"),
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ('{"actions": {"personal_call": 0.5}}', "is damaged"),
        ('{"actions": {"personal_call": {"save_rate": null}}}', "is damaged"),
        ('{"actions": {"personal_call": {"save_rate": 1.5}}}', "which is not between 0 and 1"),
        ('{"actions": {"personal_call": {"save_rate": NaN}}}', "which is not between 0 and 1"),
    ],
)
def test_a_file_that_cannot_be_used(content: str | None, says: str, small_log: Any, tmp_path: Path) -> None:
    path = tmp_path / "effects.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=says) as caught:
        in_force(naming(small_log.params, path))
    assert str(caught.value).startswith(f"decisions.learned_effects: {path} ")


def test_the_nightly_job_weighs_contacts_by_it(small_log: Any, small_model: Path, tmp_path: Path) -> None:
    """Only what rests on save rates changes, and as the higher rate has it, no customer is worth less."""
    write_save_rates({"personal_call": CALL}, [], tmp_path / "effects.json")
    scored = []
    for name, path in (("assumed", None), ("learned", tmp_path / "effects.json")):
        job = Job(naming(small_log.params, path), None, str(small_model))
        scored.append(read_parquet(score_source(job, tmp_path / name)))
    assumed, learned = scored
    changed = [name for name in assumed if not assumed[name].astype(str).equals(learned[name].astype(str))]
    assert set(changed) == {"expected_net_benefit", "priority_rank"}
    assert (learned["expected_net_benefit"] >= assumed["expected_net_benefit"]).all()
    manifests = [
        json.loads((tmp_path / name / "manifest.json").read_text(encoding="utf-8"))["params"]
        for name in ("assumed", "learned")
    ]
    assert manifests[0] != manifests[1]

"""The file of learned save rates. Authority: what was written into it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from _campaigns import response_by_hand
from churnlab.config import Params
from churnlab.decisions.save_rates import SaveRate
from churnlab.engine import read_parquet
from churnlab.errors import ConfigError
from churnlab.operations.manifest import params_version
from churnlab.operations.nightly import Job, score_source
from churnlab.operations.save_rates_file import (
    in_force,
    read_responses,
    read_save_rates,
    responses_in_force,
    write_save_rates,
)

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


def test_who_responds_is_written_and_read_beside_the_rate(small_log: Any, tmp_path: Path) -> None:
    path, response = tmp_path / "effects.json", response_by_hand(trust=0.7)
    write_save_rates(
        {"personal_call": CALL, "gone": CALL}, [], path, {"personal_call": response, "gone": response}
    )
    assert read_responses(path) == {"personal_call": response, "gone": response}
    assert read_save_rates(path) == {"personal_call": 0.5, "gone": 0.5}
    assert responses_in_force(naming(small_log.params, path)) == {"personal_call": response}
    assert responses_in_force(naming(small_log.params, None)) == {}


def test_another_model_is_another_version_of_the_parameters(small_log: Any, tmp_path: Path) -> None:
    path, versions = tmp_path / "effects.json", set()
    for responses in (
        {},
        {"personal_call": response_by_hand()},
        {"personal_call": response_by_hand(trust=0.7)},
    ):
        write_save_rates({"personal_call": CALL}, [], path, responses)
        versions.add(params_version(in_force(naming(small_log.params, path))))
    assert len(versions) == 3


def test_a_model_that_was_changed_is_not_used(small_log: Any, tmp_path: Path) -> None:
    path = tmp_path / "effects.json"
    write_save_rates({"personal_call": CALL}, [], path, {"personal_call": response_by_hand()})
    written = path.read_text(encoding="utf-8")
    for before, after in (
        ("leaf_value=", "leaf_value=9"),
        ('"trust"', '"faith"'),
        ('"level": 0.3', '"level": 0.9'),
    ):
        assert before in written
        path.write_text(written.replace(before, after), encoding="utf-8")
        with pytest.raises(ConfigError, match="is damaged: write it again"):
            responses_in_force(naming(small_log.params, path))


@pytest.fixture(scope="module")
def nights(small_log: Any, small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By the assumed rate, by the learned one, by customers' own: 0.6 where p is below 0.5, else 0.4."""
    folder = tmp_path_factory.mktemp("nights")
    own = {"personal_call": response_by_hand("churn_probability", 0.5, level=0.5)}
    written: dict[str, Path] = {}
    for name, responses in (("assumed", None), ("learned", {}), ("own", own)):
        path = None if responses is None else folder / f"{name}.json"
        if path is not None:
            write_save_rates({"personal_call": CALL}, [], path, responses)
        job = Job(naming(small_log.params, path), None, str(small_model))
        written[name] = score_source(job, folder / name)
    return written


@pytest.mark.parametrize(("one", "other"), [("assumed", "learned"), ("learned", "own")])
def test_only_what_rests_on_save_rates_changes(nights: dict[str, Path], one: str, other: str) -> None:
    before, after = (read_parquet(nights[name]) for name in (one, other))
    changed = [name for name in before if not before[name].astype(str).equals(after[name].astype(str))]
    assert set(changed) == {"expected_net_benefit", "priority_rank"}
    params = [
        json.loads(nights[name].with_name("manifest.json").read_text(encoding="utf-8"))["params"]
        for name in (one, other)
    ]
    assert params[0] != params[1]


def test_the_nightly_job_weighs_contacts_by_it(nights: dict[str, Path]) -> None:
    """By a higher rate nobody is worth less; by their own ones those are worth more who respond more."""
    assumed, learned, own = (read_parquet(nights[name]) for name in ("assumed", "learned", "own"))
    assert (learned["expected_net_benefit"] >= assumed["expected_net_benefit"]).all()
    gain = own["expected_net_benefit"] - learned["expected_net_benefit"]
    responds = own["churn_probability"] <= 0.5
    assert (gain[responds] >= 0).all() and gain[responds].max() > 0
    assert (gain[~responds] <= 0).all() and gain[~responds].min() < 0

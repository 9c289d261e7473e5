"""A mistake in the playbook is one line. Authority: the line that says what, where and how to mend it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from churnlab.config import Params, read_params
from churnlab.errors import ConfigError
from churnlab.operations.manifest import params_version

ROOT = Path(__file__).parents[2]
NOTE = {"channel": "email", "contact_cost": 0.1, "incentive_cost": 0.0, "save_rate": 0.03}
DISCOUNT = NOTE | {"offer": "discount", "discount_share": 0.05}


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Reads the shipped parameters with a playbook beside them, both in a folder below the working one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop").mkdir()

    def reading(playbook: Any, customers: Any = None, **decisions: Any) -> Params:
        raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        raw["decisions"] |= {"actions": "playbook.yaml"} | decisions
        raw["data"]["customers"] = customers
        Path("shop/params.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
        text = playbook if isinstance(playbook, str) else yaml.safe_dump({"actions": playbook})
        Path("shop/playbook.yaml").write_text(text, encoding="utf-8")
        return read_params("shop/params.yaml")

    return reading


@pytest.mark.parametrize(
    ("actions", "line"),
    [
        (
            {"a": NOTE | {"save_rate": 1.2}},
            "actions.a.save_rate: input should be less than or equal to 1, not 1.2",
        ),
        ({"a": NOTE | {"offr": "perk"}}, "actions.a.offr: unknown key: remove it or correct its spelling"),
        (
            {"a": {k: v for k, v in NOTE.items() if k != "channel"}},
            "actions.a.channel: missing key: add it (params.yaml as shipped has every key)",
        ),
        (
            {"a": NOTE | {"for": {"buying_style": ["lojal"]}}},
            "actions.a.for.buying_style.0: input should be 'loyal', 'discount', 'impulse', 'need-based', "
            "'wandering' or 'unassigned', not 'lojal'",
        ),
        (
            {"a": NOTE | {"for": {"value_label": []}}},
            "actions.a.for: an empty list is for nobody: name words, or leave the key out",
        ),
        (
            {"a": NOTE | {"offer": "discount"}},
            "actions.a: name discount_share, a share of an order, with offer: discount and only there",
        ),
        (
            {"a": NOTE | {"for": {"lifecycle_type": ["dissatisfied"]}}},
            "actions.a: for: dissatisfied customers are never sent sales messages: set purpose: service",
        ),
        ({}, "actions: dictionary should have at least 1 item after validation, not 0, not {}"),
        ("actions: [", "is not valid YAML near line 1: check its indentation and quotes"),
        ("", "holds no keys: start from the params/playbook.yaml that churnlab ships"),
    ],
)
def test_a_mistake_in_the_playbook_is_one_line(read: Any, actions: Any, line: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(actions)
    assert str(error.value) == f"shop/playbook.yaml: {line}"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"discount_policy": {"largest_share": 0.04}},
            "decisions: actions.a: a discount_share of 0.05 is more than discount_policy.largest_share, "
            "0.04: lower it, or offer a perk beside it",
        ),
        (
            {"contact_rules": {"quiet_dates": [["2024-12-26", "2024-12-24"]]}},
            "decisions.contact_rules: quiet_dates: 2024-12-26 comes after 2024-12-24: name the first "
            "day, then the last",
        ),
        (
            {"actions": {"a": DISCOUNT | {"discount_share": 0.4}}, "discount_policy": {"largest_share": 0.5}},
            "decisions.actions.a: a discount_share of 0.4 leaves nothing of clv.margin, 0.3: lower it",
        ),
    ],
)
def test_a_discount_that_the_policy_forbids_is_one_line(read: Any, changes: Any, line: str) -> None:
    with pytest.raises(ConfigError) as error:
        read({"a": DISCOUNT}, **changes)
    assert str(error.value) == f"shop/params.yaml: {line}"


@pytest.mark.parametrize(
    ("key", "value", "columns", "needed"),
    [
        ("largest_late_share", 0.1, None, "paid_late_share"),
        ("largest_late_share", 0.0, {"referrals": "n"}, "paid_late_share"),
        ("min_referrals", 2, None, "referrals or referrer"),
        ("min_referrals", 0, {"paid_late_share": "late"}, "referrals or referrer"),
    ],
)
def test_a_criterion_without_its_column_is_one_line(
    read: Any, key: str, value: float, columns: Any, needed: str
) -> None:
    customers = None if columns is None else {"path": "customers.csv", "columns": columns}
    with pytest.raises(ConfigError) as error:
        read({"a": NOTE}, customers, discount_policy={key: value})
    assert str(error.value) == (
        f"shop/params.yaml: decisions.discount_policy.{key}: map data.customers.columns.{needed}, or set it "
        "to null"
    )


def test_a_criterion_with_its_column_is_taken(read: Any) -> None:
    for columns in (
        {"paid_late_share": "late", "referrals": "n"},
        {"paid_late_share": "late", "referrer": "by"},
    ):
        customers = {"path": "customers.csv", "columns": columns}
        policy = {"largest_late_share": 0.1, "min_referrals": 2}
        read_policy = read({"a": NOTE}, customers, discount_policy=policy).decisions.discount_policy
        assert (read_policy.largest_late_share, read_policy.min_referrals) == (0.1, 2)


def test_a_playbook_that_is_not_there_is_one_line(read: Any) -> None:
    with pytest.raises(ConfigError) as error:
        read({"a": NOTE}, actions="nowhere.yaml")
    assert str(error.value) == (
        "nowhere.yaml: cannot be read (No such file or directory): decisions.actions of shop/params.yaml "
        "names it; put the playbook there"
    )


def test_the_working_folder_comes_before_that_of_the_parameters(read: Any) -> None:
    assert list(read({"beside": NOTE}).decisions.actions) == ["beside"]
    Path("playbook.yaml").write_text(yaml.safe_dump({"actions": {"here": NOTE}}), encoding="utf-8")
    assert list(read_params("shop/params.yaml").decisions.actions) == ["here"]


def test_another_playbook_makes_other_parameters(read: Any) -> None:
    """Provenance: the path is the same, the digest is not."""
    one, same, other = (read({"a": NOTE | {"save_rate": rate}}) for rate in (0.03, 0.03, 0.04))
    assert params_version(one) == params_version(same) != params_version(other)


def test_actions_written_into_the_parameters_are_the_same_actions(read: Any) -> None:
    named = read({"a": DISCOUNT})
    assert read({"b": NOTE}, actions={"a": DISCOUNT}) == named

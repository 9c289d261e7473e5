"""Turns params.yaml into typed, frozen sections."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import Field, ValidationError, model_validator

from churnlab.config.contacting import Contact, Playbook
from churnlab.config.data import Data
from churnlab.config.decisions import Decisions
from churnlab.config.loyalty import Loyalty
from churnlab.config.modelling import Churn, Clv, Engine, Evaluation, Features, Gates, Registry
from churnlab.config.sections import PASSWORD, Section
from churnlab.errors import ConfigError

S = TypeVar("S", bound=Section)


class Report(Section):
    """How the page looks."""

    title: str
    top_rows: int = Field(ge=1, le=10000)
    currency_symbol: str


class Params(Section):
    """The whole of params.yaml."""

    workspace: str
    data: Data
    engine: Engine
    features: Features
    gates: Gates = Gates()
    clv: Clv
    churn: Churn
    evaluation: Evaluation
    registry: Registry
    decisions: Decisions
    loyalty: Loyalty = Loyalty()
    report: Report

    @model_validator(mode="after")
    def _discounts_leave_a_profit(self) -> Params:
        for name, contact in self.decisions.actions.items():
            if contact.discount_share is not None and contact.discount_share >= self.clv.margin:
                raise ValueError(
                    f"decisions.actions.{name}: a discount_share of {contact.discount_share:g} leaves "
                    f"nothing of clv.margin, {self.clv.margin:g}: lower it"
                )
        return self

    @model_validator(mode="after")
    def _criteria_can_be_known(self) -> Params:
        columns = self.data.customers.columns if self.data.customers else None
        policy, at = self.decisions.discount_policy, "decisions.discount_policy"
        if policy.largest_late_share is not None and not (columns and columns.paid_late_share):
            raise ValueError(
                f"{at}.largest_late_share: map data.customers.columns.paid_late_share, or set it to null"
            )
        if policy.min_referrals is not None and not (columns and (columns.referrals or columns.referrer)):
            raise ValueError(
                f"{at}.min_referrals: map data.customers.columns.referrals or referrer, or set it to null"
            )
        return self


def read_params(path: str | Path) -> Params:
    """Read params.yaml, and the playbook that its `decisions.actions` may name.

    Paths of playbook and templates are from the working folder or, where there is nothing, from the folder of
    `path`.

    Parameters
    ----------
    path
        A YAML file with every key of :class:`Params`. Where `decisions.actions` is text, it is the path of a
        YAML file with the key `actions`.

    Raises
    ------
    ConfigError
        A file is missing or is not YAML, or a key is unknown, missing or out of range.
        One line, with the key's dotted name.
    """
    path = Path(path)
    raw = _mapping(path, "name a file with --params", "the params.yaml")
    decisions = raw.get("decisions")
    if isinstance(decisions, dict):
        found: dict[str, Any] = {}
        if isinstance(decisions.get("actions"), str):
            found["actions"] = _playbook(_found(decisions["actions"], path), path)
        if isinstance(decisions.get("templates"), str):
            found["templates"] = str(_found(decisions["templates"], path))
        raw = {**raw, "decisions": decisions | found}
    return _validated(Params, raw, path)


def _found(named: str, params: Path) -> Path:
    path = Path(named).expanduser()
    beside = params.parent / path
    return beside if not path.exists() and beside.exists() else path


def _playbook(path: Path, params: Path) -> dict[str, Contact]:
    raw = _mapping(
        path, f"decisions.actions of {params} names it; put the playbook there", "the params/playbook.yaml"
    )
    return _validated(Playbook, raw, path).actions


def _mapping(path: Path, remedy: str, shipped: str) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}): {remedy}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" near line {where.line + 1}" if where else ""
        raise ConfigError(f"{path}: is not valid YAML{line}: check its indentation and quotes") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: holds no keys: start from {shipped} that churnlab ships")
    return raw


def _validated(section: type[S], raw: dict[str, Any], path: Path) -> S:
    try:
        return section.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_one_line(error)}") from error


def _one_line(error: ValidationError) -> str:
    """The first finding as `dotted.name: finding`, and how many more there are."""
    findings = error.errors(include_url=False)
    first = findings[0]
    name = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return f"{name}: {_finding(first)}{more}" if name else f"{_finding(first)}{more}"


def _finding(found: Any) -> str:
    if found["type"] == "extra_forbidden":
        return "unknown key: remove it or correct its spelling"
    if found["type"] == "missing":
        return "missing key: add it (params.yaml as shipped has every key)"
    message = found["msg"].removeprefix("Value error, ")
    if found["type"] == "value_error":
        return message
    given = repr(found["input"])
    if PASSWORD.search(given):
        given = "what is there: it holds a password, and is not shown"
    return f"{message[0].lower()}{message[1:]}, not {given}"

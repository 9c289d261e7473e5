"""What treated customers are told: templates in several languages, in a sandbox."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import product
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined, Template, TemplateError, TemplateSyntaxError, UndefinedError
from jinja2 import nodes as syntax
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from churnlab.config import Contact, Decisions
from churnlab.errors import ConfigError

EXAMPLE: dict[str, Any] = {
    "customer_id": "c017",
    "action": "thank_you",
    "shop": "Shop",
    "days_since_last_order": 40,
    "expected_next_order_date": date(2024, 3, 31),
    "discount_percent": 5,
}
MAY_BE_UNKNOWN = ("days_since_last_order", "expected_next_order_date", "discount_percent")
FILTERS = ("default", "upper", "lower", "capitalize", "trim")
TESTS = ("none", "defined", "undefined")
MISTAKES = (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
Name = tuple[str, str]
"""Language and template."""


@dataclass(frozen=True)
class Messages:
    """Templates that have proved to work, by language and name."""

    templates: Mapping[Name, Template]
    language: str

    @classmethod
    def of(cls, sources: Mapping[Name, str], settings: Decisions, shown: Callable[[Name], str]) -> Messages:
        """Compile the templates, and try each with an example.

        Parameters
        ----------
        sources
            Text by language and name. Names given are those of :data:`EXAMPLE`; nothing else can be reached,
            no attribute, no call.
        settings
            Actions with their templates; each has one in `language`.
        shown
            What a template is called in an error.

        Raises
        ------
        ConfigError
            A template is missing, is not valid, names something unknown or tries what the sandbox forbids.
        """
        for name, contact in settings.actions.items():
            needed = (settings.language, contact.template or "")
            if contact.template is not None and needed not in sources:
                raise ConfigError(
                    f"{shown(needed)}: is not there: write the message of decisions.actions.{name}, or "
                    "leave out its template"
                )
        sandbox = _Sandbox()
        made = {name: _compiled(sandbox, text, shown(name)) for name, text in sorted(sources.items())}
        return cls(made, settings.language)

    def written(
        self, treated: pd.DataFrame, actions: Mapping[str, Contact], shop: str
    ) -> Iterator[dict[str, Any]]:
        """Message by message, in the order of `treated`; actions without a template have none.

        Parameters
        ----------
        treated
            customer_id, action, channel, language (may be null), days_since_last_order,
            expected_next_order_date (either may be null).

        Yields
        ------
        dict
            customer_id, channel, action, language, text. The language is the customer's own where there is a
            template in it, with or without its region, and else that of the settings.
        """
        for row in treated.to_dict("records"):
            contact = actions[row["action"]]
            if contact.template is None:
                continue
            language = self._language(row["language"], contact.template)
            days, day = (
                _or_none(row[name]) for name in ("days_since_last_order", "expected_next_order_date")
            )
            text = self.templates[language, contact.template].render(
                customer_id=row["customer_id"],
                action=row["action"],
                shop=shop,
                days_since_last_order=None if days is None else int(days),
                expected_next_order_date=None if day is None else pd.Timestamp(day).date(),
                discount_percent=_percent(contact.discount_share),
            )
            told = {name: row[name] for name in ("customer_id", "channel", "action")}
            yield told | {"language": language, "text": text}

    def _language(self, own: Any, template: str) -> str:
        wanted = "" if _or_none(own) is None else str(own).strip().lower().replace("_", "-")
        spoken = (wanted, wanted.partition("-")[0], self.language)
        return next(language for language in spoken if (language, template) in self.templates)


class _Sandbox(ImmutableSandboxedEnvironment):
    """Names, conditions and text: no attribute, no call, no operator that makes much of little."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False)
        self.globals.clear()
        self.filters = {name: self.filters[name] for name in FILTERS}
        self.tests = {name: self.tests[name] for name in TESTS}

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return False

    def is_safe_callable(self, obj: Any) -> bool:
        return False

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        raise SecurityError(f"the operator {operator} is not for messages")


def _compiled(sandbox: Environment, text: str, shown: str) -> Template:
    try:
        tree = sandbox.parse(text)
        _check_names(tree)
        template = sandbox.from_string(text)
        for example in _examples():
            template.render(example)
    except MISTAKES as error:
        raise ConfigError(
            f"{shown}:{_line(error)}: {_finding(error)}: a message may use {', '.join(EXAMPLE)} as they are, "
            "and if and else"
        ) from error
    return template


def _examples() -> Iterator[dict[str, Any]]:
    """With and without each name that may be unknown: every branch is taken that a message can take."""
    for known in product((True, False), repeat=len(MAY_BE_UNKNOWN)):
        unknown = [name for name, is_known in zip(MAY_BE_UNKNOWN, known, strict=True) if not is_known]
        yield EXAMPLE | dict.fromkeys(unknown)


def _check_names(tree: syntax.Template) -> None:
    own = {node.name for node in tree.find_all(syntax.Name) if node.ctx != "load"}
    for node in tree.find_all(syntax.Name):
        if node.name not in EXAMPLE and node.name not in own:
            raise TemplateSyntaxError(f"{node.name} is unknown", node.lineno)


def _line(error: Exception) -> int:
    """Of the template."""
    if isinstance(error, TemplateSyntaxError):
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno or 1 for frame in reversed(frames) if frame.filename == "<template>"), 1)


def _finding(error: Exception) -> str:
    if isinstance(error, SecurityError | UndefinedError):
        return f"tries what is forbidden ({error})"
    told = error.message if isinstance(error, TemplateError) else str(error)
    return " ".join((told or "").split()).rstrip(".") or type(error).__name__


def _percent(share: float | None) -> float | int | None:
    """5 and not 5.0."""
    if share is None:
        return None
    percent = round(share * 100, 2)
    return int(percent) if percent == int(percent) else percent


def _or_none(value: Any) -> Any:
    return None if pd.isna(value) else value

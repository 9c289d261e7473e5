"""Messages by hand, and what templates may not do."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd
import pytest

from _settings import small_decisions
from churnlab.config import Contact, Decisions
from churnlab.decisions.messages import Messages
from churnlab.errors import ConfigError

NOTE = {"channel": "email", "contact_cost": 0.1, "incentive_cost": 0.0, "save_rate": 0.03}
ACTIONS = {
    "hello": NOTE | {"template": "hello"},
    "off": NOTE | {"template": "off", "offer": "discount", "discount_share": 0.025},
    "mute": NOTE,
}
OFF = "{{ discount_percent }} % / {{ days_since_last_order }} / {{ expected_next_order_date }} / {{ shop }}"
SOURCES = {
    ("en", "hello"): "Hello",
    ("fa", "hello"): "سلام {{ customer_id }}",
    ("en", "off"): OFF,
    ("el", "off"): "Έκπτωση {{ discount_percent }} %",
}


def decisions(actions: dict[str, Any] = ACTIONS) -> Decisions:
    return small_decisions(actions)


def messages(sources: dict[tuple[str, str], str], actions: dict[str, Any] = ACTIONS) -> Messages:
    return Messages.of(sources, decisions(actions), "/".join)


def person(language: str | None, action: str, days: float | None = 12.0, day: Any = None) -> dict[str, Any]:
    told = {"customer_id": "c1", "action": action, "channel": "email", "language": language}
    return told | {"days_since_last_order": days, "expected_next_order_date": day}


def test_everybody_is_written_to_in_their_language_where_there_is_one() -> None:
    rows = [
        person("fa", "hello"),
        person("FA_IR", "hello"),
        person("el", "hello"),  # no template
        person(None, "hello"),
        person("el-GR", "off"),
        person("fa", "mute"),  # no message
        person("en", "off", day=date(2024, 4, 1)),
        person("en", "off", days=None),
    ]
    actions = {name: Contact.model_validate(contact) for name, contact in ACTIONS.items()}
    found = list(messages(SOURCES).written(pd.DataFrame(rows), actions, "Läden & Söhne"))
    assert [(row["language"], row["text"]) for row in found] == [
        ("fa", "سلام c1"),
        ("fa", "سلام c1"),
        ("en", "Hello"),
        ("en", "Hello"),
        ("el", "Έκπτωση 2.5 %"),
        ("en", "2.5 % / 12 / 2024-04-01 / Läden & Söhne"),
        ("en", "2.5 % / None / None / Läden & Söhne"),
    ]
    assert found[0] == {
        "customer_id": "c1",
        "channel": "email",
        "action": "hello",
        "language": "fa",
        "text": "سلام c1",
    }


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("Dear\n{{ name }}", "2: name is unknown"),
        ("{% if discount_percent %}ok{% else %}\n\n{{ first_name }}{% endif %}", "3: first_name is unknown"),
        ("{{ ''.__class__ }}", "1: tries what is forbidden"),
        ("a\nb {{ ''.__class__.__mro__[1].__subclasses__() }}", "2: tries what is forbidden"),
        ("{{ shop['__class__'] }}", "1: tries what is forbidden"),
        ("{{ shop.upper() }}", "1: tries what is forbidden"),
        ("{{ ''['format']('x') }}", "1: tries what is forbidden"),
        ("{{ cycler.__init__.__globals__.os }}", "1: cycler is unknown"),
        ("{{ range(9) }}", "1: range is unknown"),
        ("{{ self.__init__ }}", "1: self is unknown"),
        ("{{ 'a' * 1000000000 }}", "1: tries what is forbidden"),
        ("{{ 9 ** 9 ** 9 }}", "1: tries what is forbidden"),
        ("{{ '%1000000000d' % 1 }}", "1: tries what is forbidden"),
        ("{{ shop | attr('__class__') }}", "1: No filter named 'attr'"),
        ("{{ shop | center(1000000000) }}", "1: No filter named 'center'"),
        ("{% include 'x' %}", "1: "),
        ("{% import 'x' as x %}", "1: "),
        ("{% macro f() %}x{% endmacro %}{{ f() }}", "1: f is unknown"),
        (
            "{% if days_since_last_order and not discount_percent %}\n"
            "{{ 1 + expected_next_order_date }}{% endif %}",
            "2: ",
        ),
        ("{{ days_since_last_order + 1 }}", "1: "),  # it may be unknown
        ("one\n{% if shop %}", "2: Unexpected end of template"),
        ("{{ 1 / 0 }}", "1: "),
    ],
)
def test_a_template_that_does_not_keep_to_what_it_may_use_is_refused(text: str, finding: str) -> None:
    with pytest.raises(ConfigError) as error:
        messages({("en", "hello"): text}, {"hello": ACTIONS["hello"]})
    line = str(error.value)
    assert line.startswith(f"en/hello:{finding}")
    assert line.endswith(
        ": a message may use customer_id, action, shop, days_since_last_order, expected_next_order_date, "
        "discount_percent as they are, and if and else"
    )
    assert "\n" not in line


def test_an_action_has_its_message_in_the_language_of_the_shop() -> None:
    with pytest.raises(
        ConfigError, match=r"^en/off: is not there: write the message of decisions\.actions\.off"
    ):
        messages({("en", "hello"): "x", ("el", "off"): "x"})

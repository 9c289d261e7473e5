"""Templates as shipped, and messages as files. Authority: the playbook, Unicode, JSON."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from churnlab.config import read_params
from churnlab.decisions.messages import EXAMPLE
from churnlab.errors import ConfigError
from churnlab.operations.message_files import read_messages, write_messages

ROOT = Path(__file__).parents[2]
SETTINGS = read_params(ROOT / "params.yaml").decisions.model_copy(
    update={"templates": str(ROOT / "params" / "templates")}
)
SCRIPTS = {"en": "LATIN", "el": "GREEK", "fa": "ARABIC"}


def test_every_action_shipped_has_a_message_in_three_languages() -> None:
    used = {contact.template for contact in SETTINGS.actions.values()}
    assert None not in used
    shipped = {(file.parent.name, file.name) for file in (ROOT / "params" / "templates").glob("*/*")}
    assert shipped == {(language, f"{name}.txt.j2") for language in SCRIPTS for name in used}
    assert set(read_messages(SETTINGS).templates) == {
        (language, name) for language in SCRIPTS for name in used
    }


@pytest.mark.parametrize("language", SCRIPTS)
def test_messages_shipped_are_in_the_script_of_their_language(language: str) -> None:
    """Apart from what is filled in, no letter of another script; composed, without marks of direction."""
    for (spoken, name), template in read_messages(SETTINGS).templates.items():
        if spoken != language:
            continue
        text = template.render(EXAMPLE | {"shop": "", "expected_next_order_date": ""})
        letters = [letter for letter in text if letter.isalpha()]
        assert len(letters) > 40, name
        assert {unicodedata.name(letter).split()[0] for letter in letters} == {SCRIPTS[language]}, name
        assert unicodedata.is_normalized("NFC", text), name
        assert not {"\u200e", "\u200f", "\u202a", "\u202b", "\u202e", "\u064a", "\u0643"} & set(text), name


def test_messages_are_lines_of_json_that_people_can_read(tmp_path: Path) -> None:
    told = [{"customer_id": "c1", "text": 'سلام،\n"Γεια" \u2028'}, {"customer_id": "c2", "text": "x"}]
    write_messages(told, tmp_path / "messages.jsonl")
    raw = (tmp_path / "messages.jsonl").read_bytes()
    assert "سلام".encode() in raw
    assert [json.loads(line) for line in raw.decode("utf-8").split("\n")[:-1]] == told


def test_a_template_that_is_not_text_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "thank_you.txt.j2").write_bytes("Grüße".encode("cp1252"))
    with pytest.raises(ConfigError, match=r"thank_you\.txt\.j2: is not UTF-8: save it with that encoding$"):
        read_messages(SETTINGS.model_copy(update={"templates": str(tmp_path)}))

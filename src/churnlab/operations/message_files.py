"""Reads the templates of messages, and writes the messages."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from churnlab.config import Decisions
from churnlab.decisions.messages import Messages, Name
from churnlab.engine import write_text
from churnlab.errors import ConfigError

ENDING = ".txt.j2"


def read_messages(settings: Decisions) -> Messages:
    """The templates of `decisions.templates`: LANGUAGE/NAME.txt.j2, of the actions that name one.

    Raises
    ------
    ConfigError
        One is missing, is not UTF-8 or is not valid: see :meth:`churnlab.decisions.messages.Messages.of`.
    """
    folder = Path(settings.templates).expanduser()
    used = {contact.template for contact in settings.actions.values()} - {None}
    files = sorted(file for file in folder.glob(f"*/*{ENDING}") if file.name.removesuffix(ENDING) in used)
    sources = {(file.parent.name.lower(), file.name.removesuffix(ENDING)): _text(file) for file in files}

    def shown(name: Name) -> str:
        language, template = name
        return str(folder / language / f"{template}{ENDING}")

    return Messages.of(sources, settings, shown)


def write_messages(messages: Iterable[dict[str, Any]], path: Path) -> None:
    """One JSON object a line, in UTF-8, not escaped."""
    write_text("".join(f"{json.dumps(message, ensure_ascii=False)}\n" for message in messages), path)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror}): mend or remove it") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: is not UTF-8: save it with that encoding") from error

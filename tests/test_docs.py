"""What the documents say is what the code does."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
import yaml
from typer.exceptions import TyperException

from churnlab.cli import app
from churnlab.config import read_params
from churnlab.data.contract import REASONS
from churnlab.decisions.potential import POTENTIAL_TYPES
from churnlab.decisions.priority import LIST_COLUMNS
from churnlab.operations.scoring import SCORES

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
MACHINE = re.compile(
    r"(?<![\w.])/(?:work|tmp|root|home|Users)/|localhost:\d|--(?:extra-)?index-ur[l]|/simple\b"
)
INSTALL = [
    "pip install -c constraints.txt -e . && dvc repro",
    'pip install -c constraints.txt -e ".[dev]" && pytest',
    'pip install -c constraints.txt -e ".[grocery]"',
]


@pytest.fixture(scope="module")
def refresh() -> ModuleType:
    spec = spec_from_file_location("refresh", ROOT / "docs" / "refresh.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["refresh"] = module
    spec.loader.exec_module(module)
    return module


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    """Fenced blocks of one language, indented ones too."""
    found = re.findall(rf"(?ms)^( *)```{language}\n(.*?)^ *```", text_of(page))
    return [re.sub(rf"(?m)^{indent}", "", body) for indent, body in found]


def commands() -> Iterator[list[str]]:
    """Words of every command that the pages show."""
    for page in PAGES:
        for block in blocks(page, "bash"):
            for line in block.splitlines():
                for part in line.split(" && "):
                    yield shlex.split(part)


def first_column(heading: str) -> list[str]:
    """Names in the first column of the table that follows a heading of the README."""
    section = text_of(README).partition(f"\n### {heading}\n")[2].partition("\n#")[0]
    return re.findall(r"(?m)^\| `(\w+)` \|", section)


def flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        out |= flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return out


def test_blocks_from_the_code_are_up_to_date(refresh: ModuleType) -> None:
    """The writer that fills the blocks, on the code as it is now."""
    for page in refresh.PAGES:
        text = text_of(ROOT / page)
        assert refresh.refreshed(text, refresh.CODE) == text, f"{page}: run python docs/refresh.py"


def test_every_block_has_a_writer_and_every_writer_a_block(refresh: ModuleType) -> None:
    named = [name for page in PAGES for name in re.findall(r"<!-- begin:(\w+) -->", text_of(page))]
    assert sorted(named) == sorted({**refresh.CODE, **refresh.RUN})


def test_a_refreshed_block_keeps_what_is_around_it(refresh: ModuleType) -> None:
    """By hand."""
    old = "a\n<!-- begin:x -->\nold\n<!-- end:x -->\nb <!-- begin:y -->\nkept\n<!-- end:y -->"
    new = "a\n<!-- begin:x -->\nnew\n<!-- end:x -->\nb <!-- begin:y -->\nkept\n<!-- end:y -->"
    assert refresh.refreshed(old, {"x": lambda: "new", "z": lambda: "never"}) == new


def test_every_reason_code_is_told() -> None:
    block = (
        text_of(ROOT / "docs" / "data.md")
        .partition("<!-- begin:reasons -->")[2]
        .partition("<!-- end:reasons -->")[0]
    )
    assert re.findall(r"(?m)^\| `(\w+)` \|", block) == list(REASONS)


def test_every_parameter_is_told() -> None:
    """The reference is written from comments; here the typed sections say which keys and values there are."""
    told = dict(re.findall(r"(?m)^\| `([\w.]+)` \| `(.*?)` \|", text_of(ROOT / "docs" / "params.md")))
    written = {name: yaml.safe_load(value.replace("\\|", "|")) for name, value in told.items()}
    known = flat(read_params(ROOT / "params.yaml").model_dump(mode="json"))
    known = {name: value for name, value in known.items() if not name.startswith("decisions.actions.")}
    known["decisions.actions"] = "params/playbook.yaml"  # tells its keys itself
    assert flat(written).keys() == known.keys()
    for name, value in flat(written).items():
        assert str(value) == str(known[name]), name


def test_columns_of_scores_and_list_are_told() -> None:
    assert first_column("scores") == SCORES.names
    assert first_column("priority_list") == LIST_COLUMNS
    assert first_column("potential") == POTENTIAL_TYPES.names


def test_mapping_shown_for_the_gift_shop_is_the_shipped_one() -> None:
    (shown,) = blocks(README, "yaml")
    shipped = flat(yaml.safe_load(text_of(ROOT / "params" / "gift_shop.yaml")))
    for name, value in flat(yaml.safe_load(shown)).items():
        assert shipped[name] == value, name


def test_shipped_params_files_are_valid() -> None:
    for file in sorted({*(ROOT / "params").glob("*.yaml")} - {ROOT / "params" / "playbook.yaml"}):
        read_params(file)


def test_churnlab_commands_shown_exist() -> None:
    """The command line's own tree of commands and options is the authority."""
    before_or = [words[: [*words, "||"].index("||")] for words in commands()]
    shown = [words[1:] for words in before_or if words[0] == "churnlab"]
    assert shown
    for words in shown:
        parse(words)


def test_a_command_that_does_not_exist_is_noticed() -> None:
    for words in (["scores"], ["score", "--parms", "params.yaml"], ["models", "promote"]):
        with pytest.raises((KeyError, TyperException)):
            parse(words)


def parse(words: list[str]) -> None:
    """Take the words for a command line of churnlab and run nothing."""
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    command.make_context(words[0], rest)


def test_dvc_commands_shown_set_parameters_that_exist() -> None:
    known = flat(read_params(ROOT / "params.yaml").model_dump(mode="json"))
    changed = [words[k + 1] for words in commands() for k, word in enumerate(words) if word == "-S"]
    assert changed
    for change in changed:
        name, _, value = change.partition("=")
        assert isinstance(yaml.safe_load(value), type(known[name])), name


def test_install_commands_are_exact() -> None:
    """The lines that a fresh clone is checked with."""
    shown = [line for block in blocks(README, "bash") for line in block.splitlines()]
    for line in INSTALL:
        assert line in shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        path, _, anchor = target.partition("#")
        aim = (page.parent / path).resolve() if path else page
        assert aim.is_file(), target
        if anchor:
            assert anchor in anchors(aim), target


def anchors(page: Path) -> set[str]:
    """Anchors as GitHub makes them from headings."""
    headings = re.findall(r"(?m)^#+ (.*)$", text_of(page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_files_named_as_shipped_exist() -> None:
    """Paths of this repository in code spans; what a run writes and what a user names are not in it."""
    shipped = r"`((?:src|pipelines|params|docs|notebooks|tests)/[\w./]+|[\w.]+\.(?:yaml|toml|txt))`"
    users = {"params/my_shop.yaml"}
    for page in PAGES:
        for name in set(re.findall(shipped, text_of(page))) - users:
            assert (ROOT / name).exists(), f"{page.name}: {name}"


@pytest.mark.parametrize(
    "page", [*PAGES, *sorted((ROOT / "notebooks").glob("*.ipynb"))], ids=lambda page: page.name
)
def test_no_machine_is_named(page: Path) -> None:
    assert not MACHINE.findall(text_of(page))


def test_every_module_is_told() -> None:
    """docs/architecture.md names every module of the package, and no other."""
    told = re.findall(
        r"(?m)^\| (?:\*\*)?`([a-z_.]+)`", text_of(ROOT / "docs" / "architecture.md").partition("## Layers")[0]
    )
    package = ROOT / "src" / "churnlab"
    rooms = ("config", "spark", "data", "features", "models", "evaluation", "decisions", "operations")
    inner = [
        f"{room}.{folder.parent.name}" for room in rooms for folder in (package / room).glob("*/__init__.py")
    ]
    modules = [f"{room}.{file.stem}" for room in rooms for file in (package / room).glob("[!_]*.py")] + inner
    alone = [file.stem for file in package.glob("[!_]*.py")]
    assert sorted(told) == sorted([*modules, *alone, *rooms, "report", "cli"])

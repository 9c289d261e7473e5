"""constraints.txt. Authority: what pyproject.toml asks for, and the form of a requirement (PEP 508)."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LINES = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
PINS = dict(line.split("==") for line in LINES if not line.startswith("#"))


def test_every_line_is_a_name_and_a_version():
    assert all(re.fullmatch(r"#.*|[a-z0-9-]+==[0-9][A-Za-z0-9.]*", line) for line in LINES)
    assert sorted(PINS) == sorted({canonicalize_name(name) for name in PINS})


def test_every_dependency_is_pinned_to_a_version_that_will_do():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for text in chain(project["dependencies"], *project["optional-dependencies"].values()):
        requirement = Requirement(text)
        if requirement.name != project["name"]:
            assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)]), text

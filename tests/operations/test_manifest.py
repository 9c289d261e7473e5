"""What a manifest says, against figures known beforehand."""

from __future__ import annotations

import json
import platform
import subprocess
from datetime import date
from importlib.metadata import version

import pytest

from churnlab.operations import manifest as module
from churnlab.operations.manifest import Manifest, params_version


@pytest.fixture
def outside_git(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return tmp_path


def written(manifest, folder):
    manifest.write(folder / "manifest.json")
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def test_a_file_is_told_by_size_and_checksum(outside_git):
    """SHA-256 of "abc": FIPS 180-4, example B.1."""
    (outside_git / "scores.parquet").write_bytes(b"abc")
    manifest = Manifest()
    manifest.file(outside_git / "scores.parquet")
    assert written(manifest, outside_git)["files"] == {
        "scores.parquet": {
            "bytes": 3,
            "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        }
    }


def test_notes_steps_versions_and_memory(outside_git):
    manifest = Manifest()
    with manifest.step("score"):
        pass
    manifest.note(rows={"read": 3}, as_of=date(2024, 2, 29))
    found = written(manifest, outside_git)
    assert (found["rows"], found["as_of"]) == ({"read": 3}, "2024-02-29")
    assert found["seconds"]["score"] >= 0
    assert found["versions"]["python"] == platform.python_version()
    assert found["versions"]["pandas"] == version("pandas")
    assert found["peak_memory_mb"] > 10
    assert found["commit"] is None


def test_the_commit_of_the_project(outside_git):
    """Authority: git itself."""
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    (outside_git / "dvc.yaml").write_text("stages: {}\n")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    assert written(Manifest(), outside_git)["commit"] == {"sha": head.stdout.strip(), "dirty": False}


def test_a_library_that_is_not_installed_has_no_version(outside_git, monkeypatch):
    monkeypatch.setattr(module, "LIBRARIES", ("no-such-library-here",))
    assert written(Manifest(), outside_git)["versions"]["no-such-library-here"] is None


def test_params_version_tells_parameters_apart(small_log):
    params = small_log.params
    assert params_version(params) == params_version(small_log.params)
    other = params.model_copy(update={"workspace": "elsewhere"})
    assert len({params_version(params), params_version(other)}) == 2

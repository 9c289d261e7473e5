"""What operators install from deploy/: it parses, names commands that exist, and does what it says."""

from __future__ import annotations

import ast
import configparser
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from datetime import date, timedelta
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from churnlab.cli import app
from churnlab.errors import ChurnlabError, TryLaterError
from churnlab.operations.nightly import Job, score_source

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
DOCKERFILE = ROOT / "Dockerfile"
WRAPPER = DEPLOY / "cron" / "churnlab-nightly"
UNITS = sorted((DEPLOY / "systemd").glob("*.*"))
FILES = [DOCKERFILE, *(path for path in sorted(DEPLOY.rglob("*")) if path.is_file())]
MACHINE = re.compile(r"(?<![\w.])/(?:work|tmp/w|root|home|Users)/|index-ur[l]|localhost:\d")
RETRIED, FINAL = TryLaterError.exit_code, (1, ChurnlabError.exit_code)


def exists(words: list[str]) -> None:
    """The command line's own tree of commands and options is the authority."""
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    command.make_context(words[0], rest)


def unit(name: str) -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(interpolation=None, strict=True)
    parsed.optionxform = str  # type: ignore[assignment, method-assign]
    parsed.read_string((DEPLOY / "systemd" / name).read_text(encoding="utf-8"))
    return parsed


def instructions() -> list[tuple[str, str]]:
    """Instruction and the rest, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_machine_is_named(path):
    assert not MACHINE.findall(path.read_text(encoding="utf-8"))


# --- alert


@pytest.fixture(scope="module")
def manifest(small_log: Any, small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of a real run, sixty days after the last one that its model knows."""
    out = tmp_path_factory.mktemp("scored")
    day = small_log.TRAINED_ON + timedelta(days=60)
    score_source(Job(small_log.params, day, str(small_model)), out)
    found: dict[str, Any] = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture
def alert(tmp_path: Path):
    """Check a folder of these manifests on the day after the last one: exit code and printed lines."""

    def run(*manifests: dict[str, Any], today: date | None = None, options: tuple[str, ...] = ()):
        for one in manifests:
            (tmp_path / f"as_of={one['as_of']}.json").write_text(json.dumps(one))
        day = today or date.fromisoformat(manifests[-1]["as_of"]) + timedelta(days=1)
        command = [sys.executable, DEPLOY / "alert", tmp_path, "--today", str(day), *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout.splitlines()

    return run


def changed(manifest: dict[str, Any], days: int = 0, **rows: int) -> dict[str, Any]:
    day = date.fromisoformat(manifest["as_of"]) + timedelta(days=days)
    return manifest | {"as_of": str(day), "rows": manifest["rows"] | rows}


def test_a_real_manifest_is_well(manifest, alert):
    assert alert(manifest) == (0, [])


def test_a_week_of_equal_nights_is_well(manifest, alert):
    assert alert(*(changed(manifest, days) for days in range(9))) == (0, [])


def test_no_manifest(alert, tmp_path):
    code, (line,) = alert(today=date(2024, 1, 1))
    assert code == 1 and "holds no manifest" in line
    done = subprocess.run(
        [sys.executable, DEPLOY / "alert", tmp_path / "gone.json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "is not there" in done.stdout


def test_a_list_of_three_days_ago(manifest, alert):
    day = date.fromisoformat(manifest["as_of"])
    assert alert(manifest, today=day + timedelta(days=2)) == (0, [])
    code, (line,) = alert(manifest, today=day + timedelta(days=3))
    assert code == 1 and line.startswith("as_of: ")


@pytest.mark.parametrize(
    ("rows", "finding"),
    [
        ({"read": 1001, "accepted": 999, "quarantined": 1}, "rows: 1001 read are not 999 accepted"),
        ({"read": 1000, "accepted": 940, "quarantined": 60}, "rows.quarantined: 6.00%"),
        ({"scored": 0}, "rows.scored: nobody"),
    ],
)
def test_a_night_that_does_not_add_up(manifest, alert, rows, finding):
    code, lines = alert(changed(manifest, **rows))
    assert code == 1
    assert [line for line in lines if line.startswith(finding)]


def test_refused_lines_jump(manifest, alert):
    """Two in a hundred are within the limit, but were none the week before."""
    usual = [changed(manifest, days, read=1000, accepted=1000, quarantined=0) for days in range(5)]
    code, (line,) = alert(*usual, changed(manifest, 5, read=1000, accepted=980, quarantined=20))
    assert code == 1 and "2.00% of the lines were refused, 0.00% usually" in line
    more = ("--max-refused-rise", "0.03")
    assert alert(*usual, changed(manifest, 5, read=1000, accepted=980, quarantined=20), options=more)[0] == 0


def test_customers_vanish(manifest, alert):
    code, (line,) = alert(changed(manifest, 0, scored=1000), changed(manifest, 1, scored=900))
    assert code == 1 and line.startswith("rows.scored: 900 customers, 1000 the time before")


def test_an_old_model(manifest, alert):
    day = date.fromisoformat(manifest["as_of"])
    assert manifest["model_cutoff"] == str(day - timedelta(days=60))
    code, (line,) = alert(manifest | {"model_cutoff": str(day - timedelta(days=91))})
    assert code == 1 and line.startswith("model_cutoff: ")
    assert alert(manifest | {"model_cutoff": str(day - timedelta(days=90))}) == (0, [])


def test_what_is_no_manifest_is_told_as_such(tmp_path):
    (tmp_path / "manifest.json").write_text('{"rows": {}}')
    command = [sys.executable, DEPLOY / "alert", tmp_path / "manifest.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


# --- cron


@pytest.fixture
def wrapped(tmp_path: Path):
    """Run the wrapper around a program that ends with these codes, one after the other."""

    def run(*codes: int, tries: int = 6):
        calls, program = tmp_path / "calls", tmp_path / "program"
        calls.write_text("")
        listed = " ".join(map(str, codes))
        program.write_text(
            f'#!/bin/sh\necho "$@" >>"{calls}"\necho a line of log >&2\n'
            f'set -- {listed}\nshift $(($(wc -l <"{calls}") - 1))\nexit "$1"\n'
        )
        program.chmod(0o755)
        environment = {"PATH": "/usr/bin:/bin", "CHURNLAB": str(program)}
        environment |= {"CHURNLAB_TRIES": str(tries), "CHURNLAB_WAIT": "0"}
        command = [str(WRAPPER), "--params", "my shop.yaml", "--sink", "scores"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr, calls.read_text().splitlines()

    return run


def test_cron_hears_nothing_of_a_good_night(wrapped):
    assert wrapped(0) == (0, "", ["score --params my shop.yaml --sink scores"])


@pytest.mark.parametrize("code", [*FINAL, 137])
def test_cron_hears_of_a_failure_at_once(wrapped, code):
    found, printed, calls = wrapped(code)
    assert (found, len(calls)) == (code, 1)
    assert "a line of log" in printed and f"ended with {code}" in printed


def test_cron_tries_again_when_only_the_moment_was_wrong(wrapped):
    code, printed, calls = wrapped(RETRIED, RETRIED, 0)
    assert (code, printed, len(calls)) == (0, "", 3)


def test_cron_gives_up_in_the_end(wrapped):
    code, printed, calls = wrapped(*[RETRIED] * 5, tries=3)
    assert (code, len(calls)) == (RETRIED, 3)
    assert f"ended with {RETRIED}" in printed


def test_a_signal_to_the_wrapper_reaches_the_program(tmp_path):
    program, started = tmp_path / "program", tmp_path / "started"
    program.write_text(f"#!/bin/sh\ntrap 'exit 143' TERM\ntouch '{started}'\nwhile :; do sleep 0.05; done\n")
    program.chmod(0o755)
    environment = {"PATH": "/usr/bin:/bin", "CHURNLAB": str(program)}
    with subprocess.Popen([WRAPPER], env=environment, stdout=subprocess.PIPE) as running:
        while not started.exists():
            time.sleep(0.01)
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=20) == 143


def test_cron_waits_for_nothing_for_ever(tmp_path):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    environment = {"PATH": "/usr/bin:/bin", "CHURNLAB": str(program), "CHURNLAB_LONGEST": "0.5"}
    done = subprocess.run([WRAPPER], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 124
    assert "ended with 124" in done.stdout


def test_the_crontab_runs_commands_that_exist():
    lines = (DEPLOY / "cron" / "churnlab.crontab").read_text(encoding="utf-8").splitlines()
    jobs = [line.split(maxsplit=6) for line in lines if re.match(r"\d", line)]
    assert [job[5] for job in jobs] == ["churnlab", "churnlab"]
    score, check = (shlex.split(job[6].rpartition("&&")[2]) for job in jobs)
    assert score[0] == "/opt/churnlab/deploy/cron/churnlab-nightly"
    exists(["score", *score[1:]])
    assert (ROOT / Path(check[0]).relative_to("/opt/churnlab")).is_file()


# --- systemd


def test_systemd_tries_again_on_the_one_code_that_calls_for_it():
    service = unit("churnlab-score.service")["Service"]
    assert (service["Restart"], service["RestartForceExitStatus"]) == ("no", str(RETRIED))
    assert service["SuccessExitStatus"] == str(128 + signal.SIGTERM)
    program, *words = shlex.split(service["ExecStart"])
    assert program.endswith("/bin/churnlab")
    exists(words)


def test_units_name_units_that_are_here():
    names = {path.name for path in UNITS}
    for path in UNITS:
        wanted = unit(path.name)["Unit"].get("OnFailure")
        assert wanted is None or wanted.replace("%n", "") in names
        if path.suffix == ".timer":
            assert f"{path.stem}.service" in names
            assert unit(path.name)["Install"]["WantedBy"] == "timers.target"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd on this machine")
def test_systemd_knows_every_word():
    """Only the programs are not there, and the two keys of systemd 254 may be new to it."""
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, UNITS)],
        capture_output=True,
        text=True,
        check=False,
    )
    expected = re.compile(r"Command /opt/\S+ is not executable|Unknown key.*'Restart(Steps|MaxDelaySec)'")
    assert [line for line in done.stderr.splitlines() if not expected.search(line)] == []


# --- container


def test_the_image_runs_as_a_user_and_starts_churnlab():
    found = instructions()
    last = [words for name, words in found if name == "USER"][-1]
    assert last.isdigit() and int(last) > 0
    assert json.loads([words for name, words in found if name == "ENTRYPOINT"][-1]) == ["churnlab"]
    exists(json.loads([words for name, words in found if name == "CMD"][-1]))


def test_what_the_image_copies_is_here_and_reaches_the_builder():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert lines[1] == "*"
    let_in = [line[1:] for line in lines if line.startswith("!")]
    copied = [words.split() for name, words in instructions() if name == "COPY"]
    sources = [source for words in copied if not words[0].startswith("--from") for source in words[:-1]]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert source in let_in


def test_the_image_installs_as_the_readme_does():
    (install,) = [words for name, words in instructions() if name == "RUN" and "pip install" in words]
    words = shlex.split(install)
    assert words[:4] == ["pip", "install", "-c", "constraints.txt"]
    extras = re.fullmatch(r"\.\[([a-z,]+)\]", words[4])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert extras
    assert set(extras[1].split(",")) <= set(project["optional-dependencies"])


def test_both_stages_are_one_python_that_churnlab_allows():
    version = next(words for name, words in instructions() if name == "ARG").removeprefix("PYTHON=")
    bases = [words.split()[0] for name, words in instructions() if name == "FROM"]
    assert bases == ["python:${PYTHON}-slim"] * 2
    assert tuple(map(int, version.split("."))) >= (3, 11)


def test_nothing_that_builds_is_in_the_final_image():
    final = DOCKERFILE.read_text(encoding="utf-8").rpartition("\nFROM ")[2]
    assert not re.search(r"gcc|build-essential|-dev\b|pip install", final)


def test_the_package_that_the_image_installs_is_whole(tmp_path):
    """The wheel holds what an editable install finds in the clone: stages behind a link, templates."""
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path]
    source = tmp_path / "source"
    for name in ("src", "pipelines"):
        shutil.copytree(
            ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("*.egg-info")
        )
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    subprocess.run([*wheel, source], check=True)
    (built,) = tmp_path.glob("*.whl")
    listed = subprocess.run(
        [sys.executable, "-m", "zipfile", "--list", built], capture_output=True, text=True, check=True
    ).stdout
    held = {line.split()[0] for line in listed.splitlines()[1:]}
    package = ROOT / "src" / "churnlab"
    wanted = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    wanted += [package / "pipelines" / path.name for path in (ROOT / "pipelines").glob("*.py")]
    missing = {str(path.relative_to(ROOT / "src")) for path in wanted} - held
    assert not missing


# --- Airflow, Kubernetes


def test_the_dag_runs_a_command_that_exists():
    """Airflow is not installed here; the command line stands in the file as plain words."""
    tree = ast.parse((DEPLOY / "airflow" / "churnlab_nightly.py").read_text(encoding="utf-8"))
    command = next(
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "command"
    )
    words = [node.value for node in ast.walk(command) if isinstance(node, ast.Constant)]
    options = [word for word in words if isinstance(word, str) and word.startswith("--")]
    assert options == ["--params", "--as-of", "--sink", "--restate"]
    exists(["score", "--params", "params.yaml", "--as-of", "2024-01-01", "--sink", "env:S", "--restate"])
    mistakes = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MISTAKES"
    )
    assert mistakes == FINAL


def test_kubernetes_gives_up_on_mistakes_only():
    job = yaml.safe_load((DEPLOY / "kubernetes" / "cronjob.yaml").read_text(encoding="utf-8"))
    spec = job["spec"]["jobTemplate"]["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    rule = spec["podFailurePolicy"]["rules"][0]
    assert (rule["action"], rule["onExitCodes"]["values"]) == ("FailJob", list(FINAL))
    assert rule["onExitCodes"]["containerName"] == container["name"]
    assert spec["template"]["spec"]["restartPolicy"] == "Never"  # a pod failure policy asks for it
    assert spec["template"]["spec"]["securityContext"]["runAsNonRoot"]
    exists(container["args"])


def test_an_ignore_file_lets_no_data_in():
    """What a run writes, by the names of .gitignore, and secrets."""
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for path in ("data", "models", "outputs", "mlflow.db", "runs", "exports", ".env", ".git"):
        assert not any(fnmatch(path, pattern) for pattern in let_in)

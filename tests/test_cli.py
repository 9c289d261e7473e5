"""The command line. Authority: its contract - a mistake is one line on stderr, exit code 2, no traceback."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
import yaml

from churnlab import cli
from churnlab.cli.stages import ORDER
from churnlab.cli.stages import STAGES as COMMANDS_OF_STAGES
from churnlab.config import read_params

STAGES = ["ingest", "features", "train-clv", "train-churn", "evaluate", "register", "prioritise", "report"]
COMMANDS = [
    *([name] for name in [*STAGES, "train_clv", "train_churn", "run", "score", "audit", "backtest", "models"])
]
COMMANDS += [["models", name] for name in ("list", "promote", "rollback")]
HEAVY = ("pandas", "numpy", "mlflow", "lightgbm", "ibis", "duckdb", "sklearn", "plotly")


@pytest.fixture
def params_file(small_log, tmp_path):
    """A params.yaml of the small shop with other values at dotted keys; None takes a key away."""

    def written(**changes: object) -> Path:
        settings = json.loads(json.dumps(small_log.settings | {"workspace": str(tmp_path)}, default=str))
        for dotted, value in changes.items():
            *path, key = dotted.split(".")
            section = settings
            for name in path:
                section = section[name]
            if value is None:
                del section[key]
            else:
                section[key] = value
        file = tmp_path / "params.yaml"
        file.write_text(yaml.safe_dump(settings), encoding="utf-8")
        return file

    return written


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_help(churnlab, words):
    code, out, err = churnlab(*words, "--help")
    assert (code, err) == (0, "")
    assert "Usage" in out


def test_help_lists_every_command(churnlab):
    _, out, _ = churnlab("--help")
    for name in [*STAGES, "run", "score", "audit", "backtest", "models"]:
        assert f" {name} " in out
    assert "train_clv" not in out


def test_every_stage_of_the_pipeline_is_a_command():
    """Authority: dvc.yaml; `score` is the nightly job, which does more than the stage of that name."""
    stages = yaml.safe_load((Path(__file__).parents[1] / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert list(stages) == list(ORDER)
    assert set(stages) == {*COMMANDS_OF_STAGES, "score"}


def test_help_does_not_wait_for_heavy_libraries():
    code = (
        "import sys; sys.argv = ['churnlab', '--help']\n"
        "from churnlab import cli\n"
        "try:\n    cli.main()\n"
        f"finally:\n    sys.stderr.write(','.join(m for m in {HEAVY!r} if m in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage" in done.stdout


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"clv.marjin": 0.3}, "clv.marjin: unknown key"),
        ({"clv.margin": None}, "clv.margin: missing key"),
        ({"clv.margin": 1.5}, "clv.margin: input should be less than or equal to 1, not 1.5"),
        ({"features.horizon_days": 0}, "features.horizon_days"),
        ({"data.dataset": "cdnow"}, "name one of dataset, path and database"),
        ({"decisions.actions": {}}, "decisions.actions"),
        ({"data.path": "nowhere/*.csv"}, "data.path: nothing to read at 'nowhere/*.csv'"),
        ({"data.timezone": "Mars/Olympus"}, "data.timezone"),
        (
            {"data.csv": {"delimiter": ";", "encoding": "utf-8", "decimal": ".", "date_format": None}},
            "delimiter",
        ),
    ],
)
def test_a_mistake_in_the_parameters(mistake, params_file, changes, found):
    assert found in mistake("ingest", "--params", params_file(**changes))


@pytest.mark.parametrize("command", [["ingest"], ["run"], ["score"], ["models", "list"]], ids=" ".join)
def test_a_missing_params_file(mistake, command):
    assert mistake(*command, "--params", "none.yaml").startswith("none.yaml: cannot be read")


def test_params_yaml_is_the_default(mistake):
    assert mistake("ingest").startswith("params.yaml: cannot be read")


@pytest.mark.parametrize("text", ["a: [1", "a: b: c", "", "- 1", "\x00"])
def test_a_params_file_that_is_none(mistake, tmp_path, text):
    (tmp_path / "params.yaml").write_text(text)
    assert mistake("ingest").startswith("params.yaml: ")


@pytest.mark.parametrize("day", ["tomorrow", "2023-02-30", "01/02/2023", "", "2023-5"])
def test_a_bad_day(mistake, params_file, day):
    file = params_file()
    assert mistake("score", "--params", file, "--as-of", day).startswith(f"--as-of: {day!r} is not a day")
    bad_cutoff = mistake("backtest", "--params", file, "--cutoff", day, "--out", "o.parquet")
    assert bad_cutoff.startswith(f"--cutoff: {day!r} is not a day")


@pytest.mark.parametrize("horizon", [0, -3, 3651])
def test_a_bad_horizon(mistake, params_file, horizon):
    words = ["--cutoff", "2023-01-01", "--horizon", horizon, "--out", "o.parquet"]
    assert mistake("backtest", "--params", params_file(), *words).startswith(f"--horizon: {horizon} is not")


def test_a_cutoff_before_the_first_purchase(mistake, params_file, tmp_path):
    words = ["--cutoff", "2020-01-01", "--out", tmp_path / "o.parquet"]
    line = mistake("backtest", "--params", params_file(), *words)
    assert "after the cutoff 2020-01-01: choose a later --cutoff" in line


def test_nobody_known_that_early(mistake, params_file, small_model):
    words = ["--as-of", "2020-01-01", "--model", small_model]
    assert "no customer is known on 2020-01-01" in mistake("score", "--params", params_file(), *words)


def test_a_day_that_no_calendar_of_ours_holds(mistake, params_file, small_model):
    words = ["--as-of", "9999-12-31", "--model", small_model]
    assert "correct --as-of" in mistake("score", "--params", params_file(), *words)


def test_a_missing_model_folder(mistake, params_file):
    assert "is not there" in mistake("score", "--params", params_file(), "--model", "nowhere")


def test_a_folder_that_is_no_model(mistake, params_file, tmp_path):
    assert "name a model folder" in mistake("score", "--params", params_file(), "--model", tmp_path)


def test_an_earlier_stage_that_has_not_run(mistake, params_file):
    assert "run the stage that writes it" in mistake("features", "--params", params_file())


def test_too_little_memory(mistake, params_file):
    """Authority: DuckDB itself, which cannot read the log within 1 MB."""
    file = params_file(**{"engine.memory_limit": "1MB"})
    assert mistake("ingest", "--params", file).startswith("engine.memory_limit: too little")


def test_a_defect_is_not_dressed_up_as_a_mistake(monkeypatch):
    def broken() -> None:
        raise RuntimeError("defect")

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(RuntimeError, match="defect"):
        cli.main()


def test_an_empty_registry(mistake, params_file):
    """Without a packaged model the champion is asked for, and there is none; nor is there one to manage."""
    file = params_file()
    assert "models:/churnlab@champion" in mistake("score", "--params", file)
    assert "models:/churnlab@nobody" in mistake(
        "score", "--params", file, "--model", "models:/churnlab@nobody"
    )
    assert "is no model address" in mistake("score", "--params", file, "--model", "models:/churnlab")
    mistake("models", "promote", "7", "--params", file)
    mistake("models", "promote", "seven", "--params", file)
    mistake("models", "rollback", "--params", file)


def test_one_line_is_all_that_a_real_process_writes(params_file, tmp_path):
    """Libraries' warnings included; standard error as a terminal would show it."""
    words = ["score", "--params", params_file(), "--model", tmp_path / "none"]
    call = [sys.executable, "-m", "churnlab.cli", *map(str, words)]
    done = subprocess.run(call, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and "none" in done.stderr


def test_an_unknown_option_is_clicks_own_message(churnlab):
    code, _, err = churnlab("score", "--nonsense")
    assert code == 2
    assert "--nonsense" in err


def test_score_uses_the_packaged_model_of_the_workspace(churnlab, params_file, small_scorer, tmp_path):
    file = params_file()
    small_scorer.save(tmp_path / "models" / "packaged")
    code, out, err = churnlab("score", "--params", file)
    written = tmp_path / "outputs" / "scores.parquet"
    assert (code, out, err) == (0, f"{written}\n", "")
    assert sorted(path.name for path in written.parent.iterdir()) == [
        "manifest.json",
        "quarantine.parquet",
        "scores.parquet",
    ]
    assert set(pd.read_parquet(written)["model_version"]) == {small_scorer.digest}


def test_score_of_another_day_model_and_folder(churnlab, params_file, small_model, tmp_path):
    words = ["--as-of", "2022-09-01", "--model", small_model, "--out", tmp_path / "elsewhere"]
    code, out, _ = churnlab("score", "--params", params_file(), *words)
    assert (code, out) == (0, f"{tmp_path / 'elsewhere' / 'scores.parquet'}\n")
    manifest = json.loads((tmp_path / "elsewhere" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["as_of"] == "2022-09-01"


def test_backtest_writes_where_it_says(churnlab, params_file, tmp_path):
    file = params_file(**{"churn.members": ["linear"]})
    words = ["--cutoff", "2023-01-15", "--horizon", 30, "--out", tmp_path / "f.parquet"]
    code, out, err = churnlab("backtest", "--params", file, *words)
    assert code == 0
    assert all(line.startswith("2023-01-15: ") for line in err.splitlines())
    assert out.endswith(f"{tmp_path / 'f.parquet'}\n")
    assert pd.read_parquet(tmp_path / "f.parquet")["customer_id"].is_unique


def test_a_stage_runs_alone(churnlab, params_file, tmp_path):
    code, _, err = churnlab("ingest", "--params", params_file())
    assert (code, err) == (0, "")
    assert (tmp_path / "data" / "orders.parquet").is_file()


def test_run_goes_through_the_stages_in_order(churnlab, params_file, monkeypatch):
    done = []
    monkeypatch.setattr(
        cli.stages, "_run_stage", lambda name, params: done.append((name, read_params(params).clv.margin))
    )
    code, _, _ = churnlab("run", "--params", params_file())
    assert code == 0
    assert done == [(name, 0.3) for name in ORDER]


def test_scores_go_to_one_place(mistake, params_file, tmp_path):
    words = ["score", "--params", params_file(), "--out", tmp_path / "a", "--sink", tmp_path / "b"]
    assert mistake(*words).startswith("--out and --sink: name one of them")
    assert mistake(*words[:5], "--restate").startswith("--restate and --format: are for a sink")


def test_a_number_is_a_version_of_the_registered_model(mistake, params_file):
    assert "models:/churnlab/7" in mistake("score", "--params", params_file(), "--model", "7")


def test_scores_are_published_and_audited(churnlab, mistake, params_file, small_model, small_log, tmp_path):
    """Authority: the list itself, read from the folder."""
    sink, file = tmp_path / "lists", params_file()
    words = ["score", "--params", file, "--model", small_model, "--sink", sink, "--as-of"]
    days = [small_log.LAST_DAY - timedelta(days=30), small_log.LAST_DAY]
    for day in days:
        code, out, err = churnlab(*words, day.isoformat())
        assert (code, err) == (0, "")
        assert f"customers on {day}, revision 1" in out
    lists = pd.read_parquet(sink / "scores" / f"as_of={days[0]}")
    row = lists.sort_values("churn_probability").iloc[-1]
    audit = ["audit", row["customer_id"], "--sink", sink, "--date", days[0].isoformat()]
    code, out, _ = churnlab(*audit, "--json")
    (answer,) = map(json.loads, out.splitlines())
    assert code == 0 and answer["row"]["churn_probability"] == row["churn_probability"]
    assert answer["publication"]["model_version"] == row["model_version"]
    assert answer["publication"]["rows"] == len(lists)
    assert f"churn_probability: {row['churn_probability']}" in churnlab(*audit)[1]
    assert "the customer is not on the list" in mistake("audit", "nobody", *audit[2:])
    assert "holds no list of 2001-01-01" in mistake(*audit[:-1], "2001-01-01")
    manifest = json.loads((sink / "manifests" / f"as_of={days[0]}.json").read_text())
    assert manifest["rows"]["scored"] == len(lists) and manifest["revision"] == 1


def test_who_is_forgotten_leaves_the_lists_and_does_not_come_back(
    churnlab, params_file, small_model, small_log, tmp_path
):
    day, sink, file = small_log.LAST_DAY.isoformat(), "sqlite:///lists.db", params_file()
    score = ["score", "--params", file, "--model", small_model, "--sink", sink, "--as-of", day]

    def listed() -> set[str]:
        with closing(sqlite3.connect(tmp_path / "lists.db")) as con:
            return {name for (name,) in con.execute("SELECT customer_id FROM scores")}

    assert churnlab(*score)[0] == 0
    everybody = listed()
    gone = min(everybody)
    code, out, err = churnlab("forget", gone, "--params", file, "--sink", sink)
    assert (code, err) == (0, "")
    assert f"{sink}: scores of {day}\t1\t0\tremaining 0\n" in out
    assert f"\nLists searched: {sink}.\n" in out
    assert listed() == everybody - {gone}
    for _ in range(2):  # the list of those who are left, then the very same run
        code, _, err = churnlab(*score)
        assert (code, err) == (0, "")
        assert listed() == everybody - {gone}


def test_json_lines_tell_the_run(churnlab, params_file, small_model, tmp_path):
    words = ["score", "--params", params_file(), "--model", small_model, "--out", tmp_path / "a"]
    code, _, err = churnlab(*words, "--log", "json")
    events = [json.loads(line) for line in err.splitlines()]
    assert code == 0
    assert [e["step"] for e in events if e["event"] == "step done"] == ["model", "ingest", "score"]
    assert events[-1]["event"] == "step done" or events[-1]["event"] == "scored"
    code, _, err = churnlab(*words[:4], tmp_path / "none", "--log", "json")
    failed, line = err.splitlines()[-2:]
    assert (code, json.loads(failed)["message"]) == (2, line)

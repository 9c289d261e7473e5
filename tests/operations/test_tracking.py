"""Authority: MLflow itself, read back through its own client, `mlflow ui` and `mlflow.pyfunc`."""

import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from churnlab.errors import TrackingError
from churnlab.operations import tracking
from churnlab.operations.served_model import ServedModel
from churnlab.operations.tracking.registry import ensure_registered
from churnlab.operations.tracking_store import require_reachable, tracking_uri

FEATURES = pd.DataFrame({"customer_id": ["a", "b"], "recency": [1.5, float("nan")]})
SCORES = pd.DataFrame({"customer_id": ["a", "b"], "doubled": [3.0, float("nan")], "n": [2, 2]})
STAND_IN = """
import json
class Doubler:
    @classmethod
    def load(cls, folder):
        made = cls()
        made.factor = json.loads((folder / "factor.json").read_text())
        return made
    def predict(self, features, as_of=None):
        doubled = features["recency"] * self.factor
        return features[["customer_id"]].assign(doubled=doubled, n=self.factor)
"""


def start_server(folder: Path, *options: str) -> tuple[subprocess.Popen, str]:
    """A real MLflow server in `folder`, answering."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1", *options]
    settings = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    settings["MLFLOW_DISABLE_TELEMETRY"] = "true"
    settings["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # nine more processes, of no use here
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            words, cwd=folder, env=settings, stdout=log, stderr=log, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=1):
                return server, address
        except OSError:
            time.sleep(0.1)
    stop(server)
    raise AssertionError((folder / "server.log").read_text())


def stop(server: subprocess.Popen) -> None:
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(empty_store, folder / "mlflow.db")
    process, address = start_server(folder)
    yield address
    stop(process)


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["file", "server"])
def root(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path
) -> Path:
    """A project whose runs go to its own mlflow.db, and one whose runs go to a server."""
    folder = tmp_path / "my project"
    folder.mkdir()
    if request.param == "server":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", request.getfixturevalue("server"))
    else:
        shutil.copy(empty_store, folder / "mlflow.db")
    return folder


@pytest.fixture
def experiment(request: pytest.FixtureRequest) -> str:
    """A name of its own for each test, since they share the server."""
    return f"churn {request.node.name}"


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "trained"
    folder.mkdir()
    (folder / "factor.json").write_text("2")
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    return folder


def client(root: Path) -> MlflowClient:
    return MlflowClient(tracking_uri(root))


def record(root: Path, experiment: str, key: str = "k1", **changes) -> str:
    entries = {
        "run_name": "train",
        "params": {"seed": 1},
        "metrics": {"auc": 0.75},
        "tags": {"data_version": "d1"},
    }
    return tracking.record_run(root, experiment=experiment, key=key, **(entries | changes))


def register(root: Path, run_id: str, model_dir: Path, name: str, **tags: str) -> str:
    return tracking.log_model(
        root,
        run_id,
        model_dir,
        registered_name=name,
        input_example=FEATURES,
        output_example=SCORES,
        tags=tags,
        loader="stand_in:Doubler",
        code_paths=[model_dir.parent / "stand_in.py"],
    )


def test_a_run_reads_back(
    root: Path, experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "wide-leaves")
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "lift.csv").write_text("1")
    (tmp_path / "page.html").write_text("<p>")
    require_reachable(root)
    run_id = record(
        root,
        experiment,
        params={"churn": {"max_rounds": 50, "note": "x" * 7000}, **{f"p{i}": i for i in range(150)}},
        metrics={"auc": 0.75, "recall@10%": 0.5, "undefined": float("nan")},
        artifacts=[(tmp_path / "plots", "plots"), (tmp_path / "page.html", "")],
        figures={"lift": "<html>lift</html>"},
    )
    run = client(root).get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "train"
    assert run.data.params["churn.max_rounds"] == "50"
    assert len(run.data.params["churn.note"]) == 500
    assert len(run.data.params) == 152
    assert run.data.metrics["auc"] == 0.75
    assert run.data.metrics["recall_40_10_25_"] == 0.5
    assert math.isnan(run.data.metrics["undefined"])
    assert run.data.tags["data_version"] == "d1"
    assert run.data.tags["churnlab.key"] == "k1"
    assert run.data.tags["dvc_experiment"] == "wide-leaves"
    assert {f.path for f in client(root).list_artifacts(run_id)} == {
        "figures",
        "page.html",
        "params.json",
        "plots",
    }
    whole = json.loads(
        Path(client(root).download_artifacts(run_id, "params.json", str(tmp_path))).read_text()
    )
    assert whole["churn"]["note"] == "x" * 7000


def test_default_artifacts_stay_in_the_project(tmp_path: Path) -> None:
    run_id = record(tmp_path, "churn")
    assert (tmp_path / "mlflow.db").is_file()
    assert (tmp_path / "mlartifacts" / run_id / "artifacts" / "params.json").is_file()
    assert "git_commit" not in client(tmp_path).get_run(run_id).data.tags  # not a repository


def test_the_commit_is_recorded(tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.email=a@example.org", "-c", "user.name=A"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "one"], check=True)
    sha = subprocess.run(
        [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    tags = client(tmp_path).get_run(record(tmp_path, "churn")).data.tags
    assert tags["mlflow.source.git.commit"] == tags["git_commit"] == sha
    assert tags["git_dirty"] == "false"


def test_runs_side_by_side_and_the_newest_by_key(root: Path, experiment: str) -> None:
    assert tracking.find_run(root, experiment, "k1") is None
    first = record(root, experiment, metrics={"auc": 0.7})
    other = record(root, experiment, key="k2", metrics={"auc": 0.8})
    again = record(root, experiment, metrics={"auc": 0.7})
    found = client(root).get_experiment_by_name(experiment)
    listed = {
        run.info.run_id: run.data.metrics["auc"] for run in client(root).search_runs([found.experiment_id])
    }
    assert listed == {first: 0.7, other: 0.8, again: 0.7}
    assert tracking.find_run(root, experiment, "k1") == again
    assert tracking.find_run(root, experiment, "k2") == other
    assert tracking.find_run(root, experiment, "k3") is None


def test_adding_to_a_run(root: Path, experiment: str, tmp_path: Path) -> None:
    run_id = record(root, experiment)
    (tmp_path / "late.txt").write_text("1")
    tracking.add_to_run(root, run_id, {"lift": 2.0}, [(tmp_path / "late.txt", "more")])
    run = client(root).get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"auc": 0.75, "lift": 2.0}
    assert [file.path for file in client(root).list_artifacts(run_id, "more")] == ["more/late.txt"]


def test_a_broken_run_is_failed_and_not_found(root: Path, experiment: str, tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="cannot record run 'train'") as caught:
        record(root, experiment, artifacts=[(tmp_path / "missing.csv", "")])
    assert "\n" not in str(caught.value)
    found = client(root).get_experiment_by_name(experiment)
    assert [run.info.status for run in client(root).search_runs([found.experiment_id])] == ["FAILED"]
    assert tracking.find_run(root, experiment, "k1") is None


def test_registry_promotes_and_rolls_back(root: Path, experiment: str, model_dir: Path) -> None:
    name = "registry"
    assert tracking.champion(root, name, "champion") is None
    assert tracking.list_versions(root, name) == []
    with pytest.raises(TrackingError, match="promote one"):
        tracking.rollback(root, name, "champion")
    run_id = record(root, experiment)
    versions = [register(root, run_id, model_dir, name, model_digest=f"m{i}") for i in range(3)]
    assert versions == ["1", "2", "3"]
    assert tracking.champion(root, name, "champion") is None

    for version in ("1", "2", "2", "3"):
        tracking.promote(root, name, "champion", version)
    best = tracking.champion(root, name, "champion")
    assert best is not None
    assert (best.version, best.run_id, best.aliases) == ("3", run_id, ("champion",))
    assert best.tags == {"model_digest": "m2", "previous_champion": "2"}
    assert [(record.version, record.aliases) for record in tracking.list_versions(root, name)] == [
        ("3", ("champion",)),
        ("2", ()),
        ("1", ()),
    ]
    assert tracking.rollback(root, name, "champion").version == "2"
    assert tracking.rollback(root, name, "champion").version == "1"
    with pytest.raises(TrackingError, match="nothing to go back to"):
        tracking.rollback(root, name, "champion")
    with pytest.raises(TrackingError, match=r"cannot promote version 9 .*churnlab models list"):
        tracking.promote(root, name, "champion", "9")

    for uri in (f"models:/{name}@champion", f"models:/{name}/1", f"runs:/{run_id}/model"):
        fetched = tracking.fetch_model(root, uri)
        assert (fetched.folder / "factor.json").read_text() == "2"
        assert fetched.run_id == run_id
    assert tracking.fetch_model(root, f"models:/{name}@champion").version == "1"
    with pytest.raises(TrackingError, match="cannot fetch model"):
        tracking.fetch_model(root, f"models:/{name}@challenger")


def test_the_champion_predicts_with_its_own_code(root: Path, experiment: str, model_dir: Path) -> None:
    """A fresh process far from the project, with nothing but MLflow and the dependencies."""
    name = "predicts"
    version = register(root, record(root, experiment), model_dir, name)
    tracking.promote(root, name, "champion", version)
    script = (
        "import sys, mlflow, pandas as pd\n"
        "sys.meta_path = [f for f in sys.meta_path if 'ditable' not in str(f)]\n"
        f"model = mlflow.pyfunc.load_model('models:/{name}@champion')\n"
        "import churnlab.operations.served_model as served\n"
        "assert '/code/' in served.__file__, served.__file__\n"
        "out = model.predict(pd.DataFrame({'customer_id': ['c', 'd'], 'recency': [4.0, None]}))\n"
        "print(out.to_json(orient='records'))\n"
        "assert list(model.input_example.columns) == ['customer_id', 'recency']\n"
        "try:\n"
        "    model.predict(pd.DataFrame({'customer_id': ['c']}))\n"
        "except mlflow.exceptions.MlflowException as error:\n"
        "    assert 'recency' in str(error)\n"
        "else:\n"
        "    raise AssertionError('the signature is not enforced')\n"
    )
    settings = {**os.environ, "MLFLOW_TRACKING_URI": tracking_uri(root)}
    done = subprocess.run(
        [sys.executable, "-I", "-c", script],
        cwd=model_dir,
        env=settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        {"customer_id": "c", "doubled": 8.0, "n": 2},
        {"customer_id": "d", "doubled": None, "n": 2},
    ]


def test_a_packaged_model_has_no_pickles_and_pins_what_runs(tmp_path: Path, model_dir: Path) -> None:
    import lightgbm

    register(tmp_path, record(tmp_path, "churn"), model_dir, "m")
    package = tracking.fetch_model(tmp_path, "models:/m/1").folder.parents[1]
    assert (package / "MLmodel").is_file()
    assert not [path for path in package.rglob("*") if path.suffix in (".pkl", ".pickle", ".pyc")]
    requirements = (package / "requirements.txt").read_text().split()
    assert f"lightgbm=={lightgbm.__version__}" in requirements
    assert not [line for line in requirements if line.startswith(("churnlab", "dvc"))]
    assert tracking.fetch_model(tmp_path, str(package)) == (package / "data" / "trained", "local", "")


def test_a_local_folder_needs_no_mlflow(model_dir: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from churnlab.operations import tracking\n"
        f"assert tracking.fetch_model(Path('.'), {str(model_dir)!r}).folder == Path({str(model_dir)!r})\n"
        "assert 'mlflow' not in sys.modules and 'pandas' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    with pytest.raises(TrackingError, match="train a model first"):
        tracking.fetch_model(Path(), "nowhere")


def test_a_bare_ui_shows_the_projects_runs(tmp_path: Path) -> None:
    run_id = record(tmp_path, "churn", figures={"lift": "<html>"})
    process, address = start_server(tmp_path)  # in the project's folder, nothing configured
    try:
        shown = MlflowClient(address)
        found = shown.get_experiment_by_name("churn")
        assert [run.info.run_id for run in shown.search_runs([found.experiment_id])] == [run_id]
        page = f"{address}/get-artifact?path=figures/lift.html&run_uuid={run_id}"
        with urllib.request.urlopen(page, timeout=10) as answer:
            assert answer.read() == b"<html>"
    finally:
        stop(process)


def test_nothing_is_said_while_all_is_well(root: Path, model_dir: Path) -> None:
    """MLflow greets, reports and advises on both streams unless told not to."""
    script = """
import sys
from pathlib import Path
import pandas as pd
from churnlab.operations import tracking
root, model = map(Path, sys.argv[1:])
rows = pd.DataFrame({"customer_id": ["a"], "recency": [1.5], "n": [2]})
run = tracking.record_run(root, experiment="quiet", run_name="r", key="k", params={}, metrics={}, tags={})
version = tracking.log_model(
    root, run, model, registered_name="quiet", input_example=rows, output_example=rows, tags={})
tracking.promote(root, "quiet", "champion", version)
tracking.fetch_model(root, "models:/quiet@champion")
"""
    settings = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    settings["MLFLOW_TRACKING_URI"] = tracking_uri(root)
    words = [sys.executable, "-c", script, str(root), str(model_dir)]
    done = subprocess.run(words, env=settings, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_server_that_goes_away_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:s3cret@127.0.0.1:9")
    with pytest.raises(TrackingError, match="look at the server's log") as caught:
        record(tmp_path, "churn")
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("not a database, but long enough to be taken for one" * 99)
    with pytest.raises(TrackingError, match="check that the file is MLflow's own"):
        tracking.find_run(tmp_path, "churn", "k")


def test_a_moved_project_and_a_deleted_experiment(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    record(old, "churn")
    old.rename(new)
    with pytest.raises(TrackingError, match="move the project back"):
        record(new, "churn")
    found = client(new).get_experiment_by_name("churn")
    client(new).delete_experiment(found.experiment_id)
    with pytest.raises(TrackingError, match="mlflow experiments restore"):
        record(new, "churn")


def test_a_served_model_is_told_the_day_of_its_features() -> None:
    """Without it what was learned of the season would be laid on any day's features."""
    asked = []

    class Recorder:
        def predict(self, features: pd.DataFrame, as_of: date | None = None) -> pd.DataFrame:
            asked.append(as_of)
            return features

    for params in (None, {"as_of": ""}, {"as_of": "2024-02-29"}):
        ServedModel(Recorder()).predict(FEATURES, params)
    assert asked == [None, None, date(2024, 2, 29)]


@pytest.mark.parametrize(
    "uri",
    [
        "models:/../../etc/passwd@champion",
        "models:/../../etc/1",
        "models:/'; DROP TABLE registered_models; --@champion",
        "runs:/../../etc/model",
        "file:///etc/passwd",
        "../../../../etc/passwd",
    ],
)
def test_names_that_leave_the_registry_lead_nowhere(tmp_path, uri):
    with pytest.raises(TrackingError) as caught:
        tracking.fetch_model(tmp_path, uri)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["../../model", "a/b", "a:b", "  "])
def test_the_registry_takes_no_path_for_a_name(tmp_path, name):
    client = MlflowClient(tracking_uri(tmp_path))
    with pytest.raises(MlflowException):
        ensure_registered(client, name)
    assert tracking.list_versions(tmp_path, "model") == []

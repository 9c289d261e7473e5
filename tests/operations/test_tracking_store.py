"""Authority: real sockets and HTTP servers on this machine."""

import base64
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from churnlab.errors import TrackingError
from churnlab.operations.tracking_store import artifact_folder, masked, require_reachable, tracking_uri


class Guarded(BaseHTTPRequestHandler):
    """Lets in user `u` with password `p w`, and whoever brings token `t0k`."""

    def do_GET(self) -> None:
        pair = base64.b64encode(b"u:p w").decode()
        welcome = self.headers.get("Authorization") in (f"Basic {pair}", "Bearer t0k")
        self.send_response(200 if welcome else 401)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def guarded() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Guarded)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("URI", "USERNAME", "PASSWORD", "TOKEN", "AUTH"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_default_is_the_projects_own_file(tmp_path: Path) -> None:
    assert tracking_uri(tmp_path) == f"sqlite:///{tmp_path.resolve()}/mlflow.db"
    assert artifact_folder(tmp_path) == tmp_path.resolve() / "mlartifacts"
    require_reachable(tmp_path)


def test_environment_overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.org/")
    assert tracking_uri(tmp_path) == "https://mlflow.example.org"
    assert artifact_folder(tmp_path) is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///runs/all.db")
    assert tracking_uri(tmp_path) == f"sqlite:///{tmp_path.resolve()}/runs/all.db"


def test_a_server_that_is_down_is_one_line_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ann:s3cret@127.0.0.1:{closed_port()}")
    with pytest.raises(TrackingError, match=r"does not answer \(connection refused\): start it") as caught:
        require_reachable(tmp_path)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_never_replies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("churnlab.operations.tracking_store._TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        with pytest.raises(TrackingError, match="does not answer"):
            require_reachable(tmp_path)


@pytest.mark.parametrize("uri", ["http://", "http://:x/", "http://[::1", "http://no host/"])
def test_an_address_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(TrackingError, match="does not answer"):
        require_reachable(tmp_path)


def test_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guarded: int) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{guarded}")
    with pytest.raises(TrackingError, match=r"refuses \(HTTP 401\): check MLFLOW_TRACKING_USERNAME"):
        require_reachable(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0k")
    require_reachable(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_TOKEN")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "u")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "p w")
    require_reachable(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://u:p%20w@127.0.0.1:{guarded}")
    require_reachable(tmp_path)


def test_credentials_in_mlflows_own_file_are_left_to_mlflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guarded: int
) -> None:
    (tmp_path / ".mlflow").mkdir()
    (tmp_path / ".mlflow" / "credentials").write_text("[mlflow]\n")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{guarded}")
    require_reachable(tmp_path)


def test_a_database_that_is_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"postgresql+psycopg2://ann:s3cret@127.0.0.1:{closed_port()}/mlflow"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(TrackingError, match=r"postgresql\+psycopg2://\*\*\*@127"):
        require_reachable(tmp_path)


def test_folders_are_refused_as_mlflow_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "./mlruns")
    with pytest.raises(TrackingError, match="name a server or sqlite"):
        require_reachable(tmp_path)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="create the folder"):
        require_reachable(tmp_path / "nowhere")


def test_an_unwritable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operating system's answer is stood in for: the superuser may write anywhere."""
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(TrackingError, match="cannot be written to"):
        require_reachable(tmp_path)


def test_masking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0k")
    assert masked("at http://a:b@c/d?x=t0k and https://e@f") == "at http://***@c/d?x=*** and https://***@f"

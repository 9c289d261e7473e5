"""Where MLflow keeps runs and models: mlflow.db in the project, or MLFLOW_TRACKING_URI."""

from __future__ import annotations

import base64
import os
import re
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException
from pathlib import Path

from churnlab.errors import SilentError, TrackingError

_TIMEOUT_SECONDS = 5.0
_TRIES = 2
_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
# /health answers anybody; this endpoint also tells whether the credentials are good.
_PROBE = "/api/2.0/mlflow/experiments/search?max_results=1"


def tracking_uri(root: Path) -> str:
    """MLFLOW_TRACKING_URI, or the SQLite file `mlflow.db` in `root`, where `mlflow ui` looks for it.

    A relative SQLite path is taken from `root`, so that stages run elsewhere find the same file.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI", "").strip().rstrip("/") or "sqlite:///mlflow.db"
    path = _sqlite_path(uri)
    return uri if path is None else f"sqlite:///{(root.resolve() / path).as_posix()}"


def artifact_folder(root: Path) -> Path | None:
    """Where artifacts go: `mlartifacts` in `root`; None if a server decides."""
    scheme = _scheme(tracking_uri(root))
    return root.resolve() / "mlartifacts" if scheme == "sqlite" or scheme in _PORTS else None


def place(root: Path) -> str:
    """The store's address for messages: credentials masked, the project's own file by its name."""
    uri = tracking_uri(root)
    path = _sqlite_path(uri)
    if path is None:
        return masked(uri)
    return path.name if path.parent == root.resolve() else str(path)


def masked(text: str) -> str:
    """`text` without the credentials of the URLs in it, and without those in MLflow's variables."""
    for name in ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"):
        secret = os.environ.get(name)
        if secret:
            text = text.replace(secret, "***")
    return re.sub(r"://[^/\s]*@", "://***@", text)


def require_reachable(root: Path) -> None:
    """Raise at once, before hours of work, if runs could not be recorded.

    A server is asked once or twice, for at most five seconds each; MLflow itself is not imported.

    Raises
    ------
    SilentError
        The server does not answer.
    TrackingError
        It refuses the credentials, or the folder cannot be written to.
    """
    uri = tracking_uri(root)
    scheme = _scheme(uri)
    if scheme in ("http", "https"):
        _require_server(uri)
    elif scheme == "sqlite":
        _require_writable(_sqlite_path(uri))
    elif scheme in _PORTS:
        _require_port(uri, scheme)
    elif scheme in ("", "file") and not os.environ.get("MLFLOW_ALLOW_FILE_STORE"):
        raise TrackingError(
            f"MLFLOW_TRACKING_URI={masked(uri)}: MLflow no longer keeps runs in a folder: "
            "name a server or sqlite:///mlflow.db, or unset it to use mlflow.db here"
        )


def _scheme(uri: str) -> str:
    """The scheme without a database driver: `postgresql+psycopg2://…` is `postgresql`."""
    head, mark, _ = uri.partition(":")
    return head.partition("+")[0].lower() if mark else ""


def _sqlite_path(uri: str) -> Path | None:
    return Path(uri.partition(":///")[2]) if _scheme(uri) == "sqlite" else None


def _require_writable(path: Path | None) -> None:
    if path is None:
        return
    where = path if path.exists() else path.parent
    if not where.exists():
        raise TrackingError(f"{where}: is not there, so MLflow cannot keep runs in it: create the folder")
    if not os.access(where, os.W_OK):
        raise TrackingError(f"{where}: cannot be written to, so runs would be lost: mend its permissions")


def _require_port(uri: str, scheme: str) -> None:
    address = urllib.parse.urlsplit(uri)
    try:
        port = address.port or _PORTS[scheme]
        socket.create_connection((address.hostname or "localhost", port), _TIMEOUT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise _silent(uri, error) from None


def _require_server(uri: str) -> None:
    for attempt in range(1, _TRIES + 1):
        try:
            request = _request(uri)
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS, context=_tls()):
                return
        except urllib.error.HTTPError as error:
            if error.code in (401, 403) and _credentials_elsewhere(request):
                return
            if error.code < 500 or attempt == _TRIES:
                raise _refused(uri, error.code) from None
        except (OSError, ValueError, HTTPException) as error:
            if attempt == _TRIES:
                raise _silent(uri, error) from None


def _request(uri: str) -> urllib.request.Request:
    """The probe, with the credentials of the environment or, as MLflow does, of the address."""
    address = urllib.parse.urlsplit(uri)
    user = os.environ.get("MLFLOW_TRACKING_USERNAME") or urllib.parse.unquote(address.username or "")
    password = os.environ.get("MLFLOW_TRACKING_PASSWORD") or urllib.parse.unquote(address.password or "")
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    bare = address._replace(netloc=address.netloc.rpartition("@")[2]).geturl()
    request = urllib.request.Request(bare + _PROBE)
    if user:
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {pair}")
    elif token:
        request.add_header("Authorization", f"Bearer {token}")
    return request


def _credentials_elsewhere(request: urllib.request.Request) -> bool:
    """Whether MLflow would find credentials where the probe does not look."""
    if request.has_header("Authorization"):
        return False
    plugins = os.environ.get("MLFLOW_TRACKING_AUTH") or os.environ.get("MLFLOW_TRACKING_AWS_SIGV4")
    return bool(plugins) or (Path.home() / ".mlflow" / "credentials").is_file()


def _tls() -> ssl.SSLContext:
    """As MLflow's client: its own certificate file if named, no check at all only if asked for."""
    context = ssl.create_default_context(cafile=os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH"))
    if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _silent(uri: str, error: Exception) -> SilentError:
    reason = getattr(error, "reason", error)
    finding = getattr(reason, "strerror", None) or str(reason) or "no answer"
    return SilentError(
        f"MLflow at {masked(uri)} does not answer ({masked(finding.lower())}): "
        "start it, or unset MLFLOW_TRACKING_URI to use mlflow.db here"
    )


def _refused(uri: str, status: int) -> TrackingError:
    if status in (401, 403):
        mend = "check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
    elif status >= 500:
        mend = "look at its log, or unset MLFLOW_TRACKING_URI to use mlflow.db here"
    else:
        mend = "check that MLFLOW_TRACKING_URI is the address of an MLflow server"
    kind = SilentError if status >= 500 else TrackingError
    return kind(f"MLflow at {masked(uri)} refuses (HTTP {status}): {mend}")

"""Posts messages to the webhook of the shop's mailing or calling software."""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from churnlab.errors import ConfigError, SinkError
from churnlab.operations.sinks.retrying import PassingError, Patience, persist

PASSING = (408, 425, 429)  # and all from 500 on
TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Webhook:
    """Where messages go. The URL holds secrets: it is in no message, file or log.

    Attributes
    ----------
    name
        Of the environment variable that holds the URL.
    """

    url: str = field(repr=False)
    name: str
    patience: Patience

    @classmethod
    def of(cls, environment: Mapping[str, str], name: str, patience: Patience) -> Webhook:
        """The webhook that an environment variable names.

        Raises
        ------
        ConfigError
            It is not set, is no URL, or would send messages unencrypted to another machine.
        """
        url = environment.get(name, "").strip()
        if not url:
            raise ConfigError(f"{name}: is not set: put the URL of the webhook into this variable")
        try:
            parts = urlsplit(url)
            host, with_user, _ = parts.hostname, parts.username is not None, parts.port
        except ValueError:
            host, with_user = None, False
        if not host or parts.scheme not in ("http", "https") or not url.isascii() or len(url.split()) > 1:
            raise ConfigError(f"{name}: does not hold a URL: write it as https://HOST/PATH, in ASCII")
        if with_user:
            raise ConfigError(f"{name}: holds a user name: put the webhook's secret into its path")
        if parts.scheme != "https" and not is_loopback(host):
            raise ConfigError(f"{name}: is not encrypted: use https:// unless the host is this machine")
        return cls(url, name, patience)

    def post(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Hand over rows as JSON lines; what only the moment stands in the way of is tried again.

        Parameters
        ----------
        rows
            Each with its `idempotency_key`.

        Raises
        ------
        SinkError
            The webhook refuses them, or cannot be trusted.
        TryLaterError
            It still did not take them when the patience was over.
        """
        body = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode()
        key = digest([row["idempotency_key"] for row in rows])
        headers = {"Content-Type": "application/x-ndjson; charset=utf-8", "Idempotency-Key": key}
        persist(lambda: self._post(body, headers), self.patience)

    def _post(self, body: bytes, headers: dict[str, str]) -> None:
        request = urllib.request.Request(self.url, body, headers, method="POST")
        try:
            with _opener(urlsplit(self.url).hostname or "").open(request, timeout=TIMEOUT_SECONDS):
                return
        except urllib.error.HTTPError as error:
            error.close()
            status, pause = error.code, error.headers.get("Retry-After", "")
        except ssl.SSLCertVerificationError:
            raise self._untrusted() from None
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                raise self._untrusted() from None
            raise PassingError(f"the webhook of {self.name} cannot be reached") from None
        except (OSError, http.client.HTTPException):
            raise PassingError(f"the webhook of {self.name} does not answer") from None
        if status not in PASSING and status < 500:
            raise SinkError(
                f"the webhook of {self.name} refuses the messages (HTTP {status}): check its URL and what it "
                "takes, then run the command again: only what it has not accepted is sent"
            )
        if pause.isascii() and pause.isdigit():
            self.patience.sleep(min(float(pause), self.patience.total_seconds))
        raise PassingError(f"the webhook of {self.name} is overloaded or broken (HTTP {status})")

    def _untrusted(self) -> SinkError:
        return SinkError(f"the webhook of {self.name} shows no valid certificate: nothing was sent to it")


class _Straight(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: it might lead to another machine, or out of encryption."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _opener(host: str) -> urllib.request.OpenerDirector:
    straight = [urllib.request.ProxyHandler({})] if is_loopback(host) else []
    return urllib.request.build_opener(_Straight, *straight)


def is_loopback(host: str) -> bool:
    """Whether the host is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def digest(parts: Sequence[str]) -> str:
    """A key of texts: equal ones have equal keys, in any run."""
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()

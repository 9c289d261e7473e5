"""A webhook on this machine that fails as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "s3cret"


class Hook:
    """Answers with the statuses it was given, then with 200; 0 hangs up. Keeps the rows that it accepted."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.rows: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.posts = 0
        self.pauses: list[float] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.posts += 1
                hook.keys.append(self.headers["Idempotency-Key"])
                status = hook.answers.pop(0) if hook.answers else 200
                if not status:
                    self.connection.close()
                    return
                if status < 300:
                    hook.rows += [json.loads(line) for line in body.decode().split("\n") if line]
                self.send_response(status)
                if status == 429:
                    self.send_header("Retry-After", "7")
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/{SECRET}"


@contextmanager
def listening() -> Iterator[Hook]:
    """A hook that answers in a thread of its own."""
    made = Hook()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        thread.join()
        made.server.server_close()

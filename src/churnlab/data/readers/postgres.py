"""What PostgreSQL takes: moments that Python cannot hold, as text; outages, told from refusals."""

from __future__ import annotations

from typing import Any

KINDS = {"date": "DateLoader", "timestamp": "TimestampLoader", "timestamptz": "TimestamptzLoader"}
# what libpq says when the same call may succeed in a moment
OUTAGES = (
    "Connection refused",
    "No such file or directory",  # of the socket, while the server is down
    "Connection reset",
    "Connection timed out",
    "No route to host",
    "Network is unreachable",
    "Broken pipe",
    "timeout expired",
    "Temporary failure in name resolution",
    "server closed the connection",
    "no connection to the server",
    "terminating connection",
    "could not receive data",
    "could not send data",
    "SSL SYSCALL",
    "SSL connection has been closed",
    "the database system is",  # starting up, shutting down, in recovery
    "too many clients",
    "too many connections",
    "remaining connection slots",
)


def is_away(message: str) -> bool:
    """Whether an error tells of a server that is away, rather than of one that refuses."""
    return any(phrase in message for phrase in OUTAGES)


def read_any_moment(connection: Any) -> None:
    """Set up a psycopg connection so that one such cell does not end the whole read."""
    from psycopg.types import datetime as loaders  # noqa: PLC0415 - an extra

    for kind, loader in KINDS.items():
        connection.adapters.register_loader(kind, _with_text(getattr(loaders, loader)))


def _with_text(loader: type[Any]) -> type[Any]:
    from psycopg import DataError  # noqa: PLC0415

    class TextLoader(loader):  # type: ignore[misc]
        def load(self, data: Any) -> Any:
            try:
                return super().load(data)
            except DataError:
                return bytes(data).decode()

    return TextLoader

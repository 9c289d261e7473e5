"""Has psycopg give the days and moments that Python cannot hold, such as infinity, as their text."""

from __future__ import annotations

from typing import Any

KINDS = {"date": "DateLoader", "timestamp": "TimestampLoader", "timestamptz": "TimestamptzLoader"}


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

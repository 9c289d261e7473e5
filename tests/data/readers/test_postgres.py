"""Authority: the text in which PostgreSQL itself writes its moments."""

from datetime import date, datetime

import pytest

from churnlab.config import Database, Source
from churnlab.data.readers import databases
from churnlab.data.readers.cells import text
from churnlab.data.readers.raw_lines import Request


@pytest.mark.parametrize("kind", ["date", "timestamp", "timestamptz"])
def test_moments_that_python_has_not_are_their_text(postgres_url, monkeypatch, kind):
    monkeypatch.setenv("SHOP_DATABASE", postgres_url)
    moments = ("2024-03-01", "infinity", "-infinity", "0044-03-15 BC", "12024-03-01")
    rows = ", ".join(f"('{moment}'::{kind})" for moment in moments)
    query = f"SELECT id, id::text AS text FROM (VALUES {rows}) AS t(id)"
    request = Request(
        Source(database=Database(url_env="SHOP_DATABASE", query=query)), {"ts": "id", "channel": "text"}
    )
    (first, _), *others = databases.rows(request)
    assert isinstance(first, date)
    assert [value for value, _ in others] == [told for _, told in others]
    assert len(others) == 4


def test_other_moments_are_what_they_were(postgres_url, monkeypatch):
    monkeypatch.setenv("SHOP_DATABASE", postgres_url)
    query = "SELECT '2024-03-01 10:00:00.5'::timestamp AS a, '2024-03-01 10:00+03:30'::timestamptz AS b"
    request = Request(Source(database=Database(url_env="SHOP_DATABASE", query=query)), {"a": "a", "b": "b"})
    ((naive, aware),) = databases.rows(request)
    assert naive == datetime(2024, 3, 1, 10, 0, 0, 500_000)
    assert text(aware) == "2024-03-01T06:30:00+00:00"

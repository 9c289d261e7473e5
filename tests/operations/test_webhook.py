"""Messages to a webhook. Authority: what a real server on this machine took, in the order it took it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from _hook import SECRET, Hook, listening
from churnlab.errors import ChurnlabError, ConfigError, DataError, SinkError, TryLaterError
from churnlab.operations.handing_over import Outgoing, hand_over
from churnlab.operations.sinks.locks import exclusive
from churnlab.operations.sinks.retrying import Patience
from churnlab.operations.webhook import Webhook, is_loopback

NAME = "SHOP_HOOK"
DAY = date(2024, 6, 28)


@pytest.fixture
def hook() -> Iterator[Hook]:
    with listening() as made:
        yield made


def client_of(hook: Hook) -> Webhook:
    return Webhook.of({NAME: hook.url}, NAME, Patience(60.0, 0.01, 0.01, hook.pauses.append))


def outgoing(folder: Path, customers: str = "abcde", action: str = "note") -> Outgoing:
    rows = [
        {"customer_id": c, "channel": "email", "action": action, "text": f"سلام {c}\u2028"} for c in customers
    ]
    return Outgoing(DAY, rows, folder / "sent" / f"{DAY}.jsonl")


def test_all_arrive_once_through_answers_that_fail(hook: Hook, tmp_path: Path) -> None:
    """Three batches of two, two and one; the second fails four times. A rerun posts nothing."""
    hook.answers = [200, 503, 0, 429, 500]
    found = outgoing(tmp_path)
    assert hand_over(found, client_of(hook).post, 2) == 5
    assert [row["customer_id"] for row in hook.rows] == list("abcde")
    assert hook.rows[0].items() >= found.messages[0].items()
    assert {row["as_of"] for row in hook.rows} == {"2024-06-28"}
    assert len({row["idempotency_key"] for row in hook.rows}) == 5
    assert hook.posts == 7
    assert len(set(hook.keys)) == 3
    assert len(set(hook.keys[1:6])) == 1
    assert 7.0 in hook.pauses
    assert hand_over(found, client_of(hook).post, 2) == 0
    assert hook.posts == 7


def test_a_refusal_ends_the_run_and_the_next_one_sends_the_rest(hook: Hook, tmp_path: Path) -> None:
    hook.answers = [200, 400]
    found = outgoing(tmp_path)
    with pytest.raises(SinkError, match=r"refuses the messages \(HTTP 400\)") as refusal:
        hand_over(found, client_of(hook).post, 2)
    assert SECRET not in str(refusal.value)
    assert [row["customer_id"] for row in found.accepted()] == ["a", "b"]
    assert hand_over(found, client_of(hook).post, 2) == 3
    assert [row["customer_id"] for row in hook.rows] == list("abcde")


def test_a_batch_that_was_taken_but_not_noted_comes_with_the_same_keys(hook: Hook, tmp_path: Path) -> None:
    """The run ends between the post and the ledger, as by SIGTERM."""
    found = outgoing(tmp_path)

    def ends(rows: Any) -> None:
        client_of(hook).post(rows)
        raise SystemExit(143)

    with pytest.raises(SystemExit):
        hand_over(found, ends, 5)
    assert not found.ledger.exists()
    assert [path.name for path in found.ledger.parent.iterdir()] == [f".{found.ledger.name}.lock"]
    assert hand_over(found, client_of(hook).post, 5) == 5
    assert hook.rows[:5] == hook.rows[5:]
    assert len(set(hook.keys)) == 1


def test_another_action_is_no_second_message_of_a_list(hook: Hook, tmp_path: Path) -> None:
    assert hand_over(outgoing(tmp_path, "ab"), client_of(hook).post, 9) == 2
    assert hand_over(outgoing(tmp_path, "abc", "gift"), client_of(hook).post, 9) == 1
    assert [row["customer_id"] for row in hook.rows] == ["a", "b", "c"]
    later = Outgoing(date(2024, 6, 29), outgoing(tmp_path).messages, tmp_path / "sent" / "2024-06-29.jsonl")
    assert hand_over(later, client_of(hook).post, 9) == 5


@pytest.mark.parametrize("status", [302, 401, 404, 413])
def test_what_does_not_pass_is_not_tried_again(hook: Hook, tmp_path: Path, status: int) -> None:
    hook.answers = [status]
    with pytest.raises(SinkError, match=f"HTTP {status}"):
        hand_over(outgoing(tmp_path), client_of(hook).post, 9)
    assert hook.posts == 1


def test_nobody_there_is_another_time(hook: Hook, tmp_path: Path) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        client = Webhook(f"http://127.0.0.1:{deaf.getsockname()[1]}/{SECRET}", NAME, Patience(0.0))
        with pytest.raises(TryLaterError, match=f"the webhook of {NAME} cannot be reached") as failure:
            hand_over(outgoing(tmp_path), client.post, 9)
    assert SECRET not in str(failure.value)
    assert SECRET not in repr(client)
    hook.answers = [503] * 3
    with pytest.raises(TryLaterError, match=r"HTTP 503\): run the same command again later"):
        Webhook.of({NAME: hook.url}, NAME, Patience(0.0)).post([{"idempotency_key": "k"}])


def test_two_runs_at_once(hook: Hook, tmp_path: Path) -> None:
    found = outgoing(tmp_path)
    found.ledger.parent.mkdir()
    lock = found.ledger.with_name(f".{found.ledger.name}.lock")
    with exclusive(lock, "x"), pytest.raises(TryLaterError, match="messages of 2024-06-28 are being sent"):
        hand_over(found, client_of(hook).post, 9)
    assert not hook.posts


@pytest.mark.parametrize("content", ["{", '{"customer_id": "a"}', "[1]"])
def test_a_damaged_ledger_is_a_finding(hook: Hook, tmp_path: Path, content: str) -> None:
    found = outgoing(tmp_path)
    found.ledger.parent.mkdir()
    found.ledger.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="is damaged: restore it"):
        hand_over(found, client_of(hook).post, 9)
    assert not hook.posts


@pytest.mark.parametrize(
    ("url", "finding"),
    [
        (None, "is not set"),
        ("  ", "is not set"),
        ("shop.example", "does not hold a URL"),
        ("ftp://shop.example/x", "does not hold a URL"),
        ("https://", "does not hold a URL"),
        ("https://[::1/x", "does not hold a URL"),
        ("https://shop.example:port/x", "does not hold a URL"),
        ("https://shop.example/a b", "does not hold a URL"),
        ("https://ann:pw@shop.example/x", "holds a user name"),
        ("http://shop.example/x", "is not encrypted"),
        ("http://127.0.0.1.shop.example/x", "is not encrypted"),
        ("http://10.0.0.1/x", "is not encrypted"),
    ],
)
def test_urls_that_are_refused(url: str | None, finding: str) -> None:
    environment = {} if url is None else {NAME: url}
    with pytest.raises(ConfigError, match=f"^{NAME}: {finding}") as refusal:
        Webhook.of(environment, NAME, Patience())
    assert isinstance(refusal.value, ChurnlabError)
    assert "shop.example" not in str(refusal.value)


def test_urls_that_are_taken() -> None:
    for url in ("https://shop.example/x", "http://localhost:8080/x", "http://[::1]/x", "http://127.0.0.2/"):
        assert Webhook.of({NAME: f" {url}\n"}, NAME, Patience()).url == url
    assert [is_loopback(host) for host in ("127.0.0.1", "localhost", "shop.example")] == [True, True, False]

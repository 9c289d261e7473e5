"""Trying again. Authority: the pauses counted by hand, through a sleep that only adds up."""

from __future__ import annotations

import pytest

from churnlab.errors import SinkError, TryLaterError
from churnlab.operations.sinks.retrying import PassingError, Patience, persist


def failing(times, error):
    """Fails so often, then answers with the number of calls."""
    calls = []

    def action():
        calls.append(1)
        if len(calls) <= times:
            raise error
        return len(calls)

    return action, calls


@pytest.fixture
def pauses():
    return []


def patience(pauses, total=100.0):
    return Patience(total, first_seconds=1.0, longest_seconds=4.0, sleep=pauses.append)


def test_pauses_double_up_to_the_longest_with_jitter(pauses):
    action, _ = failing(5, PassingError("away"))
    assert persist(action, patience(pauses)) == 6
    for pause, least in zip(pauses, [1, 2, 4, 4, 4], strict=True):
        assert least <= pause <= least + 1
    assert len({pause % 1 for pause in pauses}) > 1


def test_no_pause_after_success(pauses):
    action, _ = failing(0, PassingError("away"))
    assert (persist(action, patience(pauses)), pauses) == (1, [])


def test_it_gives_up_before_the_time_is_over(pauses):
    """A pause that would end later than the total time is not begun; sleep takes no time here."""
    action, calls = failing(10**6, PassingError("host: the server is away"))
    with pytest.raises(TryLaterError, match=r"^host: the server is away: run the same command again later$"):
        persist(action, patience(pauses, total=0.5))
    assert (len(calls), pauses) == (1, [])


def test_what_no_retry_can_help_is_raised_at_once(pauses):
    action, calls = failing(1, SinkError("the password is wrong"))
    with pytest.raises(SinkError, match="password"):
        persist(action, patience(pauses))
    assert (len(calls), pauses) == (1, [])


def test_the_time_is_that_of_the_clock():
    action, calls = failing(10**6, PassingError("away"))
    with pytest.raises(TryLaterError):
        persist(action, Patience(0.2, first_seconds=0.01, longest_seconds=0.02))
    assert 2 <= len(calls) <= 20

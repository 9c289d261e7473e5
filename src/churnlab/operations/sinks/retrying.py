"""Tries again what only the moment stands in the way of."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import tenacity

from churnlab.errors import TryLaterError

T = TypeVar("T")


class PassingError(Exception):
    """The same call may succeed in a moment. The message is one line without secrets."""


@dataclass(frozen=True)
class Patience:
    """For how long to try again, in seconds: pauses double from the first to the longest, with jitter."""

    total_seconds: float = 120.0
    first_seconds: float = 0.5
    longest_seconds: float = 15.0
    sleep: Callable[[float], None] = time.sleep


def persist(action: Callable[[], T], patience: Patience) -> T:
    """The action's answer, tried again after every PassingError.

    Raises
    ------
    TryLaterError
        It still failed when the time was up.
    """
    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(PassingError),
        stop=tenacity.stop_before_delay(patience.total_seconds),
        wait=tenacity.wait_exponential(multiplier=patience.first_seconds, max=patience.longest_seconds)
        + tenacity.wait_random(0, patience.first_seconds),
        sleep=patience.sleep,
        reraise=True,
    )
    try:
        return attempts(action)
    except PassingError as error:
        raise TryLaterError(f"{error}: run the same command again later") from None

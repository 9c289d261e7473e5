"""Who is left alone on purpose, so that the effect of contacts can be measured."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pandas as pd

from churnlab.config import Decisions
from churnlab.decisions.optimiser import NOBODY

ANY = -2  # held out of whatever action it would have been


def draws(customer_id: pd.Series, salt: str) -> np.ndarray:
    """A number from 0 to 1 per customer, by a salted digest: never by the order of rows, runs or actions."""
    texts = salt + "\x1f" + customer_id.astype(str)
    drawn = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64 for text in texts]
    return np.array(drawn, dtype=np.float64)


def shares_of(settings: Decisions) -> np.ndarray:
    """The share that is held out of each action, in the order of `settings.actions`."""
    own = [contact.control_share for contact in settings.actions.values()]
    return np.array([settings.control_share if share is None else share for share in own])


def assigned(
    customer_id: pd.Series, salt: str, shares: np.ndarray, would_be: Callable[[], np.ndarray]
) -> np.ndarray:
    """Which action each customer is held out of: its number, `ANY`, or `NOBODY` for who is not.

    A customer's draw is the same for all actions: who is held out of one is held out of every action with a
    greater share. It is compared with the share of the action that the customer would get if nobody were held
    out, so that treated and held-out customers of an action differ by chance alone.

    Parameters
    ----------
    shares
        Of each action, 0 to 1.
    would_be
        Gives that action of each customer; asked only where shares differ.
    """
    drawn = draws(customer_id, salt)
    if (shares == shares[0]).all():
        return np.where(drawn < shares[0], ANY, NOBODY)
    action = would_be()
    return np.where(drawn < shares[action], action, NOBODY)

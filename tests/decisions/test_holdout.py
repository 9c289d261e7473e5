"""Who is held out: by a digest alone, by the share of the action."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnlab.decisions.holdout import ANY, assigned, draws
from churnlab.decisions.optimiser import NOBODY

NAMES = pd.Series([f"kunde-{k}" for k in range(20_000)], dtype="str")


def unasked() -> np.ndarray:
    raise AssertionError("where shares are equal, no plan need be made first")


def test_a_draw_by_hand():
    """The first eight bytes of the digest, as a share of all there are."""
    digest = hashlib.sha256("salt\x1fمشتری".encode()).hexdigest()
    assert draws(pd.Series(["مشتری"]), "salt").tolist() == [int(digest[:16], 16) / 16**16]


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5])
def test_one_share_for_all_holds_out_of_any_action(share):
    found = assigned(NAMES, "s", np.full(3, share), unasked)
    assert set(found) <= {ANY, NOBODY}
    spread = 5 * np.sqrt(len(NAMES) * share * (1 - share))
    assert (found == ANY).sum() == pytest.approx(len(NAMES) * share, abs=spread)


def test_every_action_holds_out_its_own_share():
    """Binomial, five standard deviations; and of one with a share of 0 nobody."""
    would_be = np.arange(len(NAMES)) % 3
    shares = np.array([0.0, 0.1, 0.4])
    found = assigned(NAMES, "s", shares, lambda: would_be)
    for action, share in enumerate(shares):
        own = found[would_be == action]
        assert set(own) <= {action, NOBODY}
        spread = 5 * np.sqrt(len(own) * share * (1 - share))
        assert (own == action).sum() == pytest.approx(len(own) * share, abs=spread)


@given(st.permutations(range(12)), st.lists(st.floats(0, 0.99), min_size=4, max_size=4))
def test_the_order_of_customers_is_no_matter(order, shares):
    names, would_be = NAMES[:12], np.arange(12) % 4
    found = assigned(names, "s", np.array(shares), lambda: would_be)
    other = assigned(names.iloc[order], "s", np.array(shares), lambda: would_be[order])
    assert (found[order] == other).all()

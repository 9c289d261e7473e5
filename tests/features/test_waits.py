"""Authority: ledgers worked out by hand, and SciPy's estimator of a right-censored distribution."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import CensoredData, ecdf

from churnlab.features.waits import purchase_days, quantiles, silent_after, survival, waits, waits_from

AS_OF = date(2024, 3, 1)
ROWS = [
    ("a", "2024-01-01", 5.0),
    ("a", "2024-01-01", 7.0),  # the same day: one purchase day
    ("a", "2024-01-11", 5.0),
    ("a", "2024-02-20", -5.0),  # a return is no purchase
    ("b", "2024-01-01", 5.0),
    ("b", "2024-01-11", 5.0),
    ("b", "2024-03-01", 5.0),
    ("c", "2024-03-02", 5.0),  # after the last day that counts
]


def counted(rows: list[tuple[int, bool, int]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["days", "returned", "n"])
    return frame.astype({"days": "int64", "returned": bool, "n": "int64"})


def test_waits_by_hand(ledger: Any) -> None:
    """a waits 10 days and is silent for 50; b waits 10 and 50 and has just bought."""
    found = waits(purchase_days(ledger(ROWS), AS_OF), AS_OF)
    assert found.to_records(index=False).tolist() == [
        (0, False, False, 1),
        (10, True, True, 2),
        (50, False, False, 1),
        (50, True, False, 1),
    ]


def test_waits_from_a_day_by_hand(ledger: Any) -> None:
    """On 5 January a and b are known: both buy 6 days later. On 20 January b buys after 41 days, a never."""
    days = purchase_days(ledger(ROWS), AS_OF)
    first, later = (waits_from(days, date(2024, 1, start), AS_OF) for start in (5, 20))
    assert first.to_records(index=False).tolist() == [(6, True, 2)]
    assert later.to_records(index=False).tolist() == [(41, False, 1), (41, True, 1)]


def test_survival_by_hand() -> None:
    """Of 4 waits one ends on day 2; one is cut on day 2, and of the two left one ends on day 3."""
    curve = survival(counted([(2, True, 1), (2, False, 1), (3, True, 1), (4, False, 1)]))
    assert curve["days"].to_list() == [1, 2, 3, 4]
    assert curve["at_risk"].to_list() == [4, 4, 2, 1]
    assert curve["silent"].to_list() == pytest.approx([1.0, 0.75, 0.375, 0.375])
    assert (silent_after(curve, 0), silent_after(curve, 3), silent_after(curve, 5)) == (1.0, 0.375, None)
    assert survival(counted([])).empty


@given(st.lists(st.tuples(st.integers(1, 30), st.booleans(), st.integers(1, 4)), min_size=1, max_size=40))
def test_survival_is_scipys(rows: list[tuple[int, bool, int]]) -> None:
    curve = survival(counted(rows))
    ended = [days for days, returned, n in rows if returned for _ in range(n)]
    cut = [days for days, returned, n in rows if not returned for _ in range(n)]
    peer = ecdf(CensoredData(uncensored=ended, right=cut)).sf
    assert curve["silent"].to_numpy() == pytest.approx(peer.evaluate(curve["days"].to_numpy()), abs=1e-12)


def test_a_short_log_does_not_make_waits_look_short(ledger: Any) -> None:
    """Exponential waits of 40 days on average, seen for 120: e^(-60/40) of them are longer than 60 days.

    Of the waits that ended within the log far fewer are.
    """
    rng = np.random.default_rng(4)
    rows = []
    for customer in range(400):
        at = rng.uniform(0, 40)
        while at < 120:
            rows.append((f"c{customer}", str(date(2024, 1, 1) + timedelta(days=int(at))), 1.0))
            at += rng.exponential(40.0)
    last = date(2024, 1, 1) + timedelta(days=119)
    found = waits(purchase_days(ledger(rows), last), last)
    silent = silent_after(survival(found), 60)
    assert silent == pytest.approx(np.exp(-1.5), abs=0.03)
    ended = found[found["returned"]]
    assert ended.loc[ended["days"] > 60, "n"].sum() / ended["n"].sum() < 0.5 * np.exp(-1.5)


def test_quantiles_are_those_of_the_list() -> None:
    """Waits 1, 1, 2, 5 and one that is not over."""
    table = counted([(1, True, 2), (2, True, 1), (5, True, 1), (9, False, 1)])
    assert quantiles(table, (0.05, 0.5, 0.75, 0.9, 1.0)) == [1, 1, 2, 5, 5]
    assert quantiles(counted([(9, False, 1)]), (0.5,)) == []


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.sampled_from([0.05, 0.25, 0.5, 0.75, 0.9]))
def test_quantiles_are_numpys(days: list[int], share: float) -> None:
    table = pd.DataFrame({"days": days, "returned": True, "n": 1})
    (found,) = quantiles(table, (share,))
    assert found == np.quantile(days, share, method="inverted_cdf")

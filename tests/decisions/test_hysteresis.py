"""Labels that stay. Authority: cases by hand, and what must hold of any labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnlab.decisions.hysteresis import UNKNOWN, WORDS, EarlierLabels, coded, settled
from churnlab.models.labels import Scale

BASE = np.linspace(0, 1, 1001)
SCALE = Scale.fit(BASE, {"high": 0.2, "medium": 0.3}, "low")  # cut points at 50 % and 80 %
LOW, MEDIUM, HIGH, TOP = range(4)


def after(earlier, values, hysteresis=0.02):
    values = np.array(values, dtype=float)
    labels, percentiles = SCALE.label(values), pd.Series(SCALE.percentile(values))
    return settled(SCALE, labels, percentiles, np.array(earlier), hysteresis)


@pytest.mark.parametrize(
    ("earlier", "value", "expected"),
    [
        (LOW, 0.51, "low"),  # 1 % beyond the cut
        (LOW, 0.52, "low"),  # exactly as far as may be
        (LOW, 0.525, "medium"),
        (MEDIUM, 0.49, "medium"),
        (MEDIUM, 0.48, "medium"),
        (MEDIUM, 0.475, "low"),
        (MEDIUM, 0.81, "medium"),
        (LOW, 0.81, "medium"),  # beyond one cut for good, and not beyond the next
        (HIGH, 0.3, "low"),
        (HIGH, 0.79, "high"),
        (UNKNOWN, 0.51, "medium"),
        (TOP, 0.51, "medium"),  # no label of this scale
    ],
)
def test_by_hand(earlier, value, expected):
    assert after([earlier], [value])[0] == expected


def test_without_hysteresis_nothing_is_kept():
    assert after([LOW, HIGH], [0.51, 0.79], 0.0).to_list() == ["medium", "medium"]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(0.001, 0.5))
def test_no_label_is_further_from_the_cut_points_than_allowed(seed, hysteresis):
    rng = np.random.default_rng(seed)
    values, earlier = rng.uniform(0, 1, 50), rng.integers(-1, 4, 50)
    found = after(earlier, values, hysteresis)
    percentiles = SCALE.percentile(values)
    cuts = dict(zip(SCALE.names[1:], SCALE.percentile(np.array(SCALE.cuts)), strict=True))
    for label, percentile in zip(found, percentiles, strict=True):
        floor = cuts.get(label, -np.inf)
        above = SCALE.names.index(label) + 1
        ceiling = cuts[SCALE.names[above]] if above < len(SCALE.names) else np.inf
        assert floor - 100 * hysteresis - 1e-6 <= percentile <= ceiling + 100 * hysteresis + 1e-6


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_a_second_run_changes_nothing(seed):
    """What was settled against the list before is settled against itself."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(0, 1, 50)
    first = after(rng.integers(-1, 4, 50), values)
    pd.testing.assert_series_equal(after([WORDS.index(word) for word in first], values), first)


def frame(ids, risk, value):
    return pd.DataFrame({"customer_id": ids, "risk_label": risk, "value_label": value})


def test_labels_are_found_again_whatever_their_order():
    parts = [frame(["b", "é"], ["high", "odd"], ["top", "low"]), frame(["a"], ["low"], ["medium"])]
    labels = EarlierLabels.gather(map(coded, parts))
    risk, value = labels.of(pd.Series(["a", "stranger", "é", "b"]))
    assert risk.tolist() == [LOW, UNKNOWN, UNKNOWN, HIGH]
    assert value.tolist() == [MEDIUM, UNKNOWN, LOW, TOP]


def test_an_id_that_occurs_twice_has_no_label():
    labels = EarlierLabels.gather([coded(frame(["a", "a", "b"], ["low", "high", "low"], ["low"] * 3))])
    assert labels.of(pd.Series(["a", "b"]))[0].tolist() == [UNKNOWN, LOW]


def test_an_empty_list_has_none():
    labels = EarlierLabels.gather([])
    assert labels.of(pd.Series(["a"]))[0].tolist() == [UNKNOWN]

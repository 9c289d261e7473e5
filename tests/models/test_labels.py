"""Authority: hand computation on 1 … 100 and invariants."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from churnlab.models.labels import Scale

BASE = np.arange(1.0, 101.0)
SHARES = {"high": 0.2, "medium": 0.3}


def test_each_label_gets_its_share_of_the_base() -> None:
    labels = Scale.fit(BASE, SHARES, "low").label(BASE)
    assert labels.value_counts().to_dict() == {"low": 50, "medium": 30, "high": 20}
    assert labels.iloc[0] == "low"
    assert labels.iloc[-1] == "high"


def test_cut_points_stay_when_the_batch_changes() -> None:
    scale = Scale.fit(BASE, SHARES, "low")
    assert scale.label(np.array([1000.0, 1000.0, 1000.0])).tolist() == ["high"] * 3
    assert scale.label(np.array([-5.0])).tolist() == ["low"]


def test_percentiles_run_from_0_to_100() -> None:
    scale = Scale.fit(BASE, SHARES, "low")
    assert scale.percentile(np.array([0.0, 1.0, 50.5, 100.0, 1e9])).tolist() == [0, 0, 50, 100, 100]


def test_a_base_of_equal_values_is_one_label_at_the_top_percentile() -> None:
    scale = Scale.fit(np.zeros(10), SHARES, "low")
    assert set(scale.label(np.zeros(3))) == {"high"}
    assert scale.percentile(np.zeros(2)).tolist() == [100, 100]


def test_the_smallest_of_numbers_overflow_nothing() -> None:
    base = np.array([-1.0, *[1.0] * 29]) * 2.2e-311
    assert Scale.fit(base, SHARES, "low").percentile(np.zeros(1)).tolist() == [100]


@given(arrays(float, 30, elements=st.floats(-1e6, 1e6)), arrays(float, 10, elements=st.floats(-1e6, 1e6)))
def test_percentile_and_label_rise_with_the_value(base: np.ndarray, values: np.ndarray) -> None:
    scale = Scale.fit(base, SHARES, "low")
    values = np.sort(values)
    assert (np.diff(scale.percentile(values)) >= 0).all()
    codes = [("low", "medium", "high").index(label) for label in scale.label(values)]
    assert codes == sorted(codes)


def test_survives_saving() -> None:
    scale = Scale.fit(BASE, SHARES, "low")
    assert Scale.from_dict(scale.to_dict()) == scale

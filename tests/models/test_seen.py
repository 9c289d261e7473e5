"""Authority: the definition, by hand."""

import numpy as np
import pandas as pd
import pytest

from churnlab.models.seen import Seen, signed_log, values


def test_signed_log_by_hand() -> None:
    told = signed_log(np.array([[0.0, np.e - 1, 1 - np.e, np.nan]]).T)
    assert told[:3, 0] == pytest.approx([0, 1, -1])
    assert np.isnan(told[3, 0])


def test_a_learner_reads_its_own_features_in_its_own_order() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    for seen in (frame, Seen(frame)):
        assert values(seen, ("b", "a")).tolist() == [[3.0, 1.0], [4.0, 2.0]]
        assert values(seen, ("a", "b")).tolist() == frame.to_numpy().tolist()
    assert (Seen(frame).logs == np.log1p(frame.to_numpy())).all()

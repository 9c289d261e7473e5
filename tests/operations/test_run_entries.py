"""Authority: MLflow's own validators for names and lengths."""

import hypothesis.strategies as st
from hypothesis import given
from mlflow.utils.validation import _validate_param, _validate_tag

from churnlab.operations.run_entries import flat_params, shortened

NAMES = st.text(min_size=1, max_size=300).filter(lambda name: name.strip(". ") != "")
VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9000))


def test_dotted_names_and_json_values() -> None:
    params = {
        "churn": {"seed": 7, "deep": {"on": True}},
        "clv": {"families": ("bgnbd", "paretonbd")},
        "empty": {},
    }
    assert flat_params(params) == {
        "churn.seed": "7",
        "churn.deep.on": "true",
        "clv.families": '["bgnbd", "paretonbd"]',
        "empty": "{}",
    }


@given(st.dictionaries(NAMES, st.one_of(VALUES, st.dictionaries(NAMES, VALUES, max_size=3)), max_size=4))
def test_mlflow_accepts_every_entry(params: dict) -> None:
    for name, value in flat_params(params).items():
        _validate_param(name, value)
        _validate_tag(name, value)


def test_long_values_keep_their_difference() -> None:
    one, two = shortened("x" * 9000 + "1", 500), shortened("x" * 9000 + "2", 500)
    assert len(one) == len(two) == 500
    assert one != two

"""Authority: sklearn's own predictions on the same design, and additivity of the contributions."""

import json

import numpy as np
import pandas as pd
import pytest

from churnlab.models.linear import Linear, fit_linear
from churnlab.models.seen import Seen
from churnlab.models.targets import Target

N = 3000


@pytest.fixture(scope="module")
def data() -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    frame = pd.DataFrame({"a": random.exponential(5, N), "b": random.normal(size=N)})
    frame.loc[::7, "b"] = np.nan
    base = random.normal(size=(N, 2))
    y = (random.random(N) < 1 / (1 + np.exp(-(np.log1p(frame["a"]) - 2 + base[:, 0])))).to_numpy(float)
    return frame, base, y


@pytest.mark.parametrize("target", list(Target))
def test_mean_of_the_fit_is_the_mean_of_the_outcome(target: Target, data: tuple) -> None:
    """Score equation of the intercept: for canonical links the fitted mean is the observed one."""
    frame, base, y = data
    seen = y + 0.5 if target is Target.SPEND else y
    model = fit_linear(target, frame, base, seen, np.ones(N), 1e-6)
    link = model.link(frame, base)
    ratio = (
        (seen / target.mean(link)).mean()
        if target is Target.SPEND
        else target.mean(link).mean() / seen.mean()
    )
    assert ratio == pytest.approx(1, abs=2e-3)


def test_contributions_add_up_to_the_link(data: tuple) -> None:
    frame, base, y = data
    model = fit_linear(Target.CHURN, frame, base, y, np.ones(N), 10.0)
    btyd = (base - np.array(model.base_centre)) @ model.base_coef
    whole = model.contributions(frame).sum(axis=1).to_numpy() + btyd + model.intercept
    assert whole == pytest.approx(model.link(frame, base), abs=1e-9)


def test_a_figure_that_is_not_known_is_not_taken_for_nought() -> None:
    """Of the unhappy (0.0) nine in ten leave, of the happy (1.0) one, of those never asked three in ten."""
    random = np.random.default_rng(3)
    score = np.repeat([0.0, 1.0, np.nan], 2000)
    share = np.repeat([0.9, 0.1, 0.3], 2000)
    frame, base = pd.DataFrame({"csat_last": score}), np.zeros((6000, 0))
    y = (random.random(6000) < share).astype(float)
    model = fit_linear(Target.CHURN, frame, base, y, np.ones(6000), 1e-3)
    told = Target.CHURN.mean(model.link(frame, base))
    assert told[[0, 2000, 4000]] == pytest.approx([0.9, 0.1, 0.3], abs=0.03)


def test_survives_json(data: tuple) -> None:
    frame, base, y = data
    model = fit_linear(Target.CHURN, frame, base, y, np.ones(N), 10.0)
    again = Linear.from_dict(json.loads(json.dumps(model.to_dict())))
    assert again == model
    assert (again.link(frame, base) == model.link(frame, base)).all()


def test_a_row_is_answered_alike_in_any_company(data: tuple) -> None:
    frame, base, y = data
    model = fit_linear(Target.CHURN, frame, base, y, np.ones(N), 10.0)
    alone = model.link(frame.iloc[5:6], base[5:6])
    assert alone == pytest.approx(model.link(frame, base)[5:6], abs=1e-12)


def test_logs_that_learners_share_change_no_answer(data: tuple) -> None:
    frame, base, y = data
    model = fit_linear(Target.CHURN, frame, base, y, np.ones(N), 10.0)
    part = fit_linear(Target.CHURN, frame[["b"]], base, y, np.ones(N), 10.0)
    seen = Seen(frame)
    for learner in (model, part):
        link, told = learner.link_and_contributions(seen, base)
        assert (link == learner.link(frame, base)).all()
        pd.testing.assert_frame_equal(told, learner.contributions(frame), check_exact=True)

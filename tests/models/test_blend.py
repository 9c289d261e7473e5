"""Authority: hand computation, scipy/sklearn as peers, invariants of convex combinations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from churnlab.models.blend import BTYD_ALONE, Blend, fit_blend
from churnlab.models.calibration import LinkCalibration, fit_calibration
from churnlab.models.targets import Target


def outcomes(link: np.ndarray, seed: int = 1) -> np.ndarray:
    return (np.random.default_rng(seed).random(len(link)) < expit(link)).astype(float)


def test_link_is_the_trusted_share_of_the_calibrated_mix_plus_the_rest_of_btyd() -> None:
    # 0.5 * (0.1 + 2 * (0.25 * 1 + 0.75 * 3)) + 0.5 * 4 = 0.5 * 5.1 + 2 = 4.55
    blend = Blend({"a": 0.25, "b": 0.75}, LinkCalibration(2.0, 0.1), 0.5)
    link = blend.link({"a": np.array([1.0]), "b": np.array([3.0])}, np.array([4.0]))
    assert link == pytest.approx([4.55])


def test_without_trust_btyd_answers_alone() -> None:
    base = np.array([-1.0, 0.5])
    assert BTYD_ALONE.link({}, base) == pytest.approx(base)


def test_the_true_member_gets_the_weight_and_the_trust() -> None:
    random = np.random.default_rng(3)
    true = random.normal(size=20000)
    members = {"true": true, "noise": random.normal(size=20000)}
    blend = fit_blend(
        Target.CHURN, members, np.zeros(20000), outcomes(true), np.arange(20000), calibrate=True
    )
    assert blend.weights["true"] > 0.97
    assert blend.trust == 1.0


def test_without_evidence_weights_are_equal_and_recency_has_none() -> None:
    same = np.random.default_rng(6).normal(size=50)
    members = {"linear": same, "recency": same, "btyd": same}
    blend = fit_blend(Target.CHURN, members, same, np.tile([0.0, 1.0], 25), np.arange(50), calibrate=False)
    assert blend.weights["linear"] == pytest.approx(blend.weights["btyd"], abs=1e-4)
    assert blend.weights["recency"] < blend.weights["linear"]


def test_noise_is_not_trusted() -> None:
    random = np.random.default_rng(4)
    base = random.normal(size=3000)
    members = {"noise": random.normal(size=3000)}
    blend = fit_blend(Target.CHURN, members, base, outcomes(base), np.arange(3000), calibrate=False)
    assert blend.trust == 0.0


def test_the_same_customers_told_again_are_no_new_evidence() -> None:
    random = np.random.default_rng(13)
    true = random.normal(size=400) * 0.3
    y, base = outcomes(true), np.zeros(400)
    once = fit_blend(Target.CHURN, {"a": true}, base, y, np.arange(400), calibrate=False)
    told = [np.tile(values, 4) for values in (true, base, y, np.arange(400))]
    again = fit_blend(Target.CHURN, {"a": told[0]}, *told[1:], calibrate=False)
    assert 0 < once.trust < 1
    assert again.trust == pytest.approx(once.trust, rel=0.02)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(5, 200))
def test_weights_are_a_convex_combination_and_trust_a_share(seed: int, n: int) -> None:
    random = np.random.default_rng(seed)
    links = {name: random.normal(size=n) for name in "abc"}
    y = random.integers(0, 2, n).astype(float)
    for target in Target:
        who = random.integers(0, n, n)
        blend = fit_blend(target, links, links["a"], y + (target is Target.SPEND), who, calibrate=True)
        assert sum(blend.weights.values()) == pytest.approx(1, abs=1e-5)
        assert min(blend.weights.values()) >= 0
        assert 0 <= blend.trust <= 1
        assert Blend.from_dict(blend.to_dict()) == blend


def test_platt_matches_an_unpenalised_logistic_regression() -> None:
    link = np.random.default_rng(5).normal(size=50_000)
    y = outcomes(0.4 + 0.7 * link)
    line = fit_calibration(Target.CHURN, link, y)
    peer = LogisticRegression(C=np.inf).fit(link[:, None], y)
    # the prior of 100 pseudo-rows is felt in the third digit at this size
    assert line.slope == pytest.approx(peer.coef_[0, 0], abs=0.01)
    assert line.intercept == pytest.approx(peer.intercept_[0], abs=0.01)


@pytest.mark.parametrize("target", list(Target))
def test_slope_is_the_derivative_of_the_loss(target: Target) -> None:
    link, y, step = np.linspace(-2, 2, 9), np.full(9, 1.0), 1e-6
    numeric = (target.loss(link + step, y) - target.loss(link - step, y)) / (2 * step)
    assert target.slope(link, y) == pytest.approx(numeric, abs=1e-7)

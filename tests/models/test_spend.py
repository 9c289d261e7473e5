"""Gamma-Gamma against published estimates, lifetimes, simulation and hand computation."""

import json
import math
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churnlab.errors import ModelError
from churnlab.models import large_fits
from churnlab.models.spend import SpendModel, fit_spend

PENALIZERS = (0.0, 0.001, 0.01, 0.1)
DATASETS = Path(find_spec("lifetimes").origin).parent / "datasets"  # found without importing it


def frame(rows: list[tuple[float, float]]) -> pd.DataFrame:
    """(paid_repeats, monetary_value)."""
    rfm = pd.DataFrame(rows, columns=["paid_repeats", "monetary_value"], dtype=float)
    return rfm.assign(frequency=rfm["paid_repeats"])


@pytest.fixture(scope="module")
def cdnow() -> pd.DataFrame:
    summary = pd.read_csv(DATASETS / "cdnow_customers_summary_with_transactions.csv")
    paid = np.where(summary["zbar"] > 0, summary["x"], 0)
    return pd.DataFrame({"frequency": summary["x"], "paid_repeats": paid, "monetary_value": summary["zbar"]})


@pytest.fixture(scope="module")
def fitted(cdnow) -> SpendModel:
    return fit_spend(cdnow, PENALIZERS)[0]


def test_estimates_are_the_published_ones(fitted):
    """Fader & Hardie (2013), 946 repeat buyers of CDNOW: p 6.25, q 3.74, v 15.44 (v in dollars)."""
    assert (fitted.p, fitted.q) == pytest.approx((6.25, 3.74), abs=6e-3)
    assert fitted.v * fitted.scale == pytest.approx(15.44, abs=1e-2)
    assert fitted.n_customers == 946


def test_correlation_is_the_published_one(fitted):
    """Fader & Hardie (2013), section 2: 0.11 between the number and the mean value of repeat purchases."""
    assert fitted.frequency_spend_correlation == pytest.approx(0.11, abs=5e-3)
    assert fitted.note == ""


def test_expected_order_value_agrees_with_lifetimes(fitted, cdnow):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lifetimes import GammaGammaFitter
    peer = GammaGammaFitter()
    peer.params_ = pd.Series({"p": fitted.p, "q": fitted.q, "v": fitted.v * fitted.scale})
    expected = peer.conditional_expected_average_profit(cdnow["paid_repeats"], cdnow["monetary_value"])
    assert fitted.expected_order_value(cdnow) == pytest.approx(expected.to_numpy(), rel=1e-12)


def test_expected_order_value_by_hand():
    """p = 6, q = 4, v = 3 in units of 10: mean 6*3/3*10 = 60; x = 2, m = 30: (3*60 + 12*30) / 15 = 36."""
    model = SpendModel(6.0, 4.0, 3.0, 10.0, 60.0, 0.0, 5, None, None, "")
    assert model.expected_order_value(frame([(0, 0), (2, 30)])) == pytest.approx([60, 36])


def test_expected_order_value_agrees_with_simulated_customers():
    """Customers drawn from the model's story: each kind's mean error is within 4 standard errors."""
    g = np.random.default_rng(4)
    n, p, q, v = 200_000, 6.25, 3.74, 15.44
    rate = g.gamma(q, 1 / v, n)
    repeats = g.integers(1, 6, n)
    past = g.gamma(p * repeats, 1 / rate) / repeats
    model = SpendModel(p, q, v, 1.0, p * v / (q - 1), 0.0, n, None, None, "")
    rfm = pd.DataFrame({"paid_repeats": repeats, "monetary_value": past})
    error = p / rate - model.expected_order_value(rfm)
    for _, kind in pd.Series(error).groupby([repeats, pd.qcut(past, 4, labels=False)]):
        assert abs(kind.mean()) <= 4 * kind.std() / math.sqrt(len(kind))


def test_money_in_another_unit_changes_the_unit_only(fitted, cdnow):
    dear = cdnow.assign(monetary_value=cdnow["monetary_value"] * 1e6)
    other = fit_spend(dear, PENALIZERS)[0]
    ours, theirs = fitted.expected_order_value(cdnow), other.expected_order_value(dear)
    assert theirs == pytest.approx(ours * 1e6, rel=1e-9)
    assert (other.p, other.q, other.v) == (fitted.p, fitted.q, fitted.v)


def test_a_fit_depends_on_neither_row_order_nor_the_global_generator(fitted, cdnow):
    np.random.seed(1)  # noqa: NPY002 - the global generator is what must not matter
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    again = fit_spend(cdnow.sample(frac=1.0, random_state=3), PENALIZERS)[0]
    assert again == fitted
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_a_fit_begun_on_a_part_ends_where_the_fit_to_all_ends(fitted, cdnow, monkeypatch):
    monkeypatch.setattr(large_fits, "MAX_FIRST_ROWS", 200)
    fit = fit_spend(cdnow, PENALIZERS)[0]
    assert (fit.p, fit.q, fit.v) == pytest.approx((fitted.p, fitted.q, fitted.v), rel=1e-4)
    assert fit.n_customers == fitted.n_customers


def test_a_fit_prints_and_warns_nothing(capsys):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit_spend(frame([(k % 5 + 1, 10 + k % 3) for k in range(100)]), PENALIZERS)
    assert caught == []
    assert capsys.readouterr() == ("", "")


def test_link_between_frequency_and_spend_is_noted():
    """By construction, those who buy more often spend more."""
    rows = [(k, 10.0 * k + j) for k in range(1, 8) for j in range(10)]
    model = fit_spend(frame(rows), PENALIZERS)[0]
    assert model.frequency_spend_correlation > 0.9
    assert model.frequency_spend_rank_correlation > 0.9
    assert model.note.startswith("Customers who buy more often spend more per purchase")


def test_nobody_with_a_paid_repeat_gives_the_mean_first_order():
    rfm = frame([(0, 0)] * 3).assign(first_order_value=[10.0, 20.0, 0.0])
    model, steps = fit_spend(rfm, PENALIZERS)
    assert [step.outcome for step in steps] == ["too little data", "pooled mean"]
    assert model.expected_order_value(rfm) == pytest.approx([15, 15, 15])


def test_one_paid_repeat_buyer_gives_that_mean_to_all():
    rfm = frame([(2, 30), (0, 0)])
    model, steps = fit_spend(rfm, PENALIZERS)
    assert model.is_pooled_mean
    assert steps[-1].outcome == "pooled mean"
    assert model.expected_order_value(rfm) == pytest.approx([30, 30])


def test_no_money_at_all_is_worth_nothing():
    assert fit_spend(frame([(0, 0)]), PENALIZERS)[0].expected_order_value(frame([(0, 0)])) == [0.0]
    assert fit_spend(frame([]), PENALIZERS)[0].expected_order_value(frame([])).shape == (0,)


def test_one_price_for_all_is_everybodys_expectation():
    rfm = frame([(k % 4, 9.99 if k % 4 else 0) for k in range(40)])
    model, _ = fit_spend(rfm, PENALIZERS)
    assert model.expected_order_value(rfm) == pytest.approx(np.full(40, 9.99))


def test_last_good_model_comes_before_a_pooled_mean(fitted):
    model, steps = fit_spend(frame([(1, 5)]), PENALIZERS, last_good=fitted)
    assert model is fitted
    assert steps[-1].outcome == "last good model"
    pooled = fit_spend(frame([(1, 5)]), PENALIZERS)[0]
    assert fit_spend(frame([(1, 8)]), PENALIZERS, last_good=pooled)[0].population_mean == 8.0


def test_values_too_unequal_for_a_mean_still_rank_customers():
    """Lognormal with log-sd 2 has q < 1 (no finite mean): big spenders keep a big, finite expectation."""
    g = np.random.default_rng(1)
    rfm = frame(list(zip(g.integers(1, 9, 500), g.lognormal(0, 2, 500), strict=True)))
    model, steps = fit_spend(rfm, PENALIZERS)
    assert "q held at 1.5" in steps[-1].detail
    mean = (rfm["paid_repeats"] * rfm["monetary_value"]).sum() / rfm["paid_repeats"].sum()
    assert model.population_mean == pytest.approx(mean, rel=1e-6)
    value = model.expected_order_value(rfm)
    assert (np.isfinite(value) & (value > 0)).all()
    assert pd.Series(value).corr(rfm["monetary_value"], method="spearman") > 0.7


@pytest.mark.parametrize(
    "rows",
    [
        [(1, 5), (2, 9)],
        [(1, 1e-12), (3, 1e12)] * 20,
        [(k % 5 + 1, 10 + 1e-9 * k) for k in range(50)],
        [(300, 10), (1, 11), (2, 9)] * 5,
    ],
)
def test_degenerate_values_end_in_finite_expectations(rows):
    rfm = frame([*rows, (0, 0)])
    model, steps = fit_spend(rfm, PENALIZERS)
    value = model.expected_order_value(rfm)
    assert steps
    assert (np.isfinite(value) & (value >= 0)).all()


def test_a_saved_model_is_the_model_used(fitted, cdnow):
    for model in (fitted, fit_spend(frame([(1, 5)]), PENALIZERS)[0]):
        loaded = SpendModel.from_dict(json.loads(json.dumps(model.to_dict())))
        assert loaded == model
        assert (loaded.expected_order_value(cdnow) == model.expected_order_value(cdnow)).all()


@pytest.mark.parametrize("change", [{"p": -1.0}, {"q": math.nan}, {"v": None}, {"colour": 1}])
def test_a_damaged_model_is_refused_in_one_line(fitted, change):
    with pytest.raises(ModelError, match=r"^spend model: [^\n]*again$"):
        SpendModel.from_dict({**fitted.to_dict(), **change})


@pytest.mark.parametrize(
    ("rfm", "finding"),
    [
        (pd.DataFrame({"frequency": [1.0], "paid_repeats": [1.0]}), "no column monetary_value"),
        (pd.DataFrame({"monetary_value": [1.0], "paid_repeats": [1.0]}), "no column frequency"),
        (frame([(1, -5), (1, 5)]), "1 rows with a negative or missing"),
        (frame([(1, math.nan)]), "1 rows with a negative or missing"),
    ],
)
def test_unusable_columns_are_refused(rfm, finding):
    with pytest.raises(ModelError, match=finding):
        fit_spend(rfm, PENALIZERS)

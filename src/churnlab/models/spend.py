"""What each customer spends on a purchase day: the Gamma-Gamma model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from churnlab.errors import ModelError
from churnlab.features.gates import FEWEST_VALUES
from churnlab.models.fitting import NUMERIC_ERRORS, FitStep, quietly, rounded
from churnlab.models.large_fits import finished, thinned
from churnlab.models.purchase_formulas import Floats

CEILING = 1e4
NOTABLE_CORRELATION = 0.3
HELD_Q = 1.5
_STARTS = ((6.0, 4.0, 3.0), (1.1, 1.1, 1.1), (2.0, 10.0, 5.0))


@dataclass(frozen=True)
class SpendModel:
    """The Gamma-Gamma model of Fader & Hardie (2013), or a pooled mean where it cannot be fitted.

    Attributes
    ----------
    p, q, v
        Parameters for money divided by `scale`; None in a pooled mean. 8 significant digits, q above 1.
    scale
        Median monetary_value of the customers in the fit, in the currency of the data.
    population_mean
        Expected value of a purchase day of an unknown customer, p v / (q - 1) * scale, in the currency of the
        data.
    penalizer
        Coefficient of the L2 penalty under which the parameters were found; None where q is held or in a
        pooled mean.
    n_customers
        Customers with a paid repeat purchase, from whom it was learnt.
    frequency_spend_correlation, frequency_spend_rank_correlation
        Pearson and Spearman correlation of frequency and monetary_value among them; the model assumes none.
        None where it is undefined.
    note
        What a reader should know about that assumption, or "".
    """

    p: float | None
    q: float | None
    v: float | None
    scale: float
    population_mean: float
    penalizer: float | None
    n_customers: int
    frequency_spend_correlation: float | None
    frequency_spend_rank_correlation: float | None
    note: str

    @property
    def is_pooled_mean(self) -> bool:
        """Whether everybody gets the population mean."""
        return self.p is None

    def expected_order_value(self, rfm: pd.DataFrame) -> Floats:
        """Expected value of a future purchase day, given the paid ones so far.

        Fader & Hardie (2013), "The Gamma-Gamma model of monetary value", eq. (5): the population mean and the
        customer's own mean, weighted by q - 1 and p x. Without a paid repeat purchase: the population mean.

        Parameters
        ----------
        rfm
            Columns paid_repeats (repeat purchase days with money) and monetary_value (their mean, currency).

        Raises
        ------
        ModelError
            A column is missing, or holds a negative or missing value.
        """
        repeats, value = _money_columns(rfm)
        if self.p is None or self.q is None:
            return np.full(len(rfm), self.population_mean)
        own = self.p * repeats / (self.p * repeats + self.q - 1.0)
        return np.asarray((1.0 - own) * self.population_mean + own * value, dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """The model as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> SpendModel:
        """The model that :meth:`to_dict` described.

        Raises
        ------
        ModelError
            A key is missing or unknown, or the parameters cannot be used.
        """
        try:
            model = cls(**saved)
            pqv = () if model.is_pooled_mean else (model.p, model.q, model.v)
            usable = model.population_mean >= 0 and all(float(value or 0.0) > 0 for value in pqv)
        except (TypeError, ValueError) as error:
            raise ModelError(f"spend model: {error} when loading it: train the model again") from error
        if not usable:
            raise ModelError("spend model: its parameters are not positive numbers: train the model again")
        return model


def fit_spend(
    rfm: pd.DataFrame, penalizers: Sequence[float], last_good: SpendModel | None = None
) -> tuple[SpendModel, list[FitStep]]:
    """Fit Gamma-Gamma with lifetimes: unpenalised, penalised, then the last good model, then a pooled mean.

    Money is divided by its median first, so its unit changes nothing but the unit of the results. A fit is
    sound if its parameters are at most 1e4, q > 1, and its population mean lies between half and twice the
    pooled mean of the purchase days seen. Where it is not because values are too unequal for a finite mean (q
    near 1 or below), and there is no last good model, p is kept, q held at 1.5 and v set to give the pooled
    mean.

    Parameters
    ----------
    rfm
        Columns frequency, paid_repeats, monetary_value (currency), and, if present, first_order_value
        (currency): the pooled mean uses it where nobody has a paid repeat purchase.
    penalizers
        Coefficients of the L2 penalty on the parameters, tried in this order.
    last_good
        The model to fall back on, unless it is itself a pooled mean.

    Raises
    ------
    ModelError
        A column is missing, or holds a negative or missing value.
    """
    repeats, value = _money_columns(rfm, "frequency")
    paid = (repeats > 0) & (value > 0)
    facts = _facts(rfm.loc[paid], value[paid])
    mean = _pooled_mean(rfm, repeats, value)
    attempts = _attempts(repeats[paid], value[paid], facts["scale"], mean, penalizers)
    steps = [step for step, _ in attempts]
    if steps and steps[-1].outcome == "fitted":
        return _gamma_gamma(attempts[-1][1], steps[-1].penalizer, facts), steps
    if last_good is not None and not last_good.is_pooled_mean:
        detail = "Gamma-Gamma does not fit these customers: the last good model is used again"
        return last_good, [*steps, FitStep("gammagamma", last_good.penalizer, "last good model", detail)]
    model, step = _without_optimum([found for _, found in attempts], mean, facts)
    return model, [*steps, step]


def _without_optimum(
    found: list[tuple[float, ...]], mean: float, facts: dict[str, Any]
) -> tuple[SpendModel, FitStep]:
    """q held where there was an optimum without a usable mean; else the pooled mean for everybody."""
    moderate = [pqv for pqv in found if pqv and all(math.isfinite(x) for x in pqv) and max(pqv) <= CEILING]
    if moderate:
        p = moderate[0][0]
        held = (p, HELD_Q, rounded(mean / facts["scale"] * (HELD_Q - 1.0) / p))
        detail = f"values too unequal for a finite mean: q held at {HELD_Q}, v set to give the pooled mean"
        return _gamma_gamma(held, None, facts), FitStep("gammagamma", None, "fitted", detail)
    model = SpendModel(p=None, q=None, v=None, population_mean=mean, penalizer=None, **facts)
    detail = "everybody gets the mean value of a purchase day"
    return model, FitStep("gammagamma", None, "pooled mean", detail)


def _gamma_gamma(found: tuple[float, ...], penalizer: float | None, facts: dict[str, Any]) -> SpendModel:
    p, q, v = found
    mean = p * v / (q - 1.0) * facts["scale"]
    return SpendModel(p=p, q=q, v=v, population_mean=mean, penalizer=penalizer, **facts)


def _attempts(
    repeats: Floats, value: Floats, scale: float, mean: float, penalizers: Sequence[float]
) -> list[tuple[FitStep, tuple[float, ...]]]:
    """What was tried, and (p, q, v) where an optimum was found; ends with the first sound fit."""
    if len(value) < FEWEST_VALUES:
        detail = f"fewer than {FEWEST_VALUES} customers have a paid repeat purchase ({len(value)})"
        return [(FitStep("gammagamma", None, "too little data", detail), ())]
    if np.ptp(value) == 0:
        return [(FitStep("gammagamma", None, "too little data", "every value is the same"), ())]
    pooled = _pooled(repeats, value / scale)
    tried = []
    for penalizer in map(float, penalizers):
        found = _estimate(pooled, penalizer)
        tried.append((_verdict(found, penalizer, mean / scale), found))
        if tried[-1][0].outcome == "fitted":
            break
    return tried


def _verdict(found: tuple[float, ...], penalizer: float, pooled_mean: float) -> FitStep:
    if not found:
        detail = f"no optimum from {len(_STARTS)} starting points"
        return FitStep("gammagamma", penalizer, "did not converge", detail)
    if not all(math.isfinite(value) and value > 0 for value in found):
        return FitStep("gammagamma", penalizer, "not finite", "a parameter is not a finite number")
    p, q, v = found
    values = f"p {p:.4g}, q {q:.4g}, v {v:.4g} (money in units of its median)"
    if max(found) > CEILING:
        detail = f"a parameter beyond {CEILING:g}: {values}"
        return FitStep("gammagamma", penalizer, "runaway parameters", detail)
    if q <= 1.0 or not 0.5 <= p * v / (q - 1.0) / pooled_mean <= 2.0:
        detail = f"the population mean is not finite or far from the mean seen: {values}"
        return FitStep("gammagamma", penalizer, "runaway parameters", detail)
    return FitStep("gammagamma", penalizer, "fitted", values)


def _estimate(pooled: pd.DataFrame, penalizer: float) -> tuple[float, ...]:
    """(p, q, v) from lifetimes' BFGS at the first start that converges; empty if none does.

    With many rows the fit begins at the optimum of a part of them.
    """
    learnt_from = thinned(pooled)
    with quietly():
        model = _first_optimum(learnt_from, penalizer)
        if model is None:
            return ()
        pqv = model.params_.to_numpy(np.float64)
        if len(learnt_from) < len(pooled):
            arguments = (*(pooled[name].to_numpy() for name in ("repeats", "value", "weights")), penalizer)
            near = np.log(pqv)
            pqv = np.exp(finished(model._negative_log_likelihood, near, model._hessian_, arguments))
    return tuple(rounded(float(value)) for value in pqv)


def _first_optimum(pooled: pd.DataFrame, penalizer: float) -> Any | None:
    """The fit from the first start that converges."""
    from lifetimes import GammaGammaFitter  # noqa: PLC0415 - it changes the warning filters when imported
    from lifetimes.utils import ConvergenceError  # noqa: PLC0415

    for tolerance in (1e-7, 1e-5):
        for start in _STARTS:
            fitter = GammaGammaFitter(penalizer_coef=penalizer)
            try:
                fitter.fit(
                    pooled["repeats"],
                    pooled["value"],
                    weights=pooled["weights"],
                    initial_params=np.log(start),
                    tol=tolerance,
                )
            except ConvergenceError:
                continue
            except NUMERIC_ERRORS:
                # Standard errors, unused here, cannot be computed; the parameters may be there all the same.
                if not hasattr(fitter, "params_"):
                    continue
            return fitter
    return None


def _facts(paid: pd.DataFrame, value: Floats) -> dict[str, Any]:
    """What every spend model records about the customers it was learnt from."""
    frequency = paid["frequency"].to_numpy(np.float64)
    pearson = _correlation(frequency, value)
    ranks = pd.DataFrame({"frequency": frequency, "value": value}).rank()
    return {
        "scale": float(np.median(value)) if len(value) else 1.0,
        "n_customers": len(value),
        "frequency_spend_correlation": pearson,
        "frequency_spend_rank_correlation": _correlation(
            ranks["frequency"].to_numpy(np.float64), ranks["value"].to_numpy(np.float64)
        ),
        "note": _note(pearson),
    }


def _correlation(first: Floats, second: Floats) -> float | None:
    """Pearson's r, or None where one side does not vary."""
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return rounded(float(np.corrcoef(first, second)[0, 1]))


def _note(correlation: float | None) -> str:
    if correlation is None or abs(correlation) <= NOTABLE_CORRELATION:
        return ""
    more_or_less = "more" if correlation > 0 else "less"
    return (
        f"Customers who buy more often spend {more_or_less} per purchase (correlation {correlation:.2f}); "
        "Gamma-Gamma assumes no such link, so values of frequent buyers lean towards the average"
    )


def _pooled(repeats: Floats, value: Floats) -> pd.DataFrame:
    """Distinct (repeats, value), sorted, with weights (customers).

    Values keep 9 significant digits: what the change of currency unit leaves in the last bits must not reach
    the optimiser.
    """
    digits = 9 - np.ceil(np.log10(value))
    kept = np.round(value * 10.0**digits) / 10.0**digits
    frame = pd.DataFrame({"repeats": repeats, "value": kept})
    return frame.groupby(["repeats", "value"], sort=True).size().rename("weights").reset_index()


def _pooled_mean(rfm: pd.DataFrame, repeats: Floats, value: Floats) -> float:
    """Mean of the paid repeat purchase days; without any, of the paid first ones; without those, 0."""
    spent = math.fsum(repeats * value)
    if spent > 0:
        return spent / math.fsum(repeats[value > 0])
    if "first_order_value" not in rfm.columns:
        return 0.0
    first = rfm["first_order_value"].to_numpy(np.float64)
    return float(first[first > 0].mean()) if (first > 0).any() else 0.0


def _money_columns(rfm: pd.DataFrame, *others: str) -> tuple[Floats, Floats]:
    """paid_repeats, monetary_value as float64, found possible; `others` must be there too."""
    missing = [name for name in ("paid_repeats", "monetary_value", *others) if name not in rfm.columns]
    if missing:
        raise ModelError(f"rfm: no column {', '.join(missing)}: build it with features.rfm")
    repeats = rfm["paid_repeats"].to_numpy(np.float64)
    value = rfm["monetary_value"].to_numpy(np.float64)
    wrong = ~(np.isfinite(repeats) & np.isfinite(value) & (repeats >= 0) & (value >= 0))
    if wrong.any():
        raise ModelError(
            f"rfm: {int(wrong.sum())} rows with a negative or missing paid_repeats or monetary_value: "
            "use 0 where there is no paid repeat purchase"
        )
    return repeats, value

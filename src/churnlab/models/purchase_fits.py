"""Fits BG/NBD, MBG/NBD and Pareto/NBD with lifetimes, and what to do where a fit is not sound."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy  # its parts are imported when they are first asked for

from churnlab.errors import ModelError
from churnlab.models.fitting import NUMERIC_ERRORS, FitStep, Outcome, quietly, rounded
from churnlab.models.large_fits import finished, thinned
from churnlab.models.purchase_formulas import Floats, ParetoNBD, formulas
from churnlab.models.purchases import (
    DAYS_PER_WEEK,
    HISTORY,
    PARAMETERS,
    PurchaseModel,
    all_positive,
    histories,
)

FLOOR, CEILING = 1e-9, 1e4
LEAST_BETA_WEIGHT = 1e-3
CHUNK_ROWS = 16384

# Where the optimisers begin, times as shares of the longest T: as lifetimes does; few purchases; many
# purchases.
_STARTS = (
    (1.1, 1.1, 1.1, 1.1),
    (0.25, 0.1, 0.8, 2.5),
    (2.0, 0.2, 0.2, 2.0),
)
_PARETO_STARTS = ((0.6, 0.25, 0.6, 0.3), (1.0, 0.1, 0.3, 1.0))
_PARETO_FIT_NODES = 24
PARETO_ROUND_GAIN = 1e-7  # log-likelihood per customer


class Fit(NamedTuple):
    """What fitting one family came to: the model, or None, and every attempt."""

    model: PurchaseModel | None
    steps: list[FitStep]


def fit_family(rfm: pd.DataFrame, family: str, penalizers: Sequence[float]) -> Fit:
    """Fit one family with lifetimes, trying `penalizers` in turn until a fit is sound.

    Equal histories are pooled; the result depends neither on the order of rows nor on how often it is asked
    for. Beyond 50,000 distinct histories, 50,000 customers evenly spaced in the order of (frequency, recency,
    T) are learnt from first, and BG/NBD and MBG/NBD are finished on all from there; the likelihood of
    Pareto/NBD is too dear for that. A parameter on the border of the family (no dropout at all, say) stays
    just off it.

    Parameters
    ----------
    rfm
        Columns frequency, recency (days), T (days); one row per customer.
    family
        ``bgnbd``, ``mbgnbd`` or ``paretonbd``.
    penalizers
        Coefficients of the L2 penalty on the parameters (times measured in units of the longest T).

    Raises
    ------
    ModelError
        The family is unknown, or `rfm` lacks a column or holds an impossible history.
    """
    if family not in PARAMETERS:
        raise ModelError(f"clv.families: unknown family {family!r}: choose from {', '.join(PARAMETERS)}")
    pooled = _pooled(rfm)
    if (pooled["frequency"] > 0).sum() == 0:
        detail = f"no customer of {len(rfm)} bought on a second day"
        return Fit(None, [FitStep(family, None, "too little data", detail)])
    steps = []
    for penalizer in penalizers:
        params, step = _attempt(pooled, family, float(penalizer))
        steps.append(step)
        if params is not None:
            return Fit(_model(pooled, family, float(penalizer), params), steps)
    return Fit(None, steps)


def fit_ladder(
    rfm: pd.DataFrame,
    families: Sequence[str],
    penalizers: Sequence[float],
    last_good: PurchaseModel | None = None,
) -> tuple[PurchaseModel, list[FitStep]]:
    """The first family that fits, else the last good model.

    Parameters
    ----------
    rfm
        Columns frequency, recency (days), T (days); one row per customer.
    families
        In order of preference.
    penalizers
        Tried in this order within each family.
    last_good
        The model to fall back on.

    Raises
    ------
    ModelError
        Nothing fits and there is no last good model; or as :func:`fit_family`.
    """
    steps: list[FitStep] = []
    for family in families:
        fit = fit_family(rfm, family, penalizers)
        steps += fit.steps
        if fit.model is not None:
            return fit.model, steps
    if last_good is not None:
        detail = "no family fits these customers: the last good model is used again"
        return last_good, [*steps, FitStep(last_good.family, last_good.penalizer, "last good model", detail)]
    tried = "; ".join(dict.fromkeys(f"{step.family} {step.outcome} ({step.detail})" for step in steps[-3:]))
    raise ModelError(
        f"purchase models: none fits: {tried or 'no family given'}: add history or raise clv.penalizers"
    )


def _attempt(pooled: pd.DataFrame, family: str, penalizer: float) -> tuple[dict[str, float] | None, FitStep]:
    """Sound parameters in weeks, or None, and what to record."""
    found, finding = _estimate(pooled, family, penalizer)
    if found is None:
        return None, FitStep(family, penalizer, "did not converge", finding)
    params = _off_the_border(dict(zip(PARAMETERS[family], found, strict=True)))
    outcome, detail = _verdict(pooled, family, params)
    return (params if outcome == "fitted" else None), FitStep(family, penalizer, outcome, detail)


def _off_the_border(params: dict[str, float]) -> dict[str, float]:
    """Parameters that ran to 0, at a place that says the same.

    Where nobody (or everybody) leaves at a purchase, a and b shrink together, at a ratio that says how likely
    it is: their sum is raised to less than the weight of one purchase, and the ratio kept.
    """
    weight = params.get("a", 1.0) + params.get("b", 1.0)
    raised = LEAST_BETA_WEIGHT / weight if 0.0 < weight < LEAST_BETA_WEIGHT else 1.0
    moved = {name: value * raised if name in {"a", "b"} else value for name, value in params.items()}
    return {name: rounded(max(value, FLOOR)) for name, value in moved.items()}


def _verdict(pooled: pd.DataFrame, family: str, params: dict[str, float]) -> tuple[Outcome, str]:
    if not all_positive(params.values()) or not math.isfinite(_log_likelihood(pooled, family, params)):
        return "not finite", "a parameter or the likelihood is not a finite number"
    values = ", ".join(f"{name} {value:.4g}" for name, value in params.items())
    if max(params.values()) > CEILING:
        return "runaway parameters", f"a parameter beyond {CEILING:g}: {values}"
    return "fitted", values


def _estimate(pooled: pd.DataFrame, family: str, penalizer: float) -> tuple[list[float] | None, str]:
    """Raw parameters in weeks from lifetimes, or None and why."""
    with quietly():
        import lifetimes  # noqa: PLC0415 - it changes the warning filters when imported

        if family == "paretonbd":
            return _estimate_pareto(lifetimes.ParetoNBDFitter, thinned(pooled), penalizer)
        fitter = {"bgnbd": lifetimes.BetaGeoFitter, "mbgnbd": lifetimes.ModifiedBetaGeoFitter}[family]
        return _estimate_beta_geometric(fitter, pooled, penalizer)


def _estimate_beta_geometric(
    fitter: Callable[..., Any], pooled: pd.DataFrame, penalizer: float
) -> tuple[list[float] | None, str]:
    """BG/NBD or MBG/NBD by lifetimes' BFGS; with many histories, from the optimum of a part of them."""
    learnt_from = thinned(pooled)
    model, finding = _first_optimum(fitter, learnt_from, penalizer)
    if model is None:
        return None, finding
    r, alpha, a, b = (float(value) for value in model.params_)
    if len(learnt_from) == len(pooled):
        return [r, alpha, a, b], ""
    x, t_x, T, weights = (pooled[name].to_numpy() for name in (*HISTORY, "weights"))
    longest = float(T.max())
    arguments = (x.astype(np.int64), t_x / longest, T / longest, weights, penalizer)
    near = np.log([r, alpha / longest, a, b])
    r, alpha, a, b = np.exp(finished(model._negative_log_likelihood, near, model._hessian_, arguments))
    return [float(value) for value in (r, alpha * longest, a, b)], ""


def _first_optimum(
    fitter: Callable[..., Any], pooled: pd.DataFrame, penalizer: float
) -> tuple[Any | None, str]:
    """The fit from the first start that converges, or None and why."""
    from lifetimes.utils import ConvergenceError  # noqa: PLC0415

    finding = ""
    for tolerance in (1e-7, 1e-5):
        for start in _STARTS:
            model = fitter(penalizer_coef=penalizer)
            try:
                model.fit(
                    pooled["frequency"],
                    pooled["recency"],
                    pooled["T"],
                    weights=pooled["weights"],
                    initial_params=np.log(start),
                    tol=tolerance,
                )
            except ConvergenceError:
                finding = f"no optimum from {len(_STARTS)} starting points"
            except NUMERIC_ERRORS as error:
                # The optimum was found; only its standard errors, unused here, could not be computed.
                if not hasattr(model, "params_"):
                    finding = type(error).__name__
            if hasattr(model, "params_"):
                return model, ""
    return None, finding


def _estimate_pareto(
    fitter: Callable[..., Any], pooled: pd.DataFrame, penalizer: float
) -> tuple[list[float] | None, str]:
    """Pareto/NBD by lifetimes' simplex search, from the foot of the slope below the best of fixed starts.

    The fitter is handed the likelihood of :class:`ParetoNBD`: its own is NaN for heavy buyers, and weighs the
    penalty by the number of pooled rows, where the other families weigh it per customer. Fixed starts keep it
    from drawing from numpy's global generator.
    """

    weeks = float(pooled["T"].max())

    def search(start: Sequence[float], tolerance: float) -> tuple[float, list[float]]:
        model = fitter(penalizer_coef=penalizer)
        model._negative_log_likelihood = _pareto_objective
        columns = (pooled["frequency"], pooled["recency"], pooled["T"], pooled["weights"])
        model.fit(*columns, initial_params=np.asarray(start), tol=tolerance, maxiter=1000)
        r, alpha, s, beta = (float(value) for value in model.params_)
        return float(model._negative_log_likelihood_), [r, alpha / weeks, s, beta / weeks]

    ends = (_descended(pooled, start, weeks, penalizer) for start in _PARETO_STARTS)
    best = min(ends, key=lambda end: end[0])
    for tolerance in (1e-6, 1e-9, 1e-9):
        if max(best[1]) > CEILING:
            break
        previous, best = best[0], min(best, search(best[1], tolerance))
        if previous - best[0] < PARETO_ROUND_GAIN:
            break
    else:
        return None, "the search still improves after its last round"
    r, alpha, s, beta = best[1]
    return [r, alpha * weeks, s, beta * weeks], ""


def _descended(
    pooled: pd.DataFrame, start: Sequence[float], weeks: float, penalizer: float
) -> tuple[float, list[float]]:
    """Objective and parameters (times as shares of `weeks`) at the foot of the slope from `start`.

    A quarter of the simplex's evaluations; the simplex then has only to confirm it.
    """
    x, t_x, T = (pooled[name].to_numpy(np.float64) for name in HISTORY)
    weights = pooled["weights"].to_numpy(np.float64)

    def objective(logs: Floats) -> float:
        value = _pareto_objective(np.exp(logs), x, t_x / weeks, T / weeks, weights, penalizer)
        return value if math.isfinite(value) else 1e6

    limits = [(math.log(FLOOR), math.log(CEILING))] * 4
    found = scipy.optimize.minimize(
        objective, np.log(start), method="L-BFGS-B", bounds=limits, options={"ftol": 1e-12}
    )
    return float(found.fun), [float(value) for value in np.exp(found.x)]


def _pareto_objective(
    params: Floats, x: Floats, t_x: Floats, T: Floats, weights: Floats, penalizer: float
) -> float:
    """Mean negative log-likelihood per customer, plus the penalty."""
    if not np.all(np.isfinite(params)) or np.any(params <= 0.0):
        return math.inf
    r, alpha, s, beta = (float(value) for value in params)
    model = ParetoNBD(r, alpha, s, beta, _PARETO_FIT_NODES)
    mean = float((weights * model.log_likelihood(x, t_x, T)).sum() / weights.sum())
    value = -mean + penalizer * float((np.asarray(params) ** 2).sum())
    return value if math.isfinite(value) else math.inf


def _model(pooled: pd.DataFrame, family: str, penalizer: float, params: dict[str, float]) -> PurchaseModel:
    total = rounded(_log_likelihood(pooled, family, params))
    return PurchaseModel(family, params, penalizer, total, int(pooled["weights"].sum()))


def _log_likelihood(pooled: pd.DataFrame, family: str, params: dict[str, float]) -> float:
    at = formulas(family, params)
    columns = pooled[[*HISTORY, "weights"]].to_numpy(np.float64)
    with np.errstate(all="ignore"):
        chunks = np.split(columns, range(CHUNK_ROWS, len(columns), CHUNK_ROWS))
        return sum(float((w * at.log_likelihood(x, t_x, T)).sum()) for x, t_x, T, w in (c.T for c in chunks))


def _pooled(rfm: pd.DataFrame) -> pd.DataFrame:
    """Distinct histories, sorted: frequency, recency and T in weeks, weights (customers)."""
    counted = histories(rfm).groupby(HISTORY, sort=True).size().rename("weights").reset_index()
    return counted.assign(recency=counted["recency"] / DAYS_PER_WEEK, T=counted["T"] / DAYS_PER_WEEK)

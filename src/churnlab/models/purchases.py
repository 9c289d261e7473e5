"""How many more purchases each customer will make: BG/NBD, MBG/NBD and Pareto/NBD."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy  # its parts are imported when they are first asked for

from churnlab.errors import ModelError
from churnlab.models.fitting import NUMERIC_ERRORS, FitStep, Outcome, quietly, rounded
from churnlab.models.large_fits import finished, thinned
from churnlab.models.purchase_formulas import Floats, Formulas, ParetoNBD, formulas

DAYS_PER_WEEK = 7.0
PARAMETERS = {
    "bgnbd": ("r", "alpha", "a", "b"),
    "mbgnbd": ("r", "alpha", "a", "b"),
    "paretonbd": ("r", "alpha", "s", "beta"),
}
HISTORY = ["frequency", "recency", "T"]
FLOOR, CEILING = 1e-9, 1e4
LEAST_BETA_WEIGHT = 1e-3
FARTHEST_DAYS = 36525.0
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


class Outlook(NamedTuple):
    """What a purchase model says of a horizon, one value per customer."""

    p_no_purchase: Floats
    expected_purchases: Floats


@dataclass(frozen=True)
class PurchaseModel:
    """A fitted purchase model, and all that it predicts.

    Attributes
    ----------
    family
        ``bgnbd`` (Fader, Hardie & Lee 2005), ``mbgnbd`` (Batislam et al. 2007) or ``paretonbd``
        (Schmittlein, Morrison & Colombo 1987).
    params
        r, alpha, a, b; or r, alpha, s, beta. Time unit: weeks. 8 significant digits, none below 1e-9.
    penalizer
        Coefficient of the L2 penalty under which the parameters were found.
    log_likelihood
        Of all customers at `params`, without the penalty; times in weeks.
    n_customers
        Customers in the fit.

    Notes ----- Every method takes a frame `rfm` with the columns frequency (repeat purchase days), recency
    (days from first to last purchase) and T (days from first purchase to cutoff), and returns one finite
    float64 per row, in its order. A row's result depends on that row alone. Each raises ModelError where a
    column is missing or a history is impossible.
    """

    family: str
    params: dict[str, float]
    penalizer: float
    log_likelihood: float
    n_customers: int

    def p_alive(self, rfm: pd.DataFrame) -> Floats:
        """P(the customer has not dropped out by the cutoff). BG/NBD says 1 where frequency is 0."""
        return _per_customer(rfm, self._formulas().p_alive)

    def p_no_purchase(self, rfm: pd.DataFrame, horizon_days: float) -> Floats:
        """P(no purchase within `horizon_days` after the cutoff); at least 1 - p_alive."""
        weeks, at = _horizon_weeks(horizon_days), self._formulas()
        none = _per_customer(rfm, lambda x, t_x, T: at.p_no_purchase(at.p_alive(x, t_x, T), x, T, weeks))
        return np.clip(none, 0.0, 1.0)

    def expected_purchases(self, rfm: pd.DataFrame, horizon_days: float) -> Floats:
        """E[purchases within `horizon_days` after the cutoff]."""
        return self.expected_purchases_by(rfm, [horizon_days])[:, 0]

    def expected_purchases_by(self, rfm: pd.DataFrame, horizons_days: Sequence[float]) -> Floats:
        """E[purchases within h days after the cutoff], one column per h of `horizons_days`."""
        weeks, at = [_horizon_weeks(days) for days in horizons_days], self._formulas()
        found = _per_customer(
            rfm, lambda x, t_x, T: at.expected_purchases(at.p_alive(x, t_x, T), x, T, weeks)
        )
        return found.reshape(len(rfm), len(weeks))

    def outlook(self, rfm: pd.DataFrame, horizon_days: float) -> Outlook:
        """:meth:`p_no_purchase` and :meth:`expected_purchases`, for which P(alive) is worked out once."""
        weeks, at = _horizon_weeks(horizon_days), self._formulas()

        def predict(x: Floats, t_x: Floats, T: Floats) -> Floats:
            alive = at.p_alive(x, t_x, T)
            none = np.clip(at.p_no_purchase(alive, x, T, weeks), 0.0, 1.0)
            return np.stack([none, at.expected_purchases(alive, x, T, [weeks])[:, 0]])

        return Outlook(*_per_customer(rfm, predict))

    def days_to_next_purchase(self, rfm: pd.DataFrame, chance: float = 0.5) -> Floats:
        """Days from the cutoff by which a customer who is alive and stays so buys again, with that chance.

        The waiting time is Lomax(r + x, alpha + T): (alpha + T) ((1 - chance)^(-1/(r + x)) - 1) weeks; at
        most 36,525 days.

        Parameters
        ----------
        chance
            Above 0, below 1; one half gives the median.
        """
        r, alpha = self.params["r"], self.params["alpha"]

        def quantile(x: Floats, t_x: Floats, T: Floats) -> Floats:
            with np.errstate(over="ignore"):
                weeks = (alpha + T) * np.expm1(-math.log1p(-chance) / (r + x))
            return np.minimum(weeks * DAYS_PER_WEEK, FARTHEST_DAYS)

        return _per_customer(rfm, quantile)

    def p_next_purchase(self, rfm: pd.DataFrame, days: Floats) -> Floats:
        """P(a customer who is alive and stays so buys within so many days of the cutoff).

        Parameters
        ----------
        days
            One per row of `rfm`.
        """
        r, alpha = self.params["r"], self.params["alpha"]
        x, T = rfm["frequency"].to_numpy(float), rfm["T"].to_numpy(float) / DAYS_PER_WEEK
        return -np.expm1(-(r + x) * np.log1p(days / DAYS_PER_WEEK / (alpha + T)))

    def to_dict(self) -> dict[str, Any]:
        """The model as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> PurchaseModel:
        """The model that :meth:`to_dict` described.

        Raises
        ------
        ModelError
            A key is missing, or the parameters are not those of the family.
        """
        try:
            params = {str(name): float(value) for name, value in saved["params"].items()}
            model = cls(
                family=str(saved["family"]),
                params=params,
                penalizer=float(saved["penalizer"]),
                log_likelihood=float(saved["log_likelihood"]),
                n_customers=int(saved["n_customers"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelError(f"purchase model: {error!r} when loading it: train the model again") from error
        if set(params) != set(PARAMETERS.get(model.family, ())) or not _positive(params.values()):
            raise ModelError(f"purchase model: parameters do not fit family {model.family!r}: train it again")
        return model

    def _formulas(self) -> Formulas:
        return formulas(self.family, self.params)


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
    if not _positive(params.values()) or not math.isfinite(_log_likelihood(pooled, family, params)):
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


def _positive(values: Any) -> bool:
    return all(math.isfinite(value) and value > 0 for value in values)


def _horizon_weeks(horizon_days: float) -> float:
    if not (math.isfinite(horizon_days) and horizon_days >= 0):
        raise ModelError(f"horizon_days: {horizon_days} is not a number of days: give 0 or more")
    return float(horizon_days) / DAYS_PER_WEEK


def _pooled(rfm: pd.DataFrame) -> pd.DataFrame:
    """Distinct histories, sorted: frequency, recency and T in weeks, weights (customers)."""
    counted = _histories(rfm).groupby(HISTORY, sort=True).size().rename("weights").reset_index()
    return counted.assign(recency=counted["recency"] / DAYS_PER_WEEK, T=counted["T"] / DAYS_PER_WEEK)


def _per_customer(rfm: pd.DataFrame, predict: Callable[[Floats, Floats, Floats], Floats]) -> Floats:
    """`predict(x, t_x, T)` (weeks) of each row of `rfm`."""
    frequency, recency, T = _histories(rfm).to_numpy().T.copy()
    return predict(frequency, recency / DAYS_PER_WEEK, T / DAYS_PER_WEEK)


def _histories(rfm: pd.DataFrame) -> pd.DataFrame:
    """frequency, recency, T as float64, found possible."""
    missing = [name for name in HISTORY if name not in rfm.columns]
    if missing:
        raise ModelError(f"rfm: no column {', '.join(missing)}: build it with features.rfm")
    histories = rfm[HISTORY].astype(np.float64).reset_index(drop=True)
    values = histories.to_numpy()
    frequency, recency, T = values.T
    wrong = ~np.isfinite(values).all(axis=1) | (frequency < 0) | (recency < 0) | (recency > T)
    wrong |= (frequency != np.floor(frequency)) | ((frequency == 0) & (recency != 0))
    if wrong.any():
        raise ModelError(
            f"rfm: {int(wrong.sum())} rows have an impossible history: "
            "frequency must be a whole number and 0 <= recency <= T (recency 0 where frequency is 0)"
        )
    return histories

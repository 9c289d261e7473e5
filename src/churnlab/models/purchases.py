"""How many more purchases each customer will make: BG/NBD, MBG/NBD and Pareto/NBD."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from churnlab.errors import ModelError
from churnlab.models.purchase_formulas import Floats, Formulas, formulas

DAYS_PER_WEEK = 7.0
PARAMETERS = {
    "bgnbd": ("r", "alpha", "a", "b"),
    "mbgnbd": ("r", "alpha", "a", "b"),
    "paretonbd": ("r", "alpha", "s", "beta"),
}
HISTORY = ["frequency", "recency", "T"]
FARTHEST_DAYS = 36525.0


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

    Notes
    -----
    Every method takes a frame `rfm` with the columns frequency (repeat purchase days), recency
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
        if set(params) != set(PARAMETERS.get(model.family, ())) or not all_positive(params.values()):
            raise ModelError(f"purchase model: parameters do not fit family {model.family!r}: train it again")
        return model

    def _formulas(self) -> Formulas:
        return formulas(self.family, self.params)


def all_positive(values: Iterable[float]) -> bool:
    """Whether all are finite, and above 0."""
    return all(math.isfinite(value) and value > 0 for value in values)


def _horizon_weeks(horizon_days: float) -> float:
    if not (math.isfinite(horizon_days) and horizon_days >= 0):
        raise ModelError(f"horizon_days: {horizon_days} is not a number of days: give 0 or more")
    return float(horizon_days) / DAYS_PER_WEEK


def _per_customer(rfm: pd.DataFrame, predict: Callable[[Floats, Floats, Floats], Floats]) -> Floats:
    """`predict(x, t_x, T)` (weeks) of each row of `rfm`."""
    frequency, recency, T = histories(rfm).to_numpy().T.copy()
    return predict(frequency, recency / DAYS_PER_WEEK, T / DAYS_PER_WEEK)


def histories(rfm: pd.DataFrame) -> pd.DataFrame:
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

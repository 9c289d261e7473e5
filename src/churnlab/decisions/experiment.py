"""What treatment did: treated against held-out customers, with the past taken out of the noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
import scipy  # its parts are imported when they are first asked for

COVARIATES = ("pre_spend", "pre_days", "churn_probability", "clv")
LEVEL, POWER = 0.90, 0.80
BORROWED = 20  # observations that the variance of both groups together counts for in that of each
ROWS_PER_COVARIATE = 10  # of fewer, a covariate adds as much noise as it takes away
TINY = 1e-12  # of a covariate's own size: varies only in rounding


@dataclass(frozen=True)
class Comparison:
    """Treated against control of one outcome.

    Attributes
    ----------
    n_treated, n_control
        Rows that are compared: those of dates on which both groups have two at least.
    mean_treated, mean_control
        In the unit of the outcome, as if both groups had had the same past.
    difference, se, low, high
        Treated less control, its standard error, and the ends of its 90 % interval.
    se_treated, se_control
        Standard errors of the two means.
    se_plain
        Standard error of the difference without the past.
    detectable
        The smallest true difference whose interval leaves 0 out in 80 of 100 such campaigns.

    Numbers but the counts are NaN where no date has two customers in both groups.
    """

    n_treated: int
    n_control: int
    mean_treated: float = math.nan
    mean_control: float = math.nan
    difference: float = math.nan
    se: float = math.nan
    low: float = math.nan
    high: float = math.nan
    se_treated: float = math.nan
    se_control: float = math.nan
    se_plain: float = math.nan
    detectable: float = math.nan


def compare(rows: pd.DataFrame, outcome: str, covariates: Sequence[str] = COVARIATES) -> Comparison:
    """The difference that treatment made, and how sure it is.

    The outcome is adjusted by what was known before (CUPED: Deng, Xu, Kohavi & Walker 2013, "Improving the
    sensitivity of online controlled experiments by utilizing pre-experiment data", WSDM, equation 1), with θ
    of both groups and all dates together. Groups are compared within each date, and the differences of dates
    weighted by n_t·n_c / (n_t + n_c), which does not depend on the outcome. Rows of one customer on several
    dates count as one observation in the standard error. The variance of each group leans on that of both
    (Smyth 2004, "Linear models and empirical Bayes methods", section 4), for few customers tell little of a
    skewed spend; t interval with Welch's degrees of freedom.

    Parameters
    ----------
    rows
        as_of, customer_id, group (treated or control), the outcome and the covariates; one row per customer
        and date, in any order.
    outcome
        Column that is compared.
    covariates
        Columns known on the date; none: the plain difference.
    """
    return adjust(rows, [outcome], covariates).compare(outcome)


@dataclass(frozen=True)
class Adjusted:
    """Outcomes of rows in an order of their own, less what the past explains."""

    rows: pd.DataFrame
    plain: dict[str, np.ndarray]
    values: dict[str, np.ndarray]
    used: int  # covariates

    def of(self, kept: np.ndarray) -> Adjusted:
        """Some of the rows, with the θ of all."""
        return replace(
            self,
            rows=self.rows[kept],
            plain={name: values[kept] for name, values in self.plain.items()},
            values={name: values[kept] for name, values in self.values.items()},
        )

    @cached_property
    def _cells(self) -> _Cells:
        return _Cells.of(self.rows)

    def mean_of_treated(self, column: str) -> float:
        """Of a column as it stands, dates weighted as in comparisons; NaN where nothing is compared."""
        cells = self._cells
        if not cells.weight.any():
            return math.nan
        return _Side.of(cells, cells.treated, self.rows[column].to_numpy(float)).mean

    def within_dates(self, outcome: str) -> np.ndarray:
        """The adjusted outcome of each row less the mean of its date."""
        date = pd.factorize(self.rows["as_of"])[0]
        return _less_mean(self.values[outcome][:, None], date)[:, 0]

    def compare(self, outcome: str) -> Comparison:
        """Treated against control among these rows; see :func:`compare`."""
        cells = self._cells
        if not cells.weight.any():
            return Comparison(*((self.rows["group"] == group).sum() for group in ("treated", "control")))
        found = _contrast(cells, self.values[outcome], self.used)
        plain = _contrast(cells, self.plain[outcome], 0)
        spread = scipy.stats.t.ppf((1 + LEVEL) / 2, found.df) * found.se
        difference = found.treated - found.control
        return Comparison(
            int(cells.treated.sum()),
            int(cells.control.sum()),
            mean_treated=found.treated,
            mean_control=found.control,
            difference=difference,
            se=found.se,
            low=difference - spread,
            high=difference + spread,
            se_treated=math.sqrt(found.var_treated),
            se_control=math.sqrt(found.var_control),
            se_plain=plain.se,
            detectable=spread + float(scipy.stats.t.ppf(POWER, found.df)) * found.se,
        )


def adjust(rows: pd.DataFrame, outcomes: Sequence[str], covariates: Sequence[str] = COVARIATES) -> Adjusted:
    """Take out of the outcomes what the covariates explain within dates and groups.

    Parameters
    ----------
    rows
        As :func:`compare` takes them.
    outcomes
        Columns to adjust.
    """
    rows = rows.sort_values(["as_of", "customer_id"], ignore_index=True)  # sums do not depend on the order
    plain = {name: rows[name].to_numpy(float) for name in outcomes}
    date = pd.factorize(rows["as_of"])[0]
    cell = 2 * date + (rows["group"] == "treated").to_numpy()
    centred, used = _explaining(rows, covariates, date, cell)
    inside = _less_mean(centred, cell)
    values = {}
    for name, outcome in plain.items():
        theta = np.linalg.lstsq(inside, _less_mean(outcome[:, None], cell)[:, 0], rcond=1e-9)[0]
        values[name] = outcome - centred @ theta
    return Adjusted(rows, plain, values, used)


def _explaining(
    rows: pd.DataFrame, covariates: Sequence[str], date: np.ndarray, cell: np.ndarray
) -> tuple[np.ndarray, int]:
    """Covariates around the mean of their date, in units of their spread; as many as the rows bear."""
    given = rows[list(covariates)].to_numpy(float)
    size = np.abs(given).max(axis=0, initial=0.0)
    spread = np.sqrt((_less_mean(given, cell) ** 2).mean(axis=0)) if len(given) else size
    bearable = (len(rows) - len(np.unique(cell))) // ROWS_PER_COVARIATE
    kept = np.flatnonzero(spread > TINY * size)[: max(bearable, 0)]
    return _less_mean(given[:, kept], date) / spread[kept], len(kept)


def _less_mean(values: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Each column less the mean of the rows that share its key."""
    counts = np.maximum(np.bincount(key), 1)
    means = [np.bincount(key, weights=column)[key] / counts[key] for column in values.T]
    return values - np.column_stack(means) if means else values


@dataclass(frozen=True)
class _Cells:
    """Who is compared with whom: rows by date and group."""

    date: np.ndarray
    customer: np.ndarray
    treated: np.ndarray  # rows of compared dates
    control: np.ndarray
    weight: np.ndarray  # of each date; they add up to 1

    @classmethod
    def of(cls, rows: pd.DataFrame) -> _Cells:
        date, customer = pd.factorize(rows["as_of"])[0], pd.factorize(rows["customer_id"])[0]
        treated = (rows["group"] == "treated").to_numpy()
        n_treated, n_control = (
            np.bincount(date[side], minlength=date.max(initial=-1) + 1) for side in (treated, ~treated)
        )
        both = (n_treated > 1) & (n_control > 1)
        weight = np.where(both, n_treated * n_control / np.maximum(n_treated + n_control, 1), 0.0)
        weight = weight / weight.sum() if both.any() else weight
        return cls(date, customer, treated & both[date], ~treated & both[date], weight)


@dataclass(frozen=True)
class _Contrast:
    treated: float
    control: float
    var_treated: float
    var_control: float
    df: float

    @property
    def se(self) -> float:
        return math.sqrt(self.var_treated + self.var_control)


def _contrast(cells: _Cells, values: np.ndarray, used: int) -> _Contrast:
    """Weighted means of both groups and their variances; `used`: degrees of freedom that θ took."""
    sides = [_Side.of(cells, side, values) for side in (cells.treated, cells.control)]
    free = sum(side.df for side in sides)
    both = sum(side.df * side.spread for side in sides) / free
    lost = 1 + used / max(free - used, 1)
    variances = [side.variance(both) * lost for side in sides]
    total = sum(variances)
    uncertain = sum(v**2 / min(side.df + BORROWED, free) for v, side in zip(variances, sides, strict=True))
    df = min(total**2 / uncertain, free) if uncertain else free
    return _Contrast(sides[0].mean, sides[1].mean, variances[0], variances[1], float(df))


@dataclass(frozen=True)
class _Side:
    """One group: its mean, and the variance of one row (in `spread`) that its mean's is `share` times of."""

    mean: float
    spread: float
    share: float
    df: int

    @classmethod
    def of(cls, cells: _Cells, side: np.ndarray, values: np.ndarray) -> _Side:
        date, kept, size = cells.date[side], values[side], len(cells.weight)
        n = np.bincount(date, minlength=size)
        means = np.bincount(date, weights=kept, minlength=size) / np.maximum(n, 1)
        pull = (cells.weight / np.maximum(n, 1))[date]
        left = pull * (kept - means[date]) * np.sqrt(n / np.maximum(n - 1, 1))[date]
        people = np.bincount(cells.customer[side], weights=left)
        share = float((pull**2).sum())
        distinct = len(np.unique(cells.customer[side]))
        return cls(
            mean=float(means @ cells.weight),
            spread=float((people**2).sum()) / share,
            share=share,
            df=min(len(kept) - int((n > 0).sum()), distinct - 1),
        )

    def variance(self, both: float) -> float:
        """Of the mean, leaning on the spread of both groups."""
        return self.share * (self.df * self.spread + BORROWED * both) / (self.df + BORROWED)

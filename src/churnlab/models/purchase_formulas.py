"""Closed forms and quadratures of the buy-till-you-die models, on plain arrays in weeks.

Every function takes, per customer, x (repeat purchase days), t_x (weeks from first to last purchase) and T
(weeks from first purchase to cutoff). None of them evaluates the hypergeometric function 2F1 of the papers,
which overflows for heavy buyers: what it stands for is an integral with a positive integrand, computed as
such.

Papers
------
Schmittlein, Morrison & Colombo (1987), Management Science 33(1): Pareto/NBD.
Fader, Hardie & Lee (2005), Marketing Science 24(2): BG/NBD.
Batislam, Denizel & Filiztekin (2007), International Journal of Research in Marketing 24(3): MBG/NBD.
Fader & Hardie (2005), "A note on deriving the Pareto/NBD model and related expressions".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, exprel, gammaln

from churnlab.models.distinct import Remembered, distinct

Floats = NDArray[np.float64]

BETA_NODES = 192
LEGENDRE_NODES = 48
ROWS_AT_ONCE = 1024  # customers by nodes stay in the processor's cache
REMEMBERED = 65_536  # customers' kinds, of one model and horizon
_TAIL = 38.0  # e-folds after which an integrand is below the rounding error of what precedes it
_SMALLEST_Q = 1e-280


class Formulas(Protocol):
    """What every purchase model can say about customers with history (x, t_x, T), times in weeks."""

    def log_likelihood(self, x: Floats, t_x: Floats, T: Floats) -> Floats:
        """Log-likelihood of each history."""

    def p_alive(self, x: Floats, t_x: Floats, T: Floats) -> Floats:
        """P(not dropped out at T)."""

    def p_no_purchase(self, alive: Floats, x: Floats, T: Floats, horizon: float) -> Floats:
        """P(no purchase in (T, T + horizon]); `alive` is :meth:`p_alive`."""

    def expected_purchases(self, alive: Floats, x: Floats, T: Floats, horizons: Sequence[float]) -> Floats:
        """E[purchases in (T, T + h]], one column per h of `horizons`; `alive` is :meth:`p_alive`."""


@dataclass(frozen=True)
class BetaGeometricNBD:
    """BG/NBD, or MBG/NBD when `may_drop_at_first`: dropout is possible after the first purchase too."""

    r: float
    alpha: float
    a: float
    b: float
    may_drop_at_first: bool

    def log_likelihood(self, x: Floats, t_x: Floats, T: Floats) -> Floats:
        """Fader, Hardie & Lee (2005), eq. (6); Batislam et al. (2007), eq. (2)."""
        r, alpha, a, b = self.r, self.alpha, self.a, self.b
        chances = x + self.may_drop_at_first
        purchases = gammaln(r + x) - gammaln(r) + r * np.log(alpha) - (r + x) * np.log(alpha + T)
        survivals = gammaln(a + b) - gammaln(b) + gammaln(b + chances) - gammaln(a + b + chances)
        return purchases + survivals + np.logaddexp(0.0, self._log_odds_gone(x, t_x, T))

    def p_alive(self, x: Floats, t_x: Floats, T: Floats) -> Floats:
        """Fader & Hardie (2008), "Computing P(alive) using the BG/NBD model"; Batislam et al. (2007).

        BG/NBD: 1 for every customer without a repeat purchase.
        """
        return expit(-self._log_odds_gone(x, t_x, T))

    def p_no_purchase(self, alive: Floats, x: Floats, T: Floats, horizon: float) -> Floats:
        """(1 - P(alive)) + P(alive) ((alpha + T) / (alpha + T + H))^(r + x).

        Dropout happens only at a purchase, and given alive the rate is Gamma(r + x, alpha + T).
        """
        purchase = -np.expm1(-(self.r + x) * np.log1p(horizon / (self.alpha + T)))
        return 1.0 - alive * purchase

    def expected_purchases(self, alive: Floats, x: Floats, T: Floats, horizons: Sequence[float]) -> Floats:
        """P(alive) E[(1 - ((alpha + T) / (alpha + T + q H))^(r + x)) / q], q ~ Beta(a, b + chances survived).

        The expectation in Fader, Hardie & Lee (2005), eq. (10), before it is written with 2F1.
        """
        return alive[:, None] * _purchases_if_alive(self, tuple(horizons))(x, T)

    def purchases_if_alive(self, x: Floats, T: Floats, horizons: Sequence[float]) -> Floats:
        """What :meth:`expected_purchases` is of those who are alive."""
        survived, which = np.unique(x + self.may_drop_at_first, return_inverse=True)
        q, weight = (nodes[which] for nodes in beta_nodes(self.a, self.b + survived))
        out, power = np.empty((len(x), len(horizons))), -(self.r + x)[:, None]
        for column, horizon in enumerate(horizons):
            terms = q * (horizon / (self.alpha + T))[:, None]
            np.log1p(terms, out=terms)  # in place: fresh memory for each step takes as long as the step
            terms *= power
            np.expm1(terms, out=terms)
            np.negative(terms, out=terms)
            terms /= q
            terms *= weight
            out[:, column] = terms.sum(axis=1)
        return out

    def _log_odds_gone(self, x: Floats, t_x: Floats, T: Floats) -> Floats:
        silence = (self.r + x) * np.log1p((T - t_x) / (self.alpha + t_x))
        if self.may_drop_at_first:
            return np.log(self.a) - np.log(self.b + x) + silence
        odds = np.log(self.a) - np.log(self.b + np.maximum(x, 1.0) - 1.0) + silence
        return np.where(x > 0, odds, -np.inf)


@dataclass(frozen=True)
class ParetoNBD:
    """Pareto/NBD: a customer can drop out at any moment, at a rate that is Gamma(s, beta) over customers."""

    r: float
    alpha: float
    s: float
    beta: float
    nodes: int = LEGENDRE_NODES

    def log_likelihood(self, x: Floats, t_x: Floats, T: Floats) -> Floats:
        """Fader & Hardie (2005, note), eq. (18), with A_0 as the integral it abbreviates."""
        r, alpha, s, beta = self.r, self.alpha, self.s, self.beta
        alive = gammaln(r + x) - gammaln(r) + r * np.log(alpha) - (r + x) * np.log(alpha + T)
        return alive - s * np.log1p(T / beta) + np.logaddexp(0.0, self._log_odds_gone(x, t_x, T))

    def p_alive(self, x: Floats, t_x: Floats, T: Floats) -> Floats:
        """Fader & Hardie (2005, note), section 5.1: L(alive at T) as a share of the likelihood."""
        return expit(-self._log_odds_gone(x, t_x, T))

    def p_no_purchase(self, alive: Floats, x: Floats, T: Floats, horizon: float) -> Floats:
        """1 - P(alive) P(a purchase comes within H and before the dropout | alive).

        Given alive, the purchase rate Gamma(r + x, alpha + T) and dropout rate Gamma(s, beta + T) are
        independent.
        """

        def first_to_buy(x: Floats, T: Floats) -> Floats:
            return in_parts(lambda x, T: self._first(purchase_first, x, T, np.full_like(T, horizon)), x, T)

        purchase = once_each(first_to_buy, x, T)
        return 1.0 - alive * np.clip(purchase, 0.0, 1.0)

    def expected_purchases(self, alive: Floats, x: Floats, T: Floats, horizons: Sequence[float]) -> Floats:
        """P(alive) (r + x) / (alpha + T) E[weeks alive within H]: Fader & Hardie (2005, note), eq. (41)."""
        rate = alive * (self.r + x) / (self.alpha + T)
        growth = np.log1p(np.asarray(horizons)[None, :] / (self.beta + T)[:, None])
        weeks_alive = (self.beta + T)[:, None] * growth * exprel((1.0 - self.s) * growth)
        return rate[:, None] * weeks_alive

    def _log_odds_gone(self, x: Floats, t_x: Floats, T: Floats) -> Floats:
        """log(L_dropped_out / L_alive), both divided by what the last purchase already settled."""
        dropout = in_parts(lambda x, t_x, T: self._first(dropout_first, x, t_x, T - t_x), x, t_x, T)
        survival = (self.r + x) * np.log1p((T - t_x) / (self.alpha + t_x))
        survival = survival + self.s * np.log1p((T - t_x) / (self.beta + t_x))
        with np.errstate(divide="ignore"):  # no time since the last purchase: certainly alive
            return survival + np.log(dropout)

    def _first(self, event: Callable[..., Floats], x: Floats, weeks: Floats, span: Floats) -> Floats:
        """P(`event` within `span` from so many `weeks` after the first purchase)."""
        return event(self.r + x, self.alpha + weeks, self.s, self.beta + weeks, span, self.nodes)


def formulas(family: str, params: Mapping[str, float]) -> Formulas:
    """The formulas of `family` at `params` (time unit weeks)."""
    if family == "paretonbd":
        return ParetoNBD(params["r"], params["alpha"], params["s"], params["beta"])
    return BetaGeometricNBD(params["r"], params["alpha"], params["a"], params["b"], family == "mbgnbd")


@lru_cache(maxsize=4)
def _purchases_if_alive(model: BetaGeometricNBD, horizons: tuple[float, ...]) -> Remembered:
    """The integral that a customer of any bucket may ask for: ages and counts are whole numbers."""
    return Remembered(
        lambda x, T: in_parts(lambda x, T: model.purchases_if_alive(x, T, horizons), x, T), REMEMBERED
    )


def once_each(answer: Callable[..., Floats], *columns: Floats) -> Floats:
    """`answer(*columns)`, asked once per distinct row; what it says of a row depends on that row alone."""
    kind, first = distinct(*columns)
    return answer(*(column[first] for column in columns))[kind]


def in_parts(answer: Callable[..., Floats], *columns: Floats) -> Floats:
    """`answer(*columns)`, asked for `ROWS_AT_ONCE` rows at a time."""
    starts = range(0, max(len(columns[0]), 1), ROWS_AT_ONCE)
    return np.concatenate([answer(*(c[at : at + ROWS_AT_ONCE] for c in columns)) for at in starts])


def purchase_first(k: Floats, A: Floats, s: float, B: Floats, span: Floats, nodes: int) -> Floats:
    """P(purchase first, within span): see :func:`_while_neither`."""
    u, mass = _while_neither(k, A, s, B, span, nodes)
    return (mass * k[:, None] / (A[:, None] + u)).sum(axis=1)


def dropout_first(k: Floats, A: Floats, s: float, B: Floats, span: Floats, nodes: int) -> Floats:
    """P(dropout first, within span): see :func:`_while_neither`."""
    u, mass = _while_neither(k, A, s, B, span, nodes)
    return (mass * s / (B[:, None] + u)).sum(axis=1)


def _while_neither(
    k: Floats, A: Floats, s: float, B: Floats, span: Floats, nodes: int
) -> tuple[Floats, Floats]:
    """Where to look at two Lomax waiting times that are raced within `span`, and with which weight.

    P(purchase first, within span) = int_0^span k/(A+u) exp(-G(u)) du and
    P(dropout first, within span) = int_0^span s/(B+u) exp(-G(u)) du, G(u) = k log((A+u)/A) + s log((B+u)/B).

    In v = log((c+u)/c), c = min(A, B), both integrands are analytic within distance pi of the real line and G
    is convex, so the interval can be cut where exp(-G) has surely sunk below the rounding error;
    Gauss-Legendre does the rest.

    Parameters
    ----------
    k, A
        Shape and scale of the time to the next purchase, one per customer.
    s, B
        Shape and scale of the time to dropout.
    span
        Length of the interval, same unit as A and B.
    nodes
        Number of quadrature nodes.

    Returns
    -------
    u, and exp(-G(u)) du: (customers, nodes).
    """
    c, larger = np.minimum(A, B), np.maximum(A, B)
    slope = np.where(A <= B, k + s * c / larger, s + k * c / larger)  # of G at v = 0: its least
    length = np.minimum(np.log1p(span / c), _TAIL / slope)
    point, weight = _legendre(nodes)
    step = length[:, None] / 2.0
    u = c[:, None] * np.expm1(step * (point + 1.0))
    shape, A, B, c = k[:, None], A[:, None], B[:, None], c[:, None]
    return u, step * weight * (c + u) * np.exp(-shape * np.log1p(u / A) - s * np.log1p(u / B))


@cache
def _legendre(nodes: int) -> tuple[Floats, Floats]:
    return np.polynomial.legendre.leggauss(nodes)


def beta_nodes(a: float, b: Floats, nodes: int = BETA_NODES) -> tuple[Floats, Floats]:
    """Points q and weights (rows sum to 1) that integrate smooth functions over Beta(a, b), one row per b.

    Trapezoids in t, where logit(q) = logit(a / (a + b)) + width sinh(t): the density is analytic in t and
    falls off double exponentially, for a or b near 0 (long tails in logit(q)) as for large ones (a narrow
    peak).
    """
    deviation = np.sqrt(1.0 / a + 1.0 / b)
    width = np.minimum(1.0, deviation)
    lowest = -np.arcsinh((_TAIL / a + 8.8 * deviation) / width)
    highest = np.arcsinh((_TAIL / b + 8.8 * deviation) / width)
    t = lowest[:, None] + (highest - lowest)[:, None] * np.linspace(0.0, 1.0, nodes)
    logit = (np.log(a) - np.log(b))[:, None] + width[:, None] * np.sinh(t)
    log_weight = a * logit - (a + b)[:, None] * np.logaddexp(0.0, logit) + np.logaddexp(t, -t)
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    return np.maximum(expit(logit), _SMALLEST_Q), weight / weight.sum(axis=1, keepdims=True)

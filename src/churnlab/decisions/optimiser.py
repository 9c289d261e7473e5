"""At most one action per customer, worth most together within limits, and how near the best that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import coo_array, csr_array, vstack

NOBODY = -1
MOST_CUTS = 200
CLOSE = 1e-8  # of the bound: prices that are known so well need no more cuts
SLACK = 1e-9  # of a limit: what sums may be off by
ROUNDS = 40
CORE_OPTIONS = 4_000  # left open by the bound, solved to the end
CORE_NODES = 2_000  # of the search tree: a count, unlike a time, ends at the same place everywhere


@dataclass(frozen=True)
class Limit:
    """At most `most` of something that contacts use.

    Attributes
    ----------
    name
        What prices are told by.
    use
        By every customer and action, 0 or more: broadcasts to (customers, actions).
    most
        In the unit of `use`; inclusive.
    """

    name: str
    use: np.ndarray
    most: float

    def of(self, rows: np.ndarray) -> Limit:
        """For some of the customers."""
        return self if self.use.shape[0] == 1 else replace(self, use=self.use[rows])


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes
    ----------
    action
        Column of each customer's action; `NOBODY`: none.
    prices
        Name of each limit → what one unit more of it would bring, in the unit of the benefits.
    worth
        Sum of the benefits chosen.
    bound
        No choice within the limits is worth more.
    method
        `exact` where it was searched to the end, `lagrangian` where prices chose.
    """

    action: np.ndarray
    prices: dict[str, float]
    worth: float
    bound: float
    method: Literal["exact", "lagrangian"]

    @property
    def gap(self) -> float:
        """What is missing to the bound, at most, as a share of it."""
        return max(self.bound - self.worth, 0.0) / self.bound if self.bound > 0 else 0.0


def choose(benefits: np.ndarray, limits: Sequence[Limit]) -> Choice:
    """Maximise the sum of benefits, one action per customer at most.

    Every limit has a price, and every customer gets the action that is worth most after prices, or none
    (Everett 1963, "Generalized Lagrange multiplier method", Operations Research 11(3)). Prices are those at
    which the bound of the relaxed problem is lowest, found by cutting planes (Kelley 1960, "The cutting-plane
    method for solving convex programs", SIAM 8(4)). What they leave over is filled up in their order. Options
    that the bound shows to be in no better choice are then settled, and the rest is searched by HiGHS.

    Parameters
    ----------
    benefits
        (customers, actions), in one unit; only those above 0 are taken. Of equals the earlier customer, and
        the earlier action, comes first.
    limits
        What contacts use.
    """
    unit = float(benefits.max(initial=0.0))
    if unit <= 0.0:
        return Choice(
            np.full(len(benefits), NOBODY), {limit.name: 0.0 for limit in limits}, 0.0, 0.0, "exact"
        )
    rows = np.flatnonzero((benefits > 0).any(axis=1))
    own = [limit.of(rows) for limit in limits]
    problem = _Problem.of(benefits[rows] / unit, own)
    prices, bound = _prices(problem)
    chosen = _filled(problem, prices)
    chosen, bound, method = _searched(problem, prices, chosen, bound)
    action = np.full(len(benefits), NOBODY)
    action[rows] = chosen
    taken = np.flatnonzero(action != NOBODY)
    worth = float(benefits[taken, action[taken]].sum())
    told = {
        limit.name: float(p / s * unit) for limit, p, s in zip(limits, prices, problem.scales, strict=True)
    }
    return Choice(action, told, worth, max(bound * unit, worth), method)


def priced(benefits: np.ndarray, limits: Sequence[Limit], prices: dict[str, float]) -> np.ndarray:
    """Benefits less what their use of the limits is worth, (customers, actions)."""
    net = benefits.astype(float)
    for limit in limits:
        net -= prices[limit.name] * limit.use
    return net


@dataclass(frozen=True)
class _Problem:
    """Benefits of 1 at most, and limits whose greatest use is 1."""

    benefits: np.ndarray
    uses: list[np.ndarray]
    caps: np.ndarray
    scales: np.ndarray

    @classmethod
    def of(cls, benefits: np.ndarray, limits: Sequence[Limit]) -> _Problem:
        scales = np.array([float(limit.use.max(initial=0.0)) or 1.0 for limit in limits])
        uses = [limit.use / scale for limit, scale in zip(limits, scales, strict=True)]
        caps = np.array([limit.most / scale for limit, scale in zip(limits, scales, strict=True)])
        return cls(benefits, uses, caps, scales)

    def net(self, prices: np.ndarray) -> np.ndarray:
        net = self.benefits.copy()
        for use, price in zip(self.uses, prices, strict=True):
            if price:
                net -= price * use
        return net

    def used(self, rows: np.ndarray, actions: np.ndarray) -> list[np.ndarray]:
        """By those options, limit by limit."""
        wide = (np.broadcast_to(use, self.benefits.shape) for use in self.uses)
        return [use[rows, actions] for use in wide]

    def relaxed(self, prices: np.ndarray) -> tuple[float, np.ndarray]:
        """The bound at those prices, and how it changes with each of them."""
        net = self.net(prices)
        actions = net.argmax(axis=1)
        gain = net[np.arange(len(net)), actions]
        rows = np.flatnonzero(gain > 0)
        used = np.array([use.sum() for use in self.used(rows, actions[rows])])
        return float(gain[rows].sum() + prices @ self.caps), self.caps - used


def _prices(problem: _Problem) -> tuple[np.ndarray, float]:
    """The prices at which the bound is lowest, and the bound."""
    count = len(problem.caps)
    best, lowest = np.zeros(count), np.inf
    prices, cuts, heights = np.zeros(count), [], []
    dearest = [_dearest(problem.benefits, use) for use in problem.uses]
    for _ in range(MOST_CUTS):
        bound, slope = problem.relaxed(prices)
        if bound < lowest:
            best, lowest = prices, bound
        if not prices.any() and (slope >= 0).all():
            break  # nothing is scarce
        cuts.append([*slope, -1.0])
        heights.append(slope @ prices - bound)
        found = linprog(
            [*np.zeros(count), 1.0], cuts, heights, bounds=[*((0.0, most) for most in dearest), (0.0, None)]
        )
        if not found.success or lowest - found.fun <= CLOSE * lowest:
            break
        prices = np.maximum(found.x[:-1], 0.0)
    return best, lowest


def _dearest(benefits: np.ndarray, use: np.ndarray) -> float:
    """The price from which on nobody is worth it."""
    wide = np.broadcast_to(use, benefits.shape)
    return float(np.divide(benefits, wide, out=np.zeros_like(benefits), where=wide > 0).max(initial=0.0))


def _filled(problem: _Problem, prices: np.ndarray) -> np.ndarray:
    """Action of each customer: those worth most after prices, as long as they fit, round after round."""
    net = np.where(problem.benefits > 0, problem.net(prices), -np.inf)
    action = np.full(len(net), NOBODY)
    left, waiting = problem.caps * (1 + SLACK), np.arange(len(net))
    for _ in range(ROUNDS):
        own = net[waiting]
        for use, room in zip(problem.uses, left, strict=True):
            own[np.broadcast_to(_rows(use, waiting) > room, own.shape)] = -np.inf
        best = own.argmax(axis=1)
        gain = own[np.arange(len(own)), best]
        order = np.argsort(-gain, kind="stable")
        order = order[np.isfinite(gain[order])]
        if not len(order):
            break
        used = problem.used(waiting[order], best[order])
        fits = np.ones(len(order), dtype=bool)
        for use, room in zip(used, left, strict=True):
            fits &= np.cumsum(use) <= room
        taken = order[fits]
        action[waiting[taken]] = best[taken]
        left = left - [use[fits].sum() for use in used]
        waiting = np.delete(waiting, taken)
    return action


def _rows(use: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return use if use.shape[0] == 1 else use[rows]


def _searched(
    problem: _Problem, prices: np.ndarray, action: np.ndarray, bound: float
) -> tuple[np.ndarray, float, Literal["exact", "lagrangian"]]:
    """The choice or a better one, a bound as tight, and whether it was searched to the end.

    An option that costs more of the bound than a choice is away from it is in no better choice.
    """
    rows = np.flatnonzero(action != NOBODY)
    worth = float(problem.benefits[rows, action[rows]].sum())
    missing = bound - worth
    if missing <= SLACK * bound:
        return action, bound, "exact"
    net = np.column_stack([problem.net(prices), np.zeros(len(action))])  # the last: no action
    net[:, :-1][problem.benefits <= 0] = -np.inf
    open_options = net >= (net.max(axis=1) - missing - SLACK * bound)[:, None]
    core = np.flatnonzero(open_options.sum(axis=1) > 1)
    if open_options[core].sum() > CORE_OPTIONS:
        return action, bound, "lagrangian"
    settled = np.where(open_options[:, :-1].any(axis=1), open_options[:, :-1].argmax(axis=1), NOBODY)
    settled[core] = NOBODY
    fixed = np.flatnonzero(settled != NOBODY)
    value = float(problem.benefits[fixed, settled[fixed]].sum())
    left = problem.caps - [use.sum() for use in problem.used(fixed, settled[fixed])]
    found = _core(problem, core, open_options[core], left) if len(core) else (core, 0.0, True)
    if found is None:
        return action, bound, "lagrangian"
    picked, core_bound, ended = found
    settled[core] = picked
    taken = np.flatnonzero(settled != NOBODY)
    better = float(problem.benefits[taken, settled[taken]].sum())
    # a choice in the settled part may be no better than the one at hand; the bound holds for both
    bound = min(bound, max(value + core_bound, worth))
    return (settled if better > worth else action), bound, "exact" if ended else "lagrangian"


def _core(
    problem: _Problem, core: np.ndarray, options: np.ndarray, left: np.ndarray
) -> tuple[np.ndarray, float, bool] | None:
    """Actions of the customers left open, a bound of their worth, whether the search came to its end."""
    place, action = np.nonzero(options[:, :-1])
    values = problem.benefits[core[place], action]
    uses = csr_array(np.array(problem.used(core[place], action)).reshape(len(left), -1))
    one = coo_array((np.ones(len(place)), (place, np.arange(len(place)))), (len(core), len(place)))
    needed = np.where(options[:, -1], 0.0, 1.0)
    found = milp(
        -values,
        constraints=[
            LinearConstraint(
                vstack([uses, one]).tocsr(),
                np.append(np.full(len(left), -np.inf), needed),
                np.append(np.maximum(left, 0.0) + SLACK * problem.caps, np.ones(len(core))),
            ),
        ],
        integrality=np.ones(len(values)),
        bounds=Bounds(0, 1),
        options={"node_limit": CORE_NODES, "mip_rel_gap": CLOSE},
    )
    if found.x is None:
        return None
    taken = found.x > 0.5
    picked = np.full(len(core), NOBODY)
    picked[place[taken]] = action[taken]
    bound = -float(found.mip_dual_bound) if found.mip_dual_bound is not None else float(values.sum())
    return picked, bound, found.status == 0

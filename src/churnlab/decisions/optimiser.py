"""At most one action per customer, worth most together within limits, and how near the best that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import coo_array, csr_array, vstack

NOBODY = -1
MOST_CUTS = 200
CLOSE = 1e-8  # of the bound: prices that are known so well need no more cuts
SLACK = 1e-9  # of a limit: what sums may be off by
ROUNDS = 40
NET_DIGITS = 7  # after prices: at the margin, noise must not order customers
CORE_OPTIONS = 8_000  # left open by the bound, solved to the end
CORE_NODES = 2_000  # of the search tree: a count, unlike a time, ends at the same place everywhere
CORE_SECONDS = 600.0  # far more than those take: a search that loops must not hold up the list for ever
DEAREST_FLOOR = 1e3  # of the greatest benefit: what a contact that a floor asks for may displace
NEARLY_NOTHING = 1e-9  # of a contact


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
class Floor:
    """At least `least` contacts of some customers, as far as the limits allow.

    Attributes
    ----------
    name
        What it is told by.
    among
        Whether each customer is one of them: (customers,).
    least
        Contacts.
    """

    name: str
    among: np.ndarray
    least: int


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes
    ----------
    action
        Column of each customer's action; `NOBODY`: none.
    prices
        Name of each limit → what one unit more of it would bring, in the unit of the benefits; of each floor,
        what one contact less would.
    worth
        Sum of the benefits chosen.
    bound
        No choice within the limits is worth more.
    method
        `exact` where it was searched to the end, `lagrangian` where prices chose.
    missed
        Name of each floor that cannot be kept → contacts that are missing.
    """

    action: np.ndarray
    prices: dict[str, float]
    worth: float
    bound: float
    method: Literal["exact", "lagrangian"]
    missed: dict[str, int] = field(default_factory=dict)

    @property
    def gap(self) -> float:
        """What is missing to the bound, at most, as a share of it."""
        return max(self.bound - self.worth, 0.0) / self.bound if self.bound > 0 else 0.0


def choose(benefits: np.ndarray, limits: Sequence[Limit], floors: Sequence[Floor] = ()) -> Choice:
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
    floors
        Contacts that come before all others. Where there are not so many worth making within the limits,
        there are as many as there can be, of the floor named first before those of later ones.
    """
    found = _choice(benefits, limits, floors)
    if found.missed:
        possible = _possible(benefits, limits, floors)
        found = _choice(benefits, limits, possible)
        missed = {
            floor.name: floor.least - _counted(found.action, floor)
            for floor in floors
            if _counted(found.action, floor) < floor.least
        }
        found = replace(found, missed=missed)
    return found


def _possible(benefits: np.ndarray, limits: Sequence[Limit], floors: Sequence[Floor]) -> list[Floor]:
    """The floors, as high as they can be kept."""
    kept: list[Floor] = []
    for floor in floors:
        count = np.where(floor.among[:, None], 1.0, NEARLY_NOTHING / len(benefits))
        most = _choice(np.where(benefits > 0, count, 0.0), limits, kept)
        kept.append(replace(floor, least=min(floor.least, _counted(most.action, floor))))
    return kept


def _counted(action: np.ndarray, floor: Floor) -> int:
    return int(np.count_nonzero((action != NOBODY) & floor.among))


def _choice(benefits: np.ndarray, limits: Sequence[Limit], floors: Sequence[Floor]) -> Choice:
    unit = float(benefits.max(initial=0.0))
    names = [*(limit.name for limit in limits), *(floor.name for floor in floors)]
    action = np.full(len(benefits), NOBODY)
    if unit <= 0.0:
        missed = {floor.name: floor.least for floor in floors if floor.least}
        return Choice(action, dict.fromkeys(names, 0.0), 0.0, 0.0, "exact", missed)
    rows = np.flatnonzero((benefits > 0).any(axis=1))
    own = [limit.of(rows) for limit in limits]
    asked = [replace(floor, among=floor.among[rows]) for floor in floors]
    problem = _Problem.of(benefits[rows] / unit, own, asked)
    prices, bound = _prices(problem)
    chosen = _filled(problem, prices)
    chosen, bound, method = _searched(problem, prices, chosen, bound)
    action[rows] = chosen
    taken = np.flatnonzero(action != NOBODY)
    worth = float(benefits[taken, action[taken]].sum())
    told = {name: float(p / s * unit) for name, p, s in zip(names, prices, problem.scales, strict=True)}
    missed = {floor.name: floor.least - _counted(action, floor) for floor in floors}
    missed = {name: missing for name, missing in missed.items() if missing > 0}
    return Choice(action, told, worth, max(bound * unit, worth), method, missed)


def priced(
    benefits: np.ndarray, limits: Sequence[Limit], prices: dict[str, float], floors: Sequence[Floor] = ()
) -> np.ndarray:
    """Benefits less what their use of the limits is worth, (customers, actions)."""
    net = benefits.astype(float)
    for limit in limits:
        net -= prices[limit.name] * limit.use
    for floor in floors:
        net += prices[floor.name] * floor.among[:, None]
    return net


@dataclass(frozen=True)
class _Problem:
    """Benefits of 1 at most, and limits whose greatest use is 1; floors are limits turned round, and last."""

    benefits: np.ndarray
    uses: list[np.ndarray]
    caps: np.ndarray
    scales: np.ndarray
    floors: tuple[Floor, ...]

    @classmethod
    def of(cls, benefits: np.ndarray, limits: Sequence[Limit], floors: Sequence[Floor]) -> _Problem:
        scales = np.array([float(limit.use.max(initial=0.0)) or 1.0 for limit in limits])
        uses = [limit.use / scale for limit, scale in zip(limits, scales, strict=True)]
        caps = np.array([limit.most / scale for limit, scale in zip(limits, scales, strict=True)])
        return cls(
            benefits=np.where(benefits > 0, benefits, -np.inf),
            uses=[*uses, *(-1.0 * floor.among[:, None] for floor in floors)],
            caps=np.append(caps, [-float(floor.least) for floor in floors]),
            scales=np.append(scales, np.ones(len(floors))),
            floors=tuple(floors),
        )

    @property
    def limits(self) -> slice:
        """Of `uses` and `caps`, those of limits."""
        return slice(0, len(self.uses) - len(self.floors))

    def is_kept(self, action: np.ndarray) -> bool:
        """Every floor."""
        return all(_counted(action, floor) >= floor.least for floor in self.floors)

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
    dearest = [_dearest(problem.benefits, use) for use in problem.uses[problem.limits]]
    dearest += [DEAREST_FLOOR] * len(problem.floors)
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
    """Action of each customer: those worth most after prices, as long as they fit; floors come first."""
    net = np.round(problem.net(prices), NET_DIGITS)
    action = np.full(len(net), NOBODY)
    left = problem.caps[problem.limits] * (1 + SLACK)
    for floor in problem.floors:
        waiting = np.flatnonzero(floor.among & (action == NOBODY))
        left = _take(problem, net, action, left, waiting, floor.least - _counted(action, floor))
    _take(problem, net, action, left, np.flatnonzero(action == NOBODY), len(action))
    return action


def _take(
    problem: _Problem, net: np.ndarray, action: np.ndarray, left: np.ndarray, waiting: np.ndarray, most: int
) -> np.ndarray:
    """Give an action to so many of those waiting, round after round; what is left of the limits."""
    for _ in range(ROUNDS):
        own = net[waiting]
        for use, room in zip(problem.uses[problem.limits], left, strict=True):
            own[np.broadcast_to(_rows(use, waiting) > room, own.shape)] = -np.inf
        best = own.argmax(axis=1)
        gain = own[np.arange(len(own)), best]
        order = np.argsort(-gain, kind="stable")
        order = order[np.isfinite(gain[order])]
        if not len(order) or most <= 0:
            break
        used = problem.used(waiting[order], best[order])[problem.limits]
        fits = np.ones(len(order), dtype=bool)
        for use, room in zip(used, left, strict=True):
            fits &= np.cumsum(use) <= room
        fits &= np.cumsum(fits) <= most
        taken = order[fits]
        action[waiting[taken]] = best[taken]
        left = left - [use[fits].sum() for use in used]
        most -= len(taken)
        waiting = np.delete(waiting, taken)
    return left


def _rows(use: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return use if use.shape[0] == 1 else use[rows]


def _searched(
    problem: _Problem, prices: np.ndarray, action: np.ndarray, bound: float
) -> tuple[np.ndarray, float, Literal["exact", "lagrangian"]]:
    """The choice or a better one, a bound as tight, and whether it was searched to the end.

    An option that costs more of the bound than a choice is away from it is in no better choice.
    """
    rows = np.flatnonzero(action != NOBODY)
    worth = float(problem.benefits[rows, action[rows]].sum()) if problem.is_kept(action) else -np.inf
    missing = bound - worth
    if missing <= SLACK * bound:
        return action, bound, "exact"
    net = np.column_stack([problem.net(prices), np.zeros(len(action))])  # the last: no action
    open_options = np.isfinite(net) & (net >= (net.max(axis=1) - missing - SLACK * bound)[:, None])
    core = np.flatnonzero(open_options.sum(axis=1) > 1)
    if open_options[core].sum() > CORE_OPTIONS:
        return action, bound, "lagrangian"
    settled = np.where(open_options[:, :-1].any(axis=1), open_options[:, :-1].argmax(axis=1), NOBODY)
    settled[core] = NOBODY
    fixed = np.flatnonzero(settled != NOBODY)
    value = float(problem.benefits[fixed, settled[fixed]].sum())
    left = problem.caps - [use.sum() for use in problem.used(fixed, settled[fixed])]
    left[problem.limits] = np.maximum(left[problem.limits], 0.0)
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
    # nobody has to be taken, though the bound says so of some: a rounded bound must not leave no choice
    found = milp(
        -values,
        constraints=[
            LinearConstraint(
                vstack([uses, one]).tocsr(),
                np.full(len(left) + len(core), -np.inf),
                np.append(left + SLACK * np.abs(problem.caps), np.ones(len(core))),
            ),
        ],
        integrality=np.ones(len(values)),
        bounds=Bounds(0, 1),
        options={"node_limit": CORE_NODES, "mip_rel_gap": CLOSE, "time_limit": CORE_SECONDS},
    )
    if found.x is None:
        return None
    taken = found.x > 0.5
    picked = np.full(len(core), NOBODY)
    picked[place[taken]] = action[taken]
    bound = -float(found.mip_dual_bound) if found.mip_dual_bound is not None else float(values.sum())
    return picked, bound, found.status == 0

"""Choices within limits. Authorities: every choice tried out, integer and linear programming by HiGHS."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from churnlab.decisions import optimiser
from churnlab.decisions.optimiser import NOBODY, SLACK, Choice, Floor, Limit, choose, priced

CHANNELS = np.array([0, 1, 1])


def drawn(seed: int, n: int, tightness: float = 0.3) -> tuple[np.ndarray, list[Limit]]:
    """Benefits of three actions, some below 0, and limits that leave room for a part of what is worth it."""
    rng = np.random.default_rng(seed)
    p, stake = rng.beta(5, 2, (n, 1)), rng.gamma(0.6, 60.0, (n, 1))
    saved, paid, fixed = np.array([0.15, 0.08, 0.03]), np.array([0.0, 2.5, 0.0]), np.array([4.0, 0.1, 0.1])
    benefits = np.round(p * saved * (stake - paid) - (1 - p) * paid - fixed, 6)
    costs = np.round(fixed + paid * (p * saved + 1 - p), 6)
    segment = rng.integers(0, 3, (n, 1))
    return benefits, [
        Limit("budget", costs, tightness * 0.8 * n),
        Limit("contacts", np.ones((1, 1)), np.ceil(tightness * n)),
        Limit("first channel", (CHANNELS == 0)[None, :] * 1.0, np.ceil(tightness * n / 6)),
        Limit("segment", (segment == 1) * 1.0, np.ceil(tightness * n / 8)),
    ]


def verified(choice: Choice, benefits: np.ndarray, limits: list[Limit]) -> float:
    """What the choice is worth; every limit, and what it says of itself, is counted out anew."""
    spent, worth = dict.fromkeys((limit.name for limit in limits), 0.0), 0.0
    for customer, action in enumerate(choice.action):
        if action == NOBODY:
            continue
        assert benefits[customer, action] > 0
        worth += benefits[customer, action]
        for limit in limits:
            spent[limit.name] += np.broadcast_to(limit.use, benefits.shape)[customer, action]
    for limit in limits:
        assert spent[limit.name] <= limit.most * (1 + 1e-6)
        assert choice.prices[limit.name] >= 0
    assert choice.worth == pytest.approx(worth, rel=1e-12)
    assert choice.bound >= worth * (1 - 1e-12)
    return worth


def as_program(benefits: np.ndarray, limits: list[Limit]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n, actions = benefits.shape
    one_each = np.kron(np.eye(n), np.ones(actions))
    uses = [np.broadcast_to(limit.use, benefits.shape).ravel() for limit in limits]
    return benefits.ravel(), np.vstack([one_each, *uses]), np.append(np.ones(n), [x.most for x in limits])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.floats(0.0, 1.0))
def test_no_choice_of_all_is_worth_more(seed, n, tightness):
    benefits, limits = drawn(seed, n, tightness)
    worth = verified(choose(benefits, limits), benefits, limits)
    tried = every_choice(n)
    best = of_each(benefits, tried, benefits.shape)[within(limits, tried, benefits.shape)].max()
    assert worth == pytest.approx(best, abs=1e-6)


def every_choice(n: int) -> np.ndarray:
    """One row for each way to give n customers one of three actions or none."""
    return np.array(list(product(range(NOBODY, 3), repeat=n)))


def of_each(values: np.ndarray, tried: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """What each choice adds up to, by the values of its customers' actions; nobody adds nothing."""
    padded = np.pad(np.broadcast_to(values, shape), ((0, 0), (0, 1)))  # NOBODY is the last column
    total = np.zeros(len(tried))
    for customer, of_actions in enumerate(padded):  # in the order in which a sum over customers adds
        total += of_actions[tried[:, customer]]
    return total


def within(limits: list[Limit], tried: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Which choices keep all limits: 4.0 keeps one of 3.9999999999999996."""
    kept = [of_each(limit.use, tried, shape) <= limit.most * (1 + SLACK) for limit in limits]
    return np.all(kept, axis=0)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("tightness", [0.05, 0.3, 0.9])
def test_small_bases_are_solved_as_by_integer_programming(seed, tightness):
    benefits, limits = drawn(seed, 120, tightness)
    choice = choose(benefits, limits)
    worth = verified(choice, benefits, limits)
    values, rows, most = as_program(benefits, limits)
    found = milp(
        -values,
        constraints=LinearConstraint(rows, ub=most),
        integrality=np.ones(len(values)),
        bounds=Bounds(0, 1),
    )
    assert choice.method == "exact"
    assert worth == pytest.approx(-found.fun, rel=1e-5)
    assert choice.bound == pytest.approx(worth, rel=1e-5)


@pytest.mark.parametrize("tightness", [0.02, 0.2, 0.6])
def test_prices_alone_come_near_enough(tightness, monkeypatch):
    """Where too much is left open to be searched to the end."""
    monkeypatch.setattr(optimiser, "CORE_OPTIONS", 0)
    benefits, limits = drawn(3, 20_000, tightness)
    choice = choose(benefits, limits)
    verified(choice, benefits, limits)
    assert choice.method == "lagrangian"
    assert 0 < choice.gap <= 0.005


def test_prices_are_those_of_linear_programming():
    """The dual of the relaxed problem: by HiGHS, and by what one more unit brings."""
    benefits, limits = drawn(5, 300)
    choice = choose(benefits, limits)
    values, rows, most = as_program(benefits, limits)
    relaxed = linprog(-values, rows, most, bounds=(0, 1))
    assert choice.bound <= -relaxed.fun * (1 + 1e-7)
    more = most.copy()
    for place, limit in enumerate(limits):
        step = 0.01 * limit.most
        more[300 + place] = limit.most + step
        gained = relaxed.fun - linprog(-values, rows, more, bounds=(0, 1)).fun
        more[300 + place] = limit.most
        less = most.copy()
        less[300 + place] -= step
        lost = linprog(-values, rows, less, bounds=(0, 1)).fun - relaxed.fun
        assert gained - 1e-6 <= choice.prices[limit.name] * step <= lost + 1e-6


def test_nothing_scarce_has_no_price_and_everybody_their_best():
    benefits, limits = drawn(6, 200, tightness=10.0)
    choice = choose(benefits, limits)
    best = benefits.argmax(axis=1)
    assert (choice.action == np.where(benefits.max(axis=1) > 0, best, NOBODY)).all()
    assert set(choice.prices.values()) == {0.0}
    assert (choice.method, choice.gap) == ("exact", 0.0)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([2.0**-20, 1e-3, 1e6]))
def test_the_unit_of_money_changes_no_choice(seed, unit):
    benefits, limits = drawn(seed, 150)
    other = [Limit(x.name, x.use * unit, x.most * unit) if x.name == "budget" else x for x in limits]
    one, scaled = choose(benefits, limits), choose(benefits * unit, other)
    assert scaled.worth == pytest.approx(one.worth * unit, rel=1e-6)
    assert scaled.prices["budget"] == pytest.approx(one.prices["budget"], rel=1e-3, abs=1e-3)


def test_nobody_worth_it():
    choice = choose(np.array([[-1.0, 0.0]]), [Limit("contacts", np.ones((1, 1)), 5)])
    assert (choice.action.tolist(), choice.worth, choice.bound, choice.gap) == ([NOBODY], 0.0, 0.0, 0.0)


def test_benefits_after_prices_by_hand():
    """5 - 2 * 0.5 - 3 = 1 and 4 - 2 * 1 - 3 = -1."""
    limits = [Limit("money", np.array([[0.5, 1.0]]), 1.0), Limit("contacts", np.ones((1, 1)), 1.0)]
    assert priced(np.array([[5.0, 4.0]]), limits, {"money": 2.0, "contacts": 3.0}).tolist() == [[1.0, -1.0]]


def with_floors(seed: int, n: int, tightness: float) -> tuple[np.ndarray, list[Limit], list[Floor]]:
    """Floors that ask for more than would be chosen freely, of two kinds that overlap."""
    benefits, limits = drawn(seed, n, tightness)
    rng = np.random.default_rng(seed + 1)
    among = rng.random((2, n)) < 0.4
    floors = [
        Floor("first", among[0], int(0.25 * tightness * n)),
        Floor("second", among[1], int(0.2 * tightness * n)),
    ]
    return benefits, limits, floors


def counted(choice: Choice, floor: Floor) -> int:
    return sum(action != NOBODY for action, one in zip(choice.action, floor.among, strict=True) if one)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.floats(0.0, 1.0), st.integers(0, 3), st.integers(0, 3))
def test_no_choice_of_all_keeps_floors_better(seed, n, tightness, first, second):
    """Every choice tried out: the first floor as well as can be, then the second, then the worth."""
    benefits, limits, floors = with_floors(seed, n, tightness)
    floors = [replace(floors[0], least=first), replace(floors[1], least=second)]
    choice = choose(benefits, limits, floors)
    worth = verified(choice, benefits, limits)
    tried = every_choice(n)
    possible = of_each(benefits <= 0, tried, benefits.shape) == 0
    possible &= within(limits, tried, benefits.shape)
    named = [of_each(f.among[:, None], tried, benefits.shape) for f in floors]
    kept_by = [np.minimum(f.least, count)[possible] for f, count in zip(floors, named, strict=True)]
    best = max(zip(*kept_by, of_each(benefits, tried, benefits.shape)[possible], strict=True))
    kept = [min(floor.least, counted(choice, floor)) for floor in floors]
    assert kept == [*best[:2]]
    assert worth == pytest.approx(best[2], abs=1e-6)
    assert choice.missed == {
        f.name: f.least - counted(choice, f) for f in floors if counted(choice, f) < f.least
    }


@pytest.mark.parametrize("seed", range(3))
def test_floors_as_by_integer_programming(seed):
    benefits, limits, floors = with_floors(seed, 120, 0.3)
    choice = choose(benefits, limits, floors)
    worth = verified(choice, benefits, limits)
    values, rows, most = as_program(benefits, limits)
    values = np.where(values > 0, values, -1e6)
    least = np.array([np.repeat(floor.among, 3) * -1.0 for floor in floors])
    found = milp(
        -values,
        constraints=LinearConstraint(
            np.vstack([rows, least]), ub=np.append(most, [-floor.least for floor in floors])
        ),
        integrality=np.ones(len(values)),
        bounds=Bounds(0, 1),
    )
    assert found.success and not choice.missed
    assert worth == pytest.approx(-found.fun, rel=1e-5)


def test_floors_of_many_customers_are_kept_by_prices(monkeypatch):
    monkeypatch.setattr(optimiser, "CORE_OPTIONS", 0)
    benefits, limits, floors = with_floors(3, 20_000, 0.2)
    floors = [replace(floor, least=2_500) for floor in floors]
    free, choice = choose(benefits, limits), choose(benefits, limits, floors)
    verified(choice, benefits, limits)
    assert any(counted(free, floor) < floor.least for floor in floors)
    assert all(counted(choice, floor) >= floor.least for floor in floors)
    assert 0 < choice.gap <= 0.005 and not choice.missed


def test_a_floor_beyond_what_there_is_takes_all_of_them():
    """Two are among, one of them is not worth it: one is contacted, and two of three are missing."""
    benefits = np.array([[2.0], [-1.0], [9.0]])
    floor = Floor("few", np.array([True, True, False]), 3)
    choice = choose(benefits, [Limit("contacts", np.ones((1, 1)), 1)], [floor])
    assert choice.action.tolist() == [0, NOBODY, NOBODY]
    assert choice.missed == {"few": 2}

"""Three plain sentences per customer: what moved the final churn logit most."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from itertools import combinations
from math import factorial

import numpy as np
import pandas as pd
import pyarrow as pa

from churnlab.features.words import absent, per_year, plain_words
from churnlab.models.distinct import distinct

# Features that tell the same story count together, so that three reasons are three stories.
STORIES = {
    "silence": r"days_since_last_order|hiatus_.*|gap_rank",
    "rhythm": r"gap_.*",
    "pace": r"purchases_.*|decayed_purchases_.*|purchase_rate|repeat_rate|orders_per_day|frequency|recency",
    "spend": r"spend_.*|decayed_spend_.*|total_spend|spend_rate|paid_repeats",
    "order value": r"order_value_.*|monetary_value|first_order_value|price_per_item",
    "basket": r"items_.*|products_.*|categories_.*",
    "discount": r"discount_.*",
    "returns": r"return.*",
    "time": r"weekend_share|weekday_last|season_share|T",
    "channel": r"channel.*",
    "satisfaction": r"(complaint|ticket|csat|nps|intent|response|resolution).*|days_since_last_complaint",
    "wishes": r"wishes_.*|days_since_last_wish",
    "contacts": r"contacted_.*|days_since_last_contact",
    "signup": r"days_since_signup|days_from_signup_.*|is_referred",
    "business": r"is_business",
    "goodwill": r"referrals|consents",
}
REASONS = 3
TOLD_APART = 9  # decimals of a logit: beyond them, whoever is described beside a customer moves the last bits
PLAYERS = ("days_since_last_order", "frequency", "T")


def shapley(
    answer: Callable[[pd.DataFrame], np.ndarray],
    rfm: pd.DataFrame,
    typical: Mapping[str, float],
    whole: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """What silence, purchases and age each did to a purchase model's answer (Shapley 1953).

    Parameters
    ----------
    answer
        From frequency, recency, T (days) and the further columns of `rfm` to (n, families).
    rfm
        The customers.
    typical
        frequency, days_since_last_order and T of the customer they are compared with.
    whole
        `answer(rfm)`, where it is known.

    Returns
    -------
    dict
        Each of `PLAYERS` to (n, families): together the answer less that to the typical customer.
    """
    value = {}
    for size in range(len(PLAYERS) + 1):
        for joined in combinations(PLAYERS, size):
            asked = _in_part(rfm, joined, typical)
            known = whole if size == len(PLAYERS) and asked.equals(rfm) else None
            value[joined] = answer(asked) if known is None else known
    shares = {}
    for player in PLAYERS:
        others = [name for name in PLAYERS if name != player]
        gains = []
        for size in range(len(PLAYERS)):
            weight = factorial(size) * factorial(len(others) - size) / factorial(len(PLAYERS))
            for before in combinations(others, size):
                after = tuple(name for name in PLAYERS if name in (*before, player))
                gains.append(weight * (value[after] - value[before]))
        shares[player] = np.sum(gains, axis=0)
    return shares


def _in_part(rfm: pd.DataFrame, own: tuple[str, ...], typical: Mapping[str, float]) -> pd.DataFrame:
    """Customers who have of their own only the columns `own`: a history that agrees with itself."""
    silence, frequency, age = (
        rfm[name].to_numpy(float) if name in own else np.full(len(rfm), typical[name]) for name in PLAYERS
    )
    age = np.maximum(age, silence + (frequency > 0))
    return rfm.assign(frequency=frequency, recency=np.where(frequency > 0, age - silence, 0.0), T=age)


def reasons(contributions: pd.DataFrame, features: pd.DataFrame, typical_silence: float) -> pd.Series:
    """The strongest stories behind each customer's churn probability.

    Parameters
    ----------
    contributions
        Per feature its part of the final churn logit.
    features
        The same customers' features, money in the shop's currency.
    typical_silence
        Median days since the last order, of the customers that contributions compare with.

    Returns
    -------
    Series
        A list of up to three sentences per row, strongest first; Arrow's list of strings.
    """
    names = list(contributions.columns)
    values = np.round(contributions.to_numpy(float).T, TOLD_APART)
    columns = _columns_of_stories(names)
    sums = np.column_stack([_added(values[own]) for own in columns.values()])
    picked = _hardest(np.abs(sums), REASONS)
    book = _Book()
    for number, (story, own) in enumerate(columns.items()):
        rows, place = np.nonzero(picked == number)
        pull = sums[rows, number]
        if story == "silence":
            days, gaps = (
                features[name].to_numpy(float)[rows] for name in ("days_since_last_order", "gap_mean_days")
            )
            book.write(rows, place, *_silences(days, gaps, typical_silence, pull))
            continue
        strongest = np.argmax(values[own][:, rows] * np.sign(pull), axis=0)
        for k, column in enumerate(own):
            at = np.flatnonzero(strongest == k)
            figures = features[names[column]].to_numpy(float)[rows[at]]
            book.write(rows[at], place[at], *_sentences(names[column], figures, pull[at]))
    return as_lists(book.read(picked.shape), features.index)


def as_lists(texts: pa.Array, index: pd.Index) -> pd.Series:
    """As many texts to each row of `index` as there are, in order."""
    each = len(texts) // max(len(index), 1)
    starts = pa.array(np.arange(len(index) + 1, dtype=np.int32) * each)
    lists = pa.ListArray.from_arrays(starts, texts)
    return pd.Series(lists, index=index, dtype=pd.ArrowDtype(lists.type))


class _Book:
    """Sentences by number, and which number stands in which row and place."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._entries: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def write(self, rows: np.ndarray, places: np.ndarray, which: np.ndarray, texts: list[str]) -> None:
        """`texts[which[i]]` stands in row `rows[i]` and place `places[i]`."""
        self._entries.append((rows, places, which + len(self._texts)))
        self._texts += texts

    def read(self, shape: tuple[int, ...]) -> pa.Array:
        """All of (rows, places), row by row."""
        numbers = np.zeros(shape, dtype=np.int64)
        for rows, places, which in self._entries:
            numbers[rows, places] = which
        return pa.array(self._texts, pa.string()).take(pa.array(numbers.ravel()))


def _columns_of_stories(names: list[str]) -> dict[str, list[int]]:
    columns: dict[str, list[int]] = {}
    for column, name in enumerate(names):
        columns.setdefault(_story(name), []).append(column)
    return dict(sorted(columns.items()))


def _added(values: np.ndarray) -> np.ndarray:
    """The sum of rows, added one after the other: the same to the bit however many columns there are."""
    total = np.zeros(values.shape[1])
    for row in values:
        total += row
    return total


def _hardest(strength: np.ndarray, most: int) -> np.ndarray:
    """Per row the columns of its greatest values, greatest first; of equal ones the first comes first."""
    left, every = strength.copy(), np.arange(len(strength))
    picked = np.empty((len(strength), min(most, strength.shape[1])), dtype=np.int64)
    for place in range(picked.shape[1]):
        picked[:, place] = left.argmax(axis=1)
        left[every, picked[:, place]] = -1.0
    return picked


def _story(name: str) -> str:
    return next((story for story, pattern in STORIES.items() if re.fullmatch(pattern, name)), "other")


def _sentences(name: str, figures: np.ndarray, pull: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Which of the distinct sentences stands for each row, and those sentences."""
    sign = np.sign(pull)
    which, first = distinct(figures, sign)
    words, figure = plain_words(name), _figure(name)
    head = f"{words[0].upper()}{words[1:]}"
    told = zip(figures[first].tolist(), sign[first].tolist(), strict=True)
    return which, [f"{head}: {figure(value)}, {_effect(pull)}" for value, pull in told]


def _silences(
    days: np.ndarray, gaps: np.ndarray, typical: float, pull: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    """As :func:`_sentences`; days and gaps are told in whole days."""
    mild = (pull < 0) & (gaps < days) & (days < typical)
    columns = np.rint(days), np.rint(gaps), mild, np.sign(pull)
    which, first = distinct(*columns)
    return which, [_silence(*row) for row in zip(*(c[first].tolist() for c in columns), strict=True)]


def _silence(days: float, usual_gap: float, mild: bool, pull: float) -> str:
    """The story of silence told in days, whichever of its features pulled."""
    told = f"{days:,.0f} days since the last order"
    if mild:
        # where most have gone quiet for good, a long silence may still be a good sign
        return f"{told}, above a usual gap of {usual_gap:,.0f} but below most customers', {_effect(pull)}"
    rhythm = "" if math.isnan(usual_gap) else f", against a usual gap of {usual_gap:,.0f}"
    return f"{told}{rhythm}, {_effect(pull)}"


def _effect(pull: float) -> str:
    if pull == 0:
        return "which leaves the risk as it is"
    return f"which {'raises' if pull > 0 else 'lowers'} the risk"


def _figure(name: str) -> Callable[[float], str]:
    """How the values of a feature are told."""
    unknown, told = absent(name), _known(name)
    return lambda value: unknown if math.isnan(value) else told(value)


def _known(name: str) -> Callable[[float], str]:
    if name == "weekday_last":
        days = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
        return lambda value: days[int(value)]
    if name.startswith("is_"):
        return lambda value: "yes" if value else "no"
    if re.search(r"share|\d+d_of_|csat_", name):
        return lambda value: f"{value:.0%}"
    times = per_year(name)
    return lambda value: _number(value * times)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 100 else f"{value:,.2f}"

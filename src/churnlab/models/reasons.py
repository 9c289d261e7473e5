"""Three plain sentences per customer: what moved the final churn logit most."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import combinations
from math import factorial

import numpy as np
import pandas as pd

from churnlab.features.words import absent, per_year, plain_words

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
    "satisfaction": r"(complaint|ticket|csat|nps|response|resolution).*|days_since_last_complaint",
    "contacts": r"contacted_.*|days_since_last_contact",
    "signup": r"days_since_signup|days_from_signup_.*|is_referred",
    "business": r"is_business",
    "goodwill": r"referrals|consents",
}
REASONS = 3
PLAYERS = ("days_since_last_order", "frequency", "T")


def shapley(
    answer: Callable[[pd.DataFrame], np.ndarray], rfm: pd.DataFrame, typical: Mapping[str, float]
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

    Returns
    -------
    dict
        Each of `PLAYERS` to (n, families): together the answer less that to the typical customer.
    """
    value = {
        joined: answer(_in_part(rfm, joined, typical))
        for size in range(len(PLAYERS) + 1)
        for joined in combinations(PLAYERS, size)
    }
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
        A list of up to three sentences per row, strongest first.
    """
    names = np.array(list(contributions.columns), dtype=object)
    values = contributions.to_numpy(float)
    stories = sorted({_story(name) for name in names})
    sums = np.column_stack([values[:, _members(names, s)].sum(axis=1) for s in stories])
    strongest = {s: _strongest(values, sums[:, k], names, s) for k, s in enumerate(stories)}
    order = np.argsort(-np.abs(sums), axis=1, kind="stable")[:, :REASONS]
    cells = {name: features[name].to_numpy(float) for name in names}
    days, gaps = (features[name].to_numpy(float) for name in ("days_since_last_order", "gap_mean_days"))
    texts = []
    for row, picked in enumerate(order):
        told = [(stories[k], sums[row, k]) for k in picked]
        texts.append(
            [
                _silence(days[row], gaps[row], typical_silence, pull)
                if story == "silence"
                else _sentence(strongest[story][row], cells[strongest[story][row]][row], pull)
                for story, pull in told
            ]
        )
    return pd.Series(texts, index=features.index, dtype=object)


def _members(names: np.ndarray, story: str) -> np.ndarray:
    return np.array([_story(name) == story for name in names])


def _strongest(values: np.ndarray, total: np.ndarray, names: np.ndarray, story: str) -> np.ndarray:
    """Per row the story's feature that pulls hardest in the direction of the story as a whole."""
    columns = np.flatnonzero(_members(names, story))
    pull = values[:, columns] * np.sign(total)[:, None]
    return names[columns[np.argmax(pull, axis=1)]]


def _story(name: str) -> str:
    return next((story for story, pattern in STORIES.items() if re.fullmatch(pattern, name)), "other")


def _silence(days: float, usual_gap: float, typical: float, pull: float) -> str:
    """The story of silence told in days, whichever of its features pulled."""
    told = f"{days:,.0f} days since the last order"
    if pull < 0 and usual_gap < days < typical:
        # where most have gone quiet for good, a long silence may still be a good sign
        return f"{told}, above a usual gap of {usual_gap:,.0f} but below most customers', {_effect(pull)}"
    rhythm = "" if np.isnan(usual_gap) else f", against a usual gap of {usual_gap:,.0f}"
    return f"{told}{rhythm}, {_effect(pull)}"


def _sentence(name: str, value: float, pull: float) -> str:
    words = plain_words(name)
    known = absent(name) if np.isnan(value) else _figure(name, value)
    return f"{words[0].upper()}{words[1:]}: {known}, {_effect(pull)}"


def _effect(pull: float) -> str:
    if pull == 0:
        return "which leaves the risk as it is"
    return f"which {'raises' if pull > 0 else 'lowers'} the risk"


def _figure(name: str, value: float) -> str:
    if name == "weekday_last":
        return ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")[int(value)]
    if name.startswith("is_"):
        return "yes" if value else "no"
    if re.search(r"share|\d+d_of_|csat_", name):
        return f"{value:.0%}"
    value = value * per_year(name)
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 100 else f"{value:,.2f}"

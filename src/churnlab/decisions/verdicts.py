"""Why each scored customer is on the list, or is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from churnlab.decisions.bars import SENTENCES, Bar
from churnlab.decisions.optimiser import NOBODY, Limit

VERDICTS = ("customer_id", "decision", "action", "expected_net_benefit", "reason", "why")
LEFT_OUT = "left_out"
ON_THE_LIST = {
    "treated": ("chosen", "A contact is expected to bring more than it costs"),
    "control": ("held_out", "Left alone on purpose, to measure what contacts bring"),
}
NOT_WORTH_IT = ("not_worth_it", "No action is expected to bring more than it costs")
FULL = {
    "budget": "The budget goes to contacts that bring more for their cost",
    "max_contacts": "The contacts that can be made go to customers who bring more",
    "channel_capacity": "The contacts by {} go to customers who bring more",
    "segment_quotas": "The contacts kept for customers with {} go to others who bring more",
}


@dataclass(frozen=True)
class Considered:
    """What there was to choose from, and what was chosen.

    Attributes
    ----------
    customer_id
        (customers,).
    actions
        Names, (actions,).
    benefits
        Expected net benefit in money, (customers, actions).
    closed
        :class:`churnlab.decisions.bars.Bar`, (customers, actions).
    action
        Number of the action of each customer, `NOBODY` for none.
    group
        treated, control, or empty.
    """

    customer_id: pd.Series
    actions: np.ndarray
    benefits: np.ndarray
    closed: np.ndarray
    action: np.ndarray
    group: np.ndarray


def verdicts(seen: Considered, limits: Sequence[Limit], prices: dict[str, float]) -> pd.DataFrame:
    """One row per scored customer, in the order of `seen`.

    Parameters
    ----------
    limits, prices
        What contacts use, and what that is worth: of who is left out for want of room, the limit that weighs
        most on their best action is the reason.

    Returns
    -------
    DataFrame
        customer_id; decision: treated, control or left_out; action: the one chosen, or else the one that came
        nearest; expected_net_benefit: of that action, in money; reason: chosen, held_out, not_worth_it, the
        name of a bar, or that of a limit; why: the same as a sentence.
    """
    rows = np.arange(len(seen.action))
    told: list[tuple[str, str]] = [*ON_THE_LIST.values(), NOT_WORTH_IT]
    told += [(bar.name.lower(), SENTENCES[bar]) for bar in Bar]
    told += [(limit.name, _full(limit.name)) for limit in limits]
    is_open = seen.closed == Bar.OPEN
    best = seen.benefits.argmax(axis=1)
    reason = np.where(
        seen.benefits[rows, best] > 0, len(ON_THE_LIST) + 1 + seen.closed[rows, best], len(ON_THE_LIST)
    )
    nearest, crowded = best, np.flatnonzero((is_open & (seen.benefits > 0)).any(axis=1))
    action, burden = _crowded_out(seen, crowded, limits, prices)
    nearest[crowded] = action
    reason[crowded] = len(ON_THE_LIST) + 1 + len(Bar) + burden
    listed = seen.action != NOBODY
    nearest[listed] = seen.action[listed]
    for place, group in enumerate(ON_THE_LIST):
        reason[seen.group == group] = place
    groups = [*ON_THE_LIST, LEFT_OUT]
    decision = np.full(len(rows), len(groups) - 1)
    for place, group in enumerate(ON_THE_LIST):
        decision[seen.group == group] = place
    return pd.DataFrame(
        {
            "customer_id": seen.customer_id.to_numpy(),
            "decision": _told(decision, groups),
            "action": _told(nearest, list(seen.actions)),
            "expected_net_benefit": seen.benefits[rows, nearest],
            "reason": _told(reason, [name for name, _ in told]),
            "why": _sentences(reason, [sentence for _, sentence in told]),
        }
    ).astype({"customer_id": "str"})


def _crowded_out(
    seen: Considered, rows: np.ndarray, limits: Sequence[Limit], prices: dict[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Of those with an open action worth making: the one worth most after prices, and its heaviest limit."""
    own = np.where(seen.closed[rows] == Bar.OPEN, seen.benefits[rows], -np.inf)
    own[own <= 0] = -np.inf
    weights = [prices[limit.name] * limit.of(rows).use for limit in limits]
    net = own.copy()
    for weight in weights:
        net -= weight
    action = net.argmax(axis=1)
    at = np.arange(len(rows))
    burdens = np.array([np.broadcast_to(weight, own.shape)[at, action] for weight in weights])
    return action, burdens.argmax(axis=0)


def _full(limit: str) -> str:
    kind, _, which = limit.partition(".")
    return FULL[kind].format(which.replace("=", " "))


def _sentences(reason: np.ndarray, sentences: list[str]) -> pd.Categorical:
    """Limits of one kind may share a sentence, and categories are all different."""
    distinct = list(dict.fromkeys(sentences))
    place = np.array([distinct.index(sentence) for sentence in sentences])
    return _told(place[reason], distinct)


def _told(places: np.ndarray, words: list[str]) -> pd.Categorical:
    return pd.Categorical.from_codes(places, pd.Index(words, dtype="str"))

"""How the plan would change if an assumption behind it were off by half."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from churnlab.config import Decisions
from churnlab.decisions.priority import net_benefit, priority_plan, untold, value_at_stake
from churnlab.decisions.save_rates import OWN, save_rate_of

OFF_BY = (0.5, 1.5)
World = tuple[pd.DataFrame, Decisions]


@dataclass(frozen=True)
class Sensitivity:
    """The plan at hand beside the one that would be made if an assumption were another.

    Attributes
    ----------
    assumption
        `save_rate`, `margin` or `horizon`.
    factor
        What it is multiplied by.
    kept_on_list
        Share of the customers treated now who would be treated then.
    kept_action
        Share of them who would get the same action.
    best_benefit
        Expected net benefit of the plan made then, in money.
    present_benefit
        That of the plan at hand then, in money: what is missing to `best_benefit` is the price of the error.
    """

    assumption: str
    factor: float
    kept_on_list: float
    kept_action: float
    best_benefit: float
    present_benefit: float


def sensitivities(
    scores: pd.DataFrame, settings: Decisions, present: pd.DataFrame, barred: np.ndarray | None = None
) -> list[Sensitivity]:
    """Every assumption, halved and one and a half times.

    Parameters
    ----------
    scores, settings, barred
        What the plan was made of; what is closed stays closed.
    present
        customer_id and action of the customers whom it treats.

    Returns
    -------
    list
        Empty where the plan treats nobody.
    """
    if not len(present):
        return []
    return [
        _beside(name, factor, altered(scores, settings, factor), present, barred)
        for name, altered in ALTERED.items()
        for factor in OFF_BY
    ]


def other_save_rate(scores: pd.DataFrame, settings: Decisions, factor: float) -> World:
    """Contacts keep so many times as many would-be leavers, all of them at most."""
    actions = {
        name: contact.model_copy(update={"save_rate": min(contact.save_rate * factor, 1.0)})
        for name, contact in settings.actions.items()
    }
    own = {
        OWN + name: (scores[OWN + name] * factor).clip(upper=1.0)
        for name in settings.actions
        if OWN + name in scores
    }
    return scores.assign(**own), settings.model_copy(update={"actions": actions})


def other_margin(scores: pd.DataFrame, settings: Decisions, factor: float) -> World:
    """Lifetime value is in proportion to the margin."""
    return scores.assign(clv=scores["clv"] * factor), settings


def other_horizon(scores: pd.DataFrame, settings: Decisions, factor: float) -> World:
    """As if each customer's orders came at a constant rate: no order in f·H has the chance p^f."""
    p = np.power(scores["churn_probability"].to_numpy(float), factor)
    return scores.assign(churn_probability=p), settings


ALTERED: dict[str, Callable[[pd.DataFrame, Decisions, float], World]] = {
    "save_rate": other_save_rate,
    "margin": other_margin,
    "horizon": other_horizon,
}


def _beside(
    name: str, factor: float, world: World, present: pd.DataFrame, barred: np.ndarray | None
) -> Sensitivity:
    scores, settings = world
    plan = priority_plan(scores, settings, untold, barred).contacts
    then = plan.loc[plan["group"] == "treated", ["customer_id", "action"]]
    pairs = present.merge(then, on="customer_id", how="left", suffixes=("", "_then"), validate="one_to_one")
    return Sensitivity(
        assumption=name,
        factor=factor,
        kept_on_list=float(pairs["action_then"].notna().mean()),
        kept_action=float((pairs["action_then"] == pairs["action"]).mean()),
        best_benefit=_worth(then, scores, settings),
        present_benefit=_worth(present, scores, settings),
    )


def _worth(contacts: pd.DataFrame, scores: pd.DataFrame, settings: Decisions) -> float:
    people = contacts.merge(scores, on="customer_id", validate="one_to_one")
    return sum(
        float(
            net_benefit(
                group["churn_probability"].to_numpy(float),
                value_at_stake(group),
                contact,
                save_rate_of(group, name, contact),
            ).sum()
        )
        for name, contact in settings.actions.items()
        for group in [people[people["action"] == name]]
    )

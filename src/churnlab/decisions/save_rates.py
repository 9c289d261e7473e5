"""What contacts are found to keep: measured save rates, leaning on the assumed ones while data are thin."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from churnlab.config import Contact, Decisions
from churnlab.decisions.experiment import Comparison
from churnlab.errors import DataError
from churnlab.models.uplift import Response

OWN = "save_rate."  # before the name of an action: column of each customer's own rate


@dataclass(frozen=True)
class SaveRate:
    """The share of would-be leavers that an action keeps, as far as it is known.

    Attributes
    ----------
    assumed
        `save_rate` of params.yaml.
    measured, se
        What the plans say, and its standard error; may lie outside 0 to 1 by chance.
    save_rate, sd
        Both together, and how unsure it still is.
    n_treated, n_control
        Customers measured on.
    """

    assumed: float
    measured: float
    se: float
    save_rate: float
    sd: float
    n_treated: int
    n_control: int


def measured_rate(retained: Comparison) -> tuple[float, float] | None:
    """(r_t - r_c) / (1 - r_c) and its standard error by the delta method; None where nothing is learned.

    Parameters
    ----------
    retained
        Shares that bought again. Nothing is learned where nobody of the control group left.
    """
    left_treated, left_control = 1 - retained.mean_treated, 1 - retained.mean_control
    if not (left_control > 0 and retained.se > 0):
        return None
    by_treated, by_control = 1 / left_control, left_treated / left_control**2
    se = math.hypot(retained.se_treated * by_treated, retained.se_control * by_control)
    return 1 - left_treated / left_control, se


def learned_rate(retained: Comparison, assumed: float, prior_sd: float) -> SaveRate | None:
    """The measured rate and the assumed one, weighted by their precisions, within 0 to 1.

    The mean of a normal distribution with a normal prior (Gelman et al. 2013, "Bayesian Data Analysis", 3rd
    edition, equation 2.10).

    Parameters
    ----------
    retained
        Shares that bought again.
    assumed, prior_sd
        The assumption, and how far off it may well be (one standard deviation), 0 to 1.
    """
    measured = measured_rate(retained)
    if measured is None:
        return None
    rate, se = measured
    trust = prior_sd**2 / (prior_sd**2 + se**2)
    return SaveRate(
        assumed=assumed,
        measured=rate,
        se=se,
        save_rate=min(max(trust * rate + (1 - trust) * assumed, 0.0), 1.0),
        sd=math.sqrt(trust) * se,
        n_treated=retained.n_treated,
        n_control=retained.n_control,
    )


def with_save_rates(settings: Decisions, learned: Mapping[str, float]) -> Decisions:
    """The same decisions with learned save rates in the place of the assumed ones; the others stay.

    Parameters
    ----------
    learned
        0 to 1 by name of the action; one that is no longer in `settings` is passed over.
    """
    actions = {
        name: contact.model_copy(update={"save_rate": learned.get(name, contact.save_rate)})
        for name, contact in settings.actions.items()
    }
    return settings.model_copy(update={"actions": actions})


def with_own_rates(scores: pd.DataFrame, responses: Mapping[str, Response]) -> pd.DataFrame:
    """Scores with each customer's own save rate, for actions of which it is known who responds.

    Parameters
    ----------
    scores
        One row per customer, with the columns that the models read.
    responses
        By name of the action.

    Returns
    -------
    DataFrame
        With a column `OWN` + action more for each model: 0 to 1.

    Raises
    ------
    DataError
        A column is missing.
    """
    for action, response in responses.items():
        missing = [name for name in response.features if name not in scores]
        if missing:
            raise DataError(
                f"scores: have no column {', '.join(missing)}, which the model of who responds to {action} "
                "reads (decisions.learned_effects): score again, or write it again with churnlab measure "
                "--write-effects"
            )
    return scores.assign(**{OWN + action: model.save_rates(scores) for action, model in responses.items()})


def save_rate_of(scores: pd.DataFrame, action: str, contact: Contact) -> np.ndarray:
    """The save rate of each row, 0 to 1: its own if :func:`with_own_rates` has told it, else the action's."""
    if OWN + action in scores:
        return scores[OWN + action].to_numpy(float)
    return np.full(len(scores), contact.save_rate)

"""The three quantities that are learned, each with its link, its loss and BTYD's own answer."""

from __future__ import annotations

from enum import Enum

import numpy as np
import pandas as pd
from scipy.special import expit

from churnlab.models import btyd

LINK_LIMIT = 700.0


class Target(Enum):
    """What a learner predicts for the horizon after the cutoff.

    CHURN is P(no purchase), on the logit scale. REPEATS is E[purchases - 1 | at least one] and SPEND is
    E[spend | spend above 0], both on the log scale. Together they give one coherent forecast:
    expected_spend = (1 - churn_probability) · E[spend | active].
    """

    CHURN = "churn"
    REPEATS = "repeats"
    SPEND = "spend"

    def mean(self, link: np.ndarray) -> np.ndarray:
        """From the link scale to the target's own."""
        return expit(link) if self is Target.CHURN else np.exp(np.clip(link, -LINK_LIMIT, LINK_LIMIT))

    def base(self, columns: pd.DataFrame) -> np.ndarray:
        """BTYD's answer on the link scale, (n, families), from :meth:`BtydModels.columns`."""
        answer = {
            Target.CHURN: btyd.logit_no_purchase,
            Target.REPEATS: btyd.log_repeats_given_active,
            Target.SPEND: btyd.log_spend_given_active,
        }[self]
        return answer(columns)

    def learnable(self, outcomes: pd.DataFrame) -> np.ndarray:
        """Rows that say something about the target: all for CHURN, the active ones otherwise."""
        if self is Target.CHURN:
            return np.ones(len(outcomes), dtype=bool)
        return ((outcomes["churned"] == 0) & ((self is Target.REPEATS) | (outcomes["spend"] > 0))).to_numpy()

    def observed(self, outcomes: pd.DataFrame) -> np.ndarray:
        """The outcome on the target's own scale; meaningful on the learnable rows."""
        if self is Target.CHURN:
            return outcomes["churned"].to_numpy(float)
        if self is Target.REPEATS:
            return outcomes["n_purchases"].to_numpy(float) - 1
        return outcomes["spend"].to_numpy(float)

    def loss(self, link: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Loss per row: log loss, Poisson deviance/2 or gamma deviance/2, up to a constant in y."""
        if self is Target.CHURN:
            return np.logaddexp(0.0, link) - y * link
        if self is Target.REPEATS:
            return self.mean(link) - y * link
        return link + y * self.mean(-link)

    def slope(self, link: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Derivative of :meth:`loss` in the link."""
        if self is Target.SPEND:
            return 1 - y * self.mean(-link)
        return self.mean(link) - y

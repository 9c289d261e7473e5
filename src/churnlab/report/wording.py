"""What each metric is called on the page, and what it says in plain words."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["share", "ratio", "times", "amount", "bias"]


class Wording(NamedTuple):
    """A metric's name for readers, its meaning in one sentence, and how its value is written."""

    name: str
    meaning: str
    kind: Kind


TARGETS = {
    "churn": "Who leaves",
    "purchases": "How often they buy",
    "spend": "How much they spend",
}

METRICS = {
    "roc_auc": Wording(
        "ROC AUC",
        "Chance that a customer who leaves is ranked above one who stays; 0.5 is guessing, 1 is perfect.",
        "ratio",
    ),
    "average_precision": Wording(
        "Average precision",
        "Share of real leavers among those flagged, over all list lengths; the churn rate is guessing.",
        "ratio",
    ),
    "lift_at_10pct": Wording(
        "Lift in the riskiest tenth",
        "How many times as many leavers the riskiest tenth holds as a random tenth.",
        "times",
    ),
    "empc": Wording(
        "Maximum profit (EMPC)",
        "What the best campaign by this order would bring per customer, as a share of a lifetime value.",
        "ratio",
    ),
    "brier": Wording(
        "Brier score", "Mean squared distance of the stated risk from what happened; 0 is perfect.", "ratio"
    ),
    "log_loss": Wording("Log loss", "Punishes being sure and wrong hardest of all; 0 is perfect.", "ratio"),
    "ece": Wording(
        "Calibration error", "How far a stated risk is from the share that left, on average.", "share"
    ),
    "normalised_gini": Wording(
        "Normalised Gini",
        "How well the order from best to worst is found; 0 is guessing, 1 is perfect.",
        "ratio",
    ),
    "spearman": Wording(
        "Rank correlation", "Agreement of the forecast order with the real one; 1 is perfect.", "ratio"
    ),
    "mae": Wording("Mean absolute error", "Typical miss per customer.", "amount"),
    "rmse": Wording(
        "Root mean squared error", "Typical miss per customer, large misses counting more.", "amount"
    ),
    "decile_mape": Wording(
        "Error of the tenths", "Mean miss of the average in ten groups of customers, best to worst.", "share"
    ),
    "aggregate_bias": Wording(
        "Bias of the total", "Forecast total against the real total; above zero is too optimistic.", "bias"
    ),
    "top_decile_capture": Wording(
        "Capture of the best tenth",
        "What the forecast's best tenth brought, as a share of what the real best tenth brought.",
        "share",
    ),
}

# Whom a contact could have kept, by churnlab.decisions.profit_definitions.
DEFINITIONS = {
    "spent_afterwards": "who left but bought again later, each worth what they went on to spend",
    "not_long_silent": "who left, had bought in the year before, and had not been silent for two usual gaps",
    "bought_in_the_year": "everyone who left and had bought in the year before",
    "half_the_value": "everyone who left and had bought in the year before, each worth half",
}

"""Settings of a small shop, for tests that make plans without a file of parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from churnlab.config import Clv, Decisions

YEAR_AT_HALF = Clv(
    families=("mbgnbd",),
    penalizers=(0.0,),
    clv_months=12,
    monthly_discount_rate=0.0,
    margin=0.5,
    interval=0.8,
)
"""A year that is not discounted; half of the money is profit."""


def small_decisions(actions: Mapping[str, Any], **changes: Any) -> Decisions:
    """Ample limits and nobody held out, unless told otherwise.

    Parameters
    ----------
    actions
        Name to the keys of a playbook's action.
    """
    settings = {
        "labels": {
            "risk_shares": {"high": 0.2, "medium": 0.3},
            "value_shares": {"top": 0.05, "high": 0.15, "medium": 0.3},
        },
        "new_customer_days": 30,
        "budget": 1000.0,
        "max_contacts": 500,
        "control_share": 0.0,
        "salt": "salt",
        "actions": dict(actions),
    }
    return Decisions.model_validate(settings | changes)

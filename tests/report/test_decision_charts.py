"""The list beside other rules under every definition. Authority: a table written by hand."""

from __future__ import annotations

import pandas as pd

from churnlab.report.decision_charts import STRATEGIES, definitions
from churnlab.report.wording import DEFINITIONS


def rows(name: str, cutoffs: int, **profits: float) -> pd.DataFrame:
    frame = pd.DataFrame({"strategy": list(profits), "realised_profit": list(profits.values())})
    ahead = profits["plan"] - frame["realised_profit"]
    return frame.assign(
        definition=name, cutoffs=cutoffs, plan_ahead=ahead, ahead_low=ahead - 5, ahead_high=ahead + 5
    )


def test_the_list_stands_beside_the_best_rule_with_its_limits():
    """Whoever contacts everyone had no limits, and neither had the plan without them; nobody is a rule."""
    limited = {"plan": 40.0, "plan_without_limits": 900.0, "everyone": 800.0, "nobody": 0.0}
    table = pd.concat(
        [
            rows("not_long_silent", 1, **limited, risk=-3.0, value=-8.0),
            rows("spent_afterwards", 3, **limited, risk=30.0, value=55.0),
        ]
    )
    first, second = (one._asdict() for one in definitions(table))
    assert first == {
        "name": "spent_afterwards",
        "sentence": DEFINITIONS["spent_afterwards"],
        "cutoffs": 3,
        "realised": 40.0,
        "rival": STRATEGIES["value"],
        "rival_realised": 55.0,
        "ahead": -15.0,
        "low": -20.0,
        "high": -10.0,
    }
    assert (second["name"], second["rival"], second["ahead"]) == ("not_long_silent", "nobody", 40.0)

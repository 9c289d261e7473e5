"""One MLflow run per measurement of past lists: what goes into it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pandas as pd

from churnlab.config import Params
from churnlab.operations import tracking
from churnlab.operations.measuring import Measured

OF_A_TRIAL = ("qini", "qini_average", "ahead", "ahead_low", "ahead_high")


def effect_metrics(measured: Measured) -> dict[str, float]:
    """`action.outcome.difference`, `low` and `high`, `action.return_on_spend`, `action.save_rate` → value.

    And of a model of who responds, `action.qini` and those of `OF_A_TRIAL`.

    Of whole actions, not of segments; what is not known is left out. Money is in the shop's currency.
    """
    table = measured.found.table
    told: dict[str, float] = {}
    for row in table[table["segment_by"] == "all"].to_dict("records"):
        names = {name: f"{row['action']}.{row['outcome']}.{name}" for name in ("difference", "low", "high")}
        if row["outcome"] == "net_spend":
            names["return_on_spend"] = f"{row['action']}.return_on_spend"
        told |= {named: float(row[name]) for name, named in names.items() if pd.notna(row[name])}
    told |= {f"{name}.save_rate": rate.save_rate for name, rate in measured.found.save_rates.items()}
    for name, trial in measured.trials.items():
        told |= {f"{name}.{figure}": getattr(trial, figure) for figure in OF_A_TRIAL}
    return told


def record_measurement(root: Path, params: Params, measured: Measured, summary: Path) -> str:
    """Log one measurement: all parameters, the lists' files and dates, each action's effect.

    Parameters
    ----------
    summary
        measure.json, which becomes an artifact.
    """
    content = json.dumps(measured.to_dict(), sort_keys=True)
    days = sorted({plan["as_of"] for plan in measured.plans})
    return tracking.record_run(
        root,
        experiment=params.registry.experiment,
        run_name=f"measure, {' to '.join(dict.fromkeys((days[0], days[-1])))}",
        key=hashlib.sha256(content.encode()).hexdigest()[:32],
        params=params.model_dump(mode="json"),
        metrics=effect_metrics(measured),
        tags={
            "kind": "measure",
            "plan_files": ", ".join(plan["file"] for plan in measured.plans),
            "plan_dates": ", ".join(plan["as_of"] for plan in measured.plans),
            "horizon_days": str(measured.plans[0]["horizon_days"]),
        },
        artifacts=[(summary, "")],
    )

"""What was measured on past lists, on a terminal."""

from __future__ import annotations

from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from churnlab.decisions.uplift import Trial
from churnlab.operations.measuring import Measured

COLUMNS = (
    "action",
    "segment",
    "treated",
    "held out",
    "kept, points",
    "90 %",
    "spend",
    "90 %",
    "return",
    "90 %",
)


def show(measured: Measured, console: Console) -> None:
    """Each action and segment, its warnings, save rates, and what else to know; no id of a customer."""
    for plan in measured.plans:
        console.print(
            f"{plan['file']} of {plan['as_of']}: {plan['treated']:,} treated, {plan['control']:,} held out, "
            f"{plan['horizon_days']} days",
            markup=False,
            soft_wrap=True,
        )
    console.print(_table(measured.found.table))
    for name, rate in measured.found.save_rates.items():
        console.print(
            f"Save rate of {name}: {rate.save_rate:.1%} (assumed {rate.assumed:.1%}, "
            f"measured {rate.measured:.1%} ± {rate.se:.1%})",
            markup=False,
            soft_wrap=True,
        )
    for name, trial in measured.trials.items():
        console.print(_responds(name, trial), markup=False, soft_wrap=True)
    for sentence in [*_warnings(measured.found.table), *measured.notes]:
        console.print(f"Note: {sentence}", markup=False, soft_wrap=True)


def _responds(action: str, trial: Trial) -> str:
    better = "each customer's own save rate is better" if trial.is_better else "the average save rate stays"
    return (
        f"Who responds to {action}: Qini {trial.qini:.3f} ({trial.qini_low:.3f} to {trial.qini_high:.3f}), "
        f"by the average {trial.qini_average:.3f}, ahead by {trial.ahead:+.3f} ({trial.ahead_low:+.3f} to "
        f"{trial.ahead_high:+.3f}): {better}"
    )


def _table(effects: pd.DataFrame) -> Table:
    table = Table(title="Treated less held out", title_justify="left", box=SIMPLE_HEAD)
    for number, name in enumerate(COLUMNS):
        table.add_column(name, justify="left" if number < 2 else "right")
    keys = ["action", "segment_by", "segment"]
    for _, pair in effects.groupby(keys, sort=False):
        kept, spend = (pair[pair["outcome"] == name].iloc[0].to_dict() for name in ("retained", "net_spend"))
        segment = "all" if kept["segment_by"] == "all" else f"{kept['segment_by']} {kept['segment']}"
        table.add_row(
            escape(kept["action"]),
            escape(segment),
            f"{kept['n_treated']:,}",
            f"{kept['n_control']:,}",
            *_with_interval(kept, 100, "+.1f"),
            *_with_interval(spend, 1, "+,.2f"),
            *_return(spend),
        )
    return table


def _with_interval(row: dict[Any, Any], factor: float, form: str) -> tuple[str, str]:
    if pd.isna(row["difference"]):
        return "-", "-"
    low, high = (format(factor * row[end], form) for end in ("low", "high"))
    return format(factor * row["difference"], form), f"{low} to {high}"


def _return(row: dict[Any, Any]) -> tuple[str, str]:
    if pd.isna(row["return_on_spend"]):
        return "-", "-"
    return f"{row['return_on_spend']:+.0%}", f"{row['return_low']:+.0%} to {row['return_high']:+.0%}"


def _warnings(effects: pd.DataFrame) -> list[str]:
    """Those of whole actions; those of segments stand in the files."""
    whole = effects[(effects["segment_by"] == "all") & (effects["warning"] != "")]
    return [f"{row.action}, {row.outcome}: {row.warning}" for row in whole.itertuples()]

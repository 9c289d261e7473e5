"""Why a customer is on the list, or is not, in sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from churnlab.engine import read_parquet
from churnlab.errors import DataError
from churnlab.pipelines._run import Workspace


def said(work: Workspace, customer_id: str) -> list[str]:
    """What is decided, on what grounds, and what the score rests on.

    Raises
    ------
    DataError
        There is no list yet, or the customer was neither scored for it nor known to have only signed up.
    """
    if (newcomer := _found(work.potential, customer_id)) is not None:
        return _of_newcomer(newcomer)
    verdict, score = (_row(work, name, customer_id) for name in ("verdicts", "scores"))
    benefit = (
        f"{verdict['action']} is expected to bring {verdict['expected_net_benefit']:,.2f} net of its cost"
    )
    if verdict["decision"] == "left_out":
        lines = [f"Not on the list. {verdict['why']}.", f"What came nearest: {benefit}."]
    else:
        listed = _row(work, "priority_list", customer_id)
        lines = [
            f"On the list, rank {listed['priority_rank']}, {verdict['decision']}. {verdict['why']}.",
            f"By {listed['channel']}, {benefit}.",
        ]
    lines.append(
        f"Risk {score['risk_label']} ({score['churn_probability']:.1%} chance of no order in "
        f"{score['horizon_days']} days), value {score['value_label']} ({score['clv']:,.2f})."
    )
    return [*lines, *(f"- {reason}." for reason in score["reasons"])]


def _of_newcomer(row: dict[str, Any]) -> list[str]:
    """Of a person who signed up and never bought."""
    since = "" if row["known_since"] is None else f" since {row['known_since']:%Y-%m-%d}"
    lines = [f"Known{since}, and has not bought yet: without an order there is no score."]
    if row["decision"] == "left_out":
        nearest = f" What came nearest: {row['action']}." if row["action"] else ""
        return [*lines, f"Not contacted. {row['why']}.{nearest}"]
    return [*lines, f"{row['decision'].capitalize()}: {row['action']} by {row['channel']}. {row['why']}."]


def _row(work: Workspace, name: str, customer_id: str) -> dict[str, Any]:
    """The customer's row of a table of the workspace."""
    found = _found(getattr(work, name), customer_id)
    if found is None:
        raise DataError(
            f"{getattr(work, name)}: the customer is not in it: check the id, or run the stages score and "
            "prioritise again"
        )
    return found


def _found(table: Path, customer_id: str) -> dict[str, Any] | None:
    rows = read_parquet(table, rows=pc.field("customer_id") == customer_id)
    return None if rows.empty else {str(column): value for column, value in rows.iloc[0].items()}

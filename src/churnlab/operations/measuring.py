"""`churnlab measure`: what became of the customers on past lists, treated beside held out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd

from churnlab.config import Params
from churnlab.data.ingestion import Ingested, ingest
from churnlab.decisions.effects import EFFECT_TYPES, Effects, effects
from churnlab.decisions.uplift import FEWEST, Trial, trials
from churnlab.engine import connect
from churnlab.errors import DataError
from churnlab.features.exact import MONEY
from churnlab.models.uplift import FEATURES, Response
from churnlab.operations.nightly import scoring_day
from churnlab.operations.plans import Plan

if TYPE_CHECKING:
    import ibis.expr.types as ir


@dataclass(frozen=True)
class Measured:
    """What the lists brought, and what they were.

    Attributes
    ----------
    found
        The effects.
    trials
        By action: whether a model of who responds is better than the average save rate.
    plans
        File, date, horizon and size of each list.
    notes
        What a reader should know, in sentences.
    """

    found: Effects
    trials: dict[str, Trial]
    plans: list[dict[str, Any]]
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """As JSON writes it: numbers that are not known are null."""
        table = self.found.table.astype(object)
        rows = table.where(table.notna(), None)[list(EFFECT_TYPES)].to_dict("records")
        rates = {name: asdict(rate) for name, rate in self.found.save_rates.items()}
        return {
            "plans": self.plans,
            "save_rates": rates,
            "uplift": {name: trial.figures() for name, trial in self.trials.items()},
            "effects": rows,
            "notes": self.notes,
        }

    @property
    def responses(self) -> dict[str, Response]:
        """Who responds, by action, where a model of it was adopted."""
        return {name: one.response for name, one in self.trials.items() if one.response is not None}


def measure_source(
    params: Params, plans: Sequence[Plan], as_of: date | None = None, landing: Path | None = None
) -> Measured:
    """Read the source afresh and compare treated with held-out customers of the lists.

    Parameters
    ----------
    plans
        At least one; their windows must have passed, and have one length.
    as_of
        Last day that is known; the data's last day if None.
    landing
        Where an incremental source keeps what it has read.

    Raises
    ------
    DataError
        The source cannot be read; a window is not over; lists do not go together; or nobody on a list is in
        the data.
    """
    _require_one_experiment(plans)
    con = connect(params.engine)
    found = ingest(con, params.data, landing)
    day = scoring_day(as_of, found.summary)
    for plan in plans:
        _require_over(plan, day)
    followed = [_followed(plan, found) for plan in plans]
    rows = pd.concat(followed, ignore_index=True)
    found_effects = effects(rows, params.decisions, params.clv.margin)
    known = tuple(name for name in FEATURES if all(name in plan.rows for plan in plans))
    tried = trials(rows, known, found_effects.save_rates)
    return Measured(
        found_effects,
        tried,
        [_told(plan) for plan in plans],
        [*_notes(rows, params), *_untried(found_effects, tried)],
    )


def _require_one_experiment(plans: Sequence[Plan]) -> None:
    lengths = sorted({plan.horizon_days for plan in plans})
    if len(lengths) > 1:
        raise DataError(f"plans: their horizons are {lengths} days: measure those of one horizon at a time")
    named = Counter(
        (plan.as_of, customer) for plan in plans for customer in plan.rows["customer_id"].to_list()
    )
    twice = sum(count > 1 for count in named.values())
    if twice:
        raise DataError(f"plans: {twice} customers stand on two lists of one date: name each list once")


def _require_over(plan: Plan, day: date) -> None:
    if day < plan.last_day:
        raise DataError(
            f"{plan.path}: its {plan.horizon_days} days after {plan.as_of} are not over, for {day} is the "
            f"last day known: wait until {plan.last_day} is in the data, "
            "or say with --as-of which day is known"
        )


def _followed(plan: Plan, found: Ingested) -> pd.DataFrame:
    """The list's rows with what was bought in its window and in the one before, and who was contacted."""
    listed = ibis.memtable({"customer_id": plan.rows["customer_id"].to_list()})
    bought = _bought(found.orders.semi_join(listed, "customer_id"), plan)
    if bought.empty:
        raise DataError(
            f"{plan.path}: no customer on it has an order by {plan.as_of}: name the parameters of the shop "
            "that the list was made for"
        )
    rows = plan.rows.merge(bought, on="customer_id", how="left", validate="one_to_one")
    filled = rows.fillna({"retained": 0.0, "net_spend": 0.0, "pre_spend": 0.0, "pre_days": 0.0})
    return filled.assign(
        as_of=plan.as_of, is_known=rows["retained"].notna(), contacted=_contacted(plan, found.contacts)
    )


def _bought(orders: ir.Table, plan: Plan) -> pd.DataFrame:
    """customer_id, retained, net_spend, pre_spend, pre_days of those with an order by the date."""
    length = timedelta(days=plan.horizon_days)
    seen = orders.filter(orders.day <= plan.last_day)
    after = seen.day > plan.as_of
    before = ~after & (seen.day > plan.as_of - length)
    money = seen.amount.cast(MONEY)
    by_customer = seen.group_by("customer_id").aggregate(
        is_known=(~after).any(),
        retained=(seen.is_purchase & after).any().cast("float64"),
        net_spend=money.sum(where=after).cast("float64").fill_null(0.0),
        pre_spend=money.sum(where=before).cast("float64").fill_null(0.0),
        pre_days=seen.day.nunique(where=before & seen.is_purchase).cast("float64"),
    )
    known = by_customer.filter(by_customer.is_known).drop("is_known")
    return known.order_by("customer_id").to_pandas().astype({"customer_id": "str"})


def _contacted(plan: Plan, contacts: ir.Table) -> pd.Series:
    """1 for who was contacted in the window, by the contacts table; NaN where it has nobody of that time."""
    within = (contacts.ts.date() > plan.as_of) & (contacts.ts.date() <= plan.last_day)
    made = contacts.filter(within & (contacts.group == "treated"))
    reached = set(made.select("customer_id").distinct().to_pandas()["customer_id"])
    customers = plan.rows["customer_id"]
    return customers.isin(reached).astype("float64") if reached else customers.map(lambda _: float("nan"))


def _told(plan: Plan) -> dict[str, Any]:
    groups = plan.rows["group"].value_counts()
    return {
        "file": plan.path.name,
        "as_of": plan.as_of.isoformat(),
        "horizon_days": plan.horizon_days,
        "treated": int(groups["treated"]),
        "control": int(groups["control"]),
        "sha256": plan.sha256,
    }


def _untried(found: Effects, tried: dict[str, Trial]) -> list[str]:
    without = [name for name in found.save_rates if name not in tried]
    if not without:
        return []
    return [
        f"Who responds to {', '.join(without)} was not learned, for that takes {FEWEST} customers in each "
        "group, some who came back and some who did not: their average save rate is used"
    ]


def _notes(rows: pd.DataFrame, params: Params) -> list[str]:
    said = []
    strangers = int((~rows["is_known"]).sum())
    if strangers:
        said.append(
            f"{strangers:,} rows of the lists are of customers who are not in the data: "
            "they count as not retained"
        )
    reached = rows.dropna(subset="contacted")
    if reached.empty:
        said.append(
            "No contacts of these days are on record (data.contacts): whether the lists were followed "
            "is not known"
        )
    else:
        share = reached.groupby("group")["contacted"].mean()
        said.append(
            f"By the contacts table {share.get('treated', 0.0):.0%} of those to be treated were contacted, "
            f"and {share.get('control', 0.0):.0%} of those held out; all count as assigned"
        )
    unknown = sorted(set(rows["action"]) - set(params.decisions.actions))
    if unknown:
        said.append(f"decisions.actions no longer has {', '.join(unknown)}: no save rate is learned for it")
    return said

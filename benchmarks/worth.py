"""The list and the rules beside it on the grocer's log, and on made-up logs, whose truth is known.

python benchmarks/worth.py    writes benchmarks/worth.json
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from _tasks import PARAMS, ROOT, shown, write_figures
from churnlab.config import Clv, Columns, Contact, Decisions, Params, read_params
from churnlab.data.ingestion import ingest
from churnlab.decisions.profit import over_all, profit_table
from churnlab.decisions.profit_definitions import DEFINITIONS
from churnlab.engine import connect
from churnlab.evaluation.backtest import backtest, outcome_rows, truth_after
from churnlab.pipelines import evaluate
from churnlab.pipelines import ingest as ingest_stage
from churnlab.pipelines._profit import write_profit
from churnlab.pipelines._run import Workspace

OUT = Path(__file__).with_name("worth.json")
GROCER = ROOT / "params/complete_journey.yaml"
FIRST_DAY, WEEK = date(2023, 1, 1), 7.0
COLUMNS = Columns(customer_id="customer_id", ts="ts", amount="amount")
LOGS = 3
ACTIONS = {
    "personal_call": {"channel": "phone", "contact_cost": 4.0, "incentive_cost": 0.0, "save_rate": 0.15},
    "win_back_offer": {"channel": "email", "contact_cost": 0.1, "incentive_cost": 2.5, "save_rate": 0.08},
    "thank_you": {"channel": "email", "contact_cost": 0.1, "incentive_cost": 0.0, "save_rate": 0.03},
}
KEPT = [
    "action",
    "contacts",
    "cost",
    "realised_profit",
    "low",
    "high",
    "plan_ahead",
    "ahead_low",
    "ahead_high",
]


@dataclass(frozen=True)
class Shop:
    """Customers who buy at a rate of their own until a day of their own: Pareto/NBD and Gamma-Gamma.

    Attributes
    ----------
    r, alpha
        Gamma distribution of the rate of purchases, in weeks.
    s, beta
        Gamma distribution of the rate of leaving, in weeks.
    p, q, v
        Gamma-Gamma distribution of purchase values.
    seen_days
        Days up to the cutoff that the log holds; None: from the first customer on.
    """

    name: str
    r: float
    alpha: float
    s: float
    beta: float
    p: float = 6.25
    q: float = 3.74
    v: float = 15.44
    customers: int = 5_000
    days: int = 730
    arrival_days: int = 640
    seen_days: int | None = None


# The first as CDNOW was found to be: Fader, Hardie & Lee (2005); Fader & Hardie (2013) for the values.
SHOPS = (
    Shop("as CDNOW", r=0.553, alpha=10.578, s=0.606, beta=11.669),
    Shop("frequent purchases", r=1.5, alpha=4.0, s=0.8, beta=30.0),
    Shop("the same, 240 days of it", r=1.5, alpha=4.0, s=0.8, beta=30.0, seen_days=240),
)


def made(shop: Shop, horizon_days: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Purchases to the end of another horizon after that of the forecast, and a week beyond; and the truth.

    Returns
    -------
    customer_id, ts, amount; customer_id, leaves (days since FIRST_DAY), yearly (money while a customer).
    """
    rng = np.random.default_rng(seed)
    n, end = shop.customers, float(shop.days + 2 * horizon_days + WEEK)
    rate = rng.gamma(shop.r, 1.0 / shop.alpha, n) / WEEK
    first = rng.uniform(0.0, shop.arrival_days, n)
    leaves = first + rng.exponential(1.0, n) / (rng.gamma(shop.s, 1.0 / shop.beta, n) / WEEK)
    scale = 1.0 / rng.gamma(shop.q, 1.0 / shop.v, n)
    number = rng.poisson(rate * np.maximum(np.minimum(leaves, end) - first, 0.0))
    customer = np.concatenate([np.arange(n), np.repeat(np.arange(n), number)])
    until = np.minimum(leaves, end)[customer[n:]]
    moment = np.concatenate([first, rng.uniform(first[customer[n:]], until)])
    value = np.maximum(np.round(rng.gamma(shop.p, 1.0, len(customer)) * scale[customer], 2), 0.01)
    ids = np.array([f"c{number:05d}" for number in range(n)])
    start = pd.Timestamp(FIRST_DAY)
    lines = pd.DataFrame(
        {
            "customer_id": ids[customer],
            "ts": start + pd.to_timedelta(moment.astype(int), "D"),
            "amount": value,
        }
    )
    lines = lines[lines["ts"] >= start + pd.Timedelta(days=shop.days - (shop.seen_days or shop.days))]
    return lines, pd.DataFrame({"customer_id": ids, "leaves": leaves, "yearly": 365 * rate * shop.p * scale})


def worth(rows: pd.DataFrame, truth: pd.DataFrame, last: int, horizon_days: int) -> dict[str, pd.DataFrame]:
    """The rows of the profit by what a log tells, and by what is truly there to keep.

    Returns
    -------
    By `DEFINITIONS`; alive: of who was a customer still, what they truly spend in a year;
    leaving: of these, only who would have left within the horizon.
    """
    known = rows.merge(truth, on="customer_id", validate="one_to_one")
    alive = known["leaves"] > last
    leaving = alive & (known["leaves"] <= last + horizon_days)
    spent = {
        name: known["yearly"].where(kept, 0.0) for name, kept in (("alive", alive), ("leaving", leaving))
    }
    seen = {name: changed(rows) for name, changed in DEFINITIONS.items()}
    return seen | {name: known.assign(yearly_spend=money) for name, money in spent.items()}


def rows_of(shop: Shop, seed: int, params: Params) -> dict[str, pd.DataFrame]:
    """Forecasts at the cutoff and what followed, of one log."""
    horizon = params.features.horizon_days
    lines, truth = made(shop, horizon, seed)
    con = connect(params.engine)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "lines.parquet"
        lines.to_parquet(path)
        data = params.data.model_copy(update={"dataset": None, "path": str(path), "columns": COLUMNS})
        orders = con.create_table("orders", ingest(con, data).orders.to_pyarrow())
    cutoff = FIRST_DAY + timedelta(days=shop.days - 1)
    test = backtest(orders, cutoff, horizon, params, shop.name)
    followed = truth_after(orders, cutoff, horizon)
    if followed is None:
        raise AssertionError(f"{shop.name}: the log ends early")
    return worth(outcome_rows(test, followed, orders), truth, shop.days, horizon)


def figures(logs: Sequence[dict[str, pd.DataFrame]], settings: Decisions, clv: Clv) -> dict[str, Any]:
    """Profit of every strategy by what the log tells and by each truth, over all the logs."""
    found: dict[str, Any] = {}
    for name in logs[0]:
        # a log is a cutoff with customers of its own
        parts = [
            log[name].assign(cutoff=str(number), customer_id=log[name]["customer_id"] + f"-{number}")
            for number, log in enumerate(logs)
        ]
        table = over_all(profit_table(pd.concat(parts), settings, clv)).set_index("strategy")
        found[name] = table[KEPT].to_dict("index")
    return found


def past_lists(path: Path) -> dict[str, Any]:
    """Profit of every strategy on a real log as `prioritise` finds it, over the cutoffs of the backtest.

    Returns
    -------
    log, its name; horizon_days; definitions, in their order, the one of the page's chart first: definition,
    cutoffs (how many were summed) and strategies, name to figures (money).
    """
    with TemporaryDirectory() as folder:
        params = read_params(path).model_copy(update={"workspace": folder})
        ingest_stage.run(params)
        evaluate.run(params)
        work = Workspace.of(params)
        write_profit(params, work)
        found = pd.read_parquet(work.profit_definitions)
    return {
        "log": params.data.dataset,
        "horizon_days": params.features.horizon_days,
        "definitions": [
            {
                "definition": name,
                "cutoffs": int(table["cutoffs"].iloc[0]),
                "strategies": table.set_index("strategy")[[*KEPT, "expected_profit"]].to_dict("index"),
            }
            for name, table in found.groupby("definition", sort=False)
        ],
    }


def open_to_all(settings: Decisions) -> Decisions:
    """The limits of params.yaml with `ACTIONS`, open to everybody: made-up customers have no types."""
    actions = {name: Contact.model_validate(action) for name, action in ACTIONS.items()}
    return settings.model_copy(update={"actions": actions, "segment_quotas": [], "channel_capacity": {}})


def main() -> int:
    """Run every shop and the grocer's log, and write the figures down."""
    params, shops = read_params(PARAMS), []
    settings = open_to_all(params.decisions)
    for shop in SHOPS:
        logs = [rows_of(shop, seed, params) for seed in shown(range(LOGS), shop.name)]
        shops.append({"shop": shop.name, **figures(logs, settings, params.clv)})
    made_up = {"logs": LOGS, "customers": SHOPS[0].customers, "shops": shops}
    write_figures({**made_up, "grocer": past_lists(GROCER)}, OUT)
    return 0


if __name__ == "__main__":
    sys.exit(main())

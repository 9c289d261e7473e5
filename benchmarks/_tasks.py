"""What the benchmark scripts share: tasks, their orders, a made-up seasonal log, and how figures are kept."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
from rich.console import Console
from rich.progress import track

from churnlab.config import Params
from churnlab.data.ingestion import ingest
from churnlab.engine import connect, write_text
from churnlab.evaluation.backtest import truth_after

if TYPE_CHECKING:
    import ibis.expr.types as ir

ROOT = Path(__file__).resolve().parents[1]
PARAMS = ROOT / "params.yaml"
DIGITS = 5
T = TypeVar("T")


@dataclass(frozen=True)
class Task:
    """What is forecast: `horizon_days` after `cutoff` of a built-in log, or of so many of its customers.

    Samples of different `part` share no customer.
    """

    dataset: str
    cutoff: date
    horizon_days: int
    customers: int | None = None
    part: int = 0

    @property
    def name(self) -> str:
        """The task in words."""
        whole = f"{self.dataset} {self.cutoff}, {self.horizon_days} d"
        return whole if self.customers is None else f"{whole}, {self.customers} customers"


MAIN_TASKS = (
    Task("cdnow", date(1997, 9, 30), 90),
    Task("cdnow", date(1997, 9, 30), 273),
    Task("complete_journey", date(2017, 10, 1), 28),
    Task("complete_journey", date(2017, 10, 1), 90),
)
FEW_CUSTOMERS = (
    Task("cdnow", date(1997, 9, 30), 90, customers=600),
    Task("complete_journey", date(2017, 10, 1), 28, customers=600),
)
TASKS = (
    *MAIN_TASKS,
    Task("cdnow", date(1998, 4, 1), 90),
    Task("complete_journey", date(2017, 7, 1), 28),
)
# Small shops: one sample of a log proves little, so each task comes with a number of samples.
SMALL_TASKS = (
    (Task("cdnow", date(1997, 9, 30), 90, customers=600), 10),
    (Task("cdnow", date(1997, 9, 30), 90, customers=1500), 6),
    (Task("complete_journey", date(2017, 10, 1), 28, customers=600), 4),
    (Task("complete_journey", date(2017, 10, 1), 90, customers=1200), 2),
)

# The seasonal log: two years, the forecast window holds most of the second December.
SEASON_CUTOFF, SEASON_HORIZON = date(2022, 11, 1), 55
FIRST_DAY, DAYS, LAST_ARRIVAL = date(2021, 1, 1), 730, 600
SEASON_CUSTOMERS, DECEMBER, DROPOUT, SEED = 3000, 2.5, 0.03, 5


def read_orders(task: Task, params: Params) -> ir.Table:
    """The orders of the task's customers, read and cleaned as `churnlab backtest` does."""
    data = params.data.model_copy(update={"dataset": task.dataset, "path": None})
    con = connect(params.engine)
    orders = con.create_table("orders", ingest(con, data).orders.to_pyarrow())
    if task.customers is None:
        return orders
    chosen = orders.filter(orders.customer_id.isin(sample(orders, task.customers, task.part)))
    return con.create_table("orders_of_sample", chosen.to_pyarrow())


def sample(orders: ir.Table, customers: int, part: int) -> list[str]:
    """So many customers in the order of their ids' MD5 digests: the same on every machine."""
    ids = orders.select("customer_id").distinct().to_pandas()["customer_id"]
    by_digest = sorted(ids, key=lambda name: hashlib.md5(name.encode()).digest())
    return by_digest[part * customers : (part + 1) * customers]


def outcomes_of(orders: ir.Table, cutoff: date, horizon_days: int) -> pd.DataFrame:
    """What happened in the horizon, which every task's log holds."""
    truth = truth_after(orders, cutoff, horizon_days)
    if truth is None:
        raise AssertionError(f"the log ends before {horizon_days} days after {cutoff}")
    return truth


def seasonal_orders(params: Params) -> ir.Table:
    """Orders of a made-up shop whose customers buy DECEMBER times as often in December."""
    bought = pd.DataFrame(_purchases(), columns=["customer_id", "day", "amount"])
    by_day = bought.groupby(["customer_id", "day"], as_index=False)["amount"].sum()
    amount = pa.array(by_day["amount"], pa.float64())
    day = pa.array(by_day["day"], pa.date32())
    table = {
        "customer_id": pa.array(by_day["customer_id"], pa.string()),
        "order_id": pa.array([str(k) for k in range(len(by_day))], pa.string()),
        "ts": day.cast(pa.timestamp("us")),
        "day": day,
        "amount": amount,
        "gross": amount,
        "returned": pa.array(np.zeros(len(by_day))),
        "is_purchase": pa.array([True] * len(by_day)),
        "n_lines": pa.array([1] * len(by_day), pa.int64()),
    }
    return connect(params.engine).create_table("orders", pa.table(table))


def _purchases() -> Iterator[tuple[str, date, float]]:
    """customer_id, day, amount: Poisson rates and prices of one's own, dropout after any purchase."""
    random = np.random.default_rng(SEED)
    december = np.array([(FIRST_DAY + timedelta(days=k)).month == 12 for k in range(DAYS)])
    passed = np.cumsum(np.where(december, DECEMBER, 1.0))  # a clock that runs faster in December
    for number in range(SEASON_CUSTOMERS):
        clock = passed[random.integers(0, LAST_ARRIVAL)]
        gap, price = 1 / random.gamma(2.0, 1 / 80), random.gamma(6.0, 4.0)
        while (k := int(np.searchsorted(passed, clock))) < DAYS:
            yield f"c{number:04d}", FIRST_DAY + timedelta(days=k), round(price * random.gamma(4.0, 0.25), 2)
            if random.random() < DROPOUT:
                break
            clock += random.exponential(gap)


def chosen(
    table: pd.DataFrame, metrics: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, dict[str, float]]]:
    """Method to target to metric to value, of a table of `compare`, with `metrics` of each target only."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    columns = table[["method", "target", "metric", "value"]]
    for method, target, metric, value in columns.itertuples(index=False, name=None):
        if metric in metrics.get(target, ()):
            found.setdefault(method, {}).setdefault(target, {})[metric] = value
    return found


def shown(items: Sequence[T], what: str) -> Iterable[T]:
    """The items, with a bar on a terminal that tells how many are done."""
    return track(items, what, console=Console(stderr=True), disable=not sys.stderr.isatty())


def write_figures(figures: dict[str, Any], path: Path) -> None:
    """Write figures as JSON: equal figures give equal bytes."""
    write_text(json.dumps(rounded(figures), indent=1, sort_keys=True) + "\n", path)


def rounded(figures: Any) -> Any:
    """The same figures with DIGITS digits after the point."""
    if isinstance(figures, dict):
        return {name: rounded(value) for name, value in figures.items()}
    if isinstance(figures, list):
        return [rounded(value) for value in figures]
    return round(figures, DIGITS) if isinstance(figures, float) else figures

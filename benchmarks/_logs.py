"""Made-up logs of any size whose customers behave as MBG/NBD and Gamma-Gamma say, beside their truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

BLOCK_CUSTOMERS = 50_000
FIRST_DAY = date(2023, 1, 1)
LINES_PER_ORDER = 3.0  # mean; a shifted Poisson
PRICE_SHAPE = 1.5


@dataclass(frozen=True)
class Recipe:
    """How the customers of a log behave; times in days, money in the shop's currency.

    Attributes
    ----------
    customers
        How many first buy within `arrival_days`.
    days
        Days the log covers; the truth covers `horizon_days` more.
    r, alpha
        Gamma distribution of the rate of orders: mean r / alpha a day.
    a, b
        Beta distribution of the chance to leave after an order, the first included (MBG/NBD: Batislam et al.
        2007).
    p, q, v
        Gamma-Gamma distribution of order values (Fader & Hardie 2013).
    """

    customers: int
    days: int = 730
    arrival_days: int = 640
    horizon_days: int = 90
    r: float = 0.8
    alpha: float = 28.0
    a: float = 0.6
    b: float = 6.0
    p: float = 6.0
    q: float = 4.0
    v: float = 60.0
    seed: int = 20261125

    @property
    def last_day(self) -> date:
        """The last day of the log."""
        return FIRST_DAY + timedelta(days=self.days - 1)


def write_log(recipe: Recipe, folder: Path, *, by_day: bool = True) -> tuple[Path, Path]:
    """Write `lines.parquet` (customer_id, order_id, ts, product_id, amount) and `truth.parquet`.

    Parameters
    ----------
    recipe
        The same recipe gives the same rows on every machine.
    folder
        Made if need be. While lines are sorted it holds them twice.
    by_day
        Whether lines are in the order of time, as shops write them; else in blocks of customers.

    Returns
    -------
    tuple
        The log and the truth: customer_id, rate (orders a day), leaving (chance after an order), is_alive (on
        the last day), orders_after and spend_after (in the horizon).
    """
    folder.mkdir(parents=True, exist_ok=True)
    blocks, log, truth = folder / "blocks.parquet", folder / "lines.parquet", folder / "truth.parquet"
    lines_to = pq.ParquetWriter(blocks if by_day else log, _LINES, compression="zstd")
    truth_to = pq.ParquetWriter(truth, _TRUTH, compression="zstd")
    with lines_to, truth_to:
        for lines, known in _blocks(recipe):
            lines_to.write_table(lines)
            truth_to.write_table(known)
    if by_day:
        _sort(blocks, log)
        blocks.unlink()
    return log, truth


def histories(recipe: Recipe) -> pd.DataFrame:
    """What BG/NBD is fitted from: frequency, recency and T in days, one row per customer, without a log.

    They are those of another draw of customers than :func:`write_log` makes.
    """
    rng = np.random.default_rng(recipe.seed)
    rate = rng.gamma(recipe.r, 1.0 / recipe.alpha, recipe.customers)
    leaving = rng.beta(recipe.a, recipe.b, recipe.customers)
    customer, moment, _ = _orders(recipe, rate, leaving, rng)
    day = np.floor(moment).astype(np.int64)
    customer, day = customer[day < recipe.days], day[day < recipe.days]
    bought = pd.DataFrame({"customer_id": customer, "day": day}).drop_duplicates()
    each = bought.groupby("customer_id")["day"].agg(["min", "max", "size"])
    known = {"frequency": each["size"] - 1, "recency": each["max"] - each["min"]}
    return (
        pd.DataFrame({**known, "T": recipe.days - 1 - each["min"]}).astype("float64").reset_index(drop=True)
    )


_LINES = pa.schema(
    {
        "customer_id": pa.string(),
        "order_id": pa.string(),
        "ts": pa.timestamp("s"),
        "product_id": pa.string(),
        "amount": pa.float64(),
    }
)
_TRUTH = pa.schema(
    {
        "customer_id": pa.string(),
        "rate": pa.float64(),
        "leaving": pa.float64(),
        "is_alive": pa.bool_(),
        "orders_after": pa.int64(),
        "spend_after": pa.float64(),
    }
)


def _blocks(recipe: Recipe) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Customers by the fifty thousand, each block with a generator of its own."""
    starts = range(0, recipe.customers, BLOCK_CUSTOMERS)
    for start, seed in zip(starts, np.random.SeedSequence(recipe.seed).spawn(len(starts)), strict=True):
        rng = np.random.default_rng(seed)
        yield _block(recipe, start, min(BLOCK_CUSTOMERS, recipe.customers - start), rng)


def _block(recipe: Recipe, start: int, n: int, rng: np.random.Generator) -> tuple[pa.Table, pa.Table]:
    rate = rng.gamma(recipe.r, 1.0 / recipe.alpha, n)
    leaving = rng.beta(recipe.a, recipe.b, n)
    worth = rng.gamma(recipe.q, 1.0 / recipe.v, n)  # scale of the customer's own order values
    customer, moment, is_alive = _orders(recipe, rate, leaving, rng)
    value = rng.gamma(recipe.p, 1.0, len(customer)) / worth[customer]
    before = moment < recipe.days
    after = np.bincount(customer[~before], minlength=n)
    spend = np.bincount(customer[~before], weights=np.round(value[~before], 2), minlength=n)
    names = _names("c", np.arange(start, start + n))
    known = pa.table([names, rate, leaving, is_alive, after, spend], schema=_TRUTH)
    return _lines(start, names, customer[before], moment[before], value[before], rng), known


def _orders(
    recipe: Recipe, rate: np.ndarray, leaving: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Customer and moment of every order up to the end of the horizon; who is alive at the end of the log."""
    end = float(recipe.days + recipe.horizon_days)
    active = np.arange(len(rate))
    moment = rng.uniform(0.0, recipe.arrival_days, len(rate))
    is_alive = np.ones(len(rate), dtype=bool)
    customers, moments = [], []
    while len(active):
        customers.append(active)
        moments.append(moment)
        leaves = rng.random(len(active)) < leaving[active]
        is_alive[active[leaves & (moment < recipe.days)]] = False
        moment = moment + rng.exponential(1.0, len(active)) / np.maximum(rate[active], 1e-12)
        goes_on = ~leaves & (moment < end)
        active, moment = active[goes_on], moment[goes_on]
    return np.concatenate(customers), np.concatenate(moments), is_alive


def _lines(
    start: int,
    names: pa.Array,
    customer: np.ndarray,
    moment: np.ndarray,
    value: np.ndarray,
    rng: np.random.Generator,
) -> pa.Table:
    """Every order cut into lines of random shares, in whole cents of at least one."""
    pieces = 1 + rng.poisson(LINES_PER_ORDER - 1.0, len(customer))
    order = np.repeat(np.arange(len(customer)), pieces)
    share = rng.gamma(PRICE_SHAPE, 1.0, len(order))
    share /= np.bincount(order, weights=share)[order]
    seconds = (moment * 86_400).astype(np.int64) + (FIRST_DAY - date(1970, 1, 1)).days * 86_400
    orders = _names(f"o{start // BLOCK_CUSTOMERS:04d}-", np.arange(len(customer)))
    products = _names("p", (rng.pareto(1.2, len(order)) * 20).astype(np.int64) % 20_000)
    columns = [
        names.take(pa.array(customer[order])),
        orders.take(pa.array(order)),
        pa.array(seconds[order], pa.timestamp("s")),
        products,
        pa.array(np.maximum(np.round(value[order] * share, 2), 0.01)),
    ]
    return pa.table(columns, schema=_LINES)


def _names(prefix: str, numbers: np.ndarray) -> pa.Array:
    return pa.array(np.char.add(prefix, np.char.zfill(numbers.astype(str), 7)))


def _sort(blocks: Path, log: Path) -> None:
    con = duckdb.connect(config={"memory_limit": "3GB", "temp_directory": str(log.parent / "sorting")})
    con.execute(
        f"COPY (SELECT * FROM read_parquet('{blocks}') ORDER BY ts, order_id, product_id, amount) "
        f"TO '{log}' (FORMAT parquet, COMPRESSION zstd)"
    )

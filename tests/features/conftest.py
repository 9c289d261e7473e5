"""Orders tables for the tests of this room."""

from collections.abc import Callable
from datetime import date, timedelta

import ibis
import numpy as np
import pandas as pd
import pytest

from churnlab.config import Engine
from churnlab.engine import connect
from churnlab.features.snapshots import FeatureSpec

FIRST_DAY = date(2024, 1, 1)


@pytest.fixture(scope="session")
def as_table() -> Callable[[pd.DataFrame], ibis.Table]:
    """Put a frame of orders into an engine of its own."""

    def put(frame: pd.DataFrame) -> ibis.Table:
        frame = frame.assign(ts=pd.to_datetime(frame["ts"]).astype("datetime64[us]"))
        con = connect(Engine(threads=2, memory_limit="1GB"))
        return con.create_table("orders", obj=ibis.memtable(frame))

    return put


@pytest.fixture(scope="session")
def ledger(as_table: Callable) -> Callable[[list[tuple]], ibis.Table]:
    """Orders from (customer_id, "YYYY-MM-DD", amount) rows; a negative amount is a return."""

    def write(rows: list[tuple], **optional: list) -> ibis.Table:
        frame = pd.DataFrame(rows, columns=["customer_id", "day", "amount"])
        return as_table(finish(frame).assign(**optional))

    return write


def finish(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns that follow from customer_id, day and amount."""
    day = pd.to_datetime(frame["day"])
    return frame.assign(
        day=day.dt.date,
        ts=day,
        order_id=[f"o{i:05d}" for i in range(len(frame))],
        amount=frame["amount"].astype(float),
        gross=frame["amount"].clip(lower=0).astype(float),
        returned=(-frame["amount"]).clip(lower=0).astype(float),
        is_purchase=frame["amount"] >= 0,
        n_lines=1,
    )


@pytest.fixture(scope="session")
def busy_shop() -> pd.DataFrame:
    """1,500 orders of 120 customers over 240 days, with every optional column."""
    rng = np.random.default_rng(11)
    n = 1500
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{i:03d}" for i in rng.integers(0, 120, n)],
            "day": [FIRST_DAY + timedelta(days=int(d)) for d in rng.integers(0, 240, n)],
            "amount": np.where(rng.random(n) < 0.1, -1, 1) * rng.integers(0, 20000, n) / 100,
        }
    )
    products = rng.integers(1, 9, n)
    return finish(frame).assign(
        items=rng.integers(1, 20, n).astype(float),
        discount=rng.integers(0, 500, n) / 100,
        n_products=products,
        new_products=rng.integers(0, products + 1),
        n_categories=np.minimum(products, 3),
        new_categories=rng.integers(0, 2, n),
        channel=np.array(["web", "shop", "فروشگاه", None], dtype=object)[rng.integers(0, 4, n)],
    )


@pytest.fixture(scope="session")
def full_spec() -> FeatureSpec:
    """Every group of columns."""
    return FeatureSpec(
        windows_days=(7, 30, 60),
        half_lives_days=(20, 40, 80, 160),
        horizon_days=30,
        history_days=120,
        has_items=True,
        has_discount=True,
        has_returns=True,
        has_products=True,
        has_categories=True,
        has_channel=True,
    )


@pytest.fixture(scope="session")
def lean_spec() -> FeatureSpec:
    """What a log of customer, date and amount supports."""
    return FeatureSpec(
        windows_days=(7, 14, 30), half_lives_days=(20, 80), horizon_days=30, history_days=60, has_returns=True
    )

"""Orders tables for the tests of this room."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from churnlab.config import Engine
from churnlab.engine import connect
from churnlab.features.signals import Signals
from churnlab.features.spec import FeatureSpec

FIRST_DAY = date(2024, 1, 1)
MOMENT = pa.timestamp("us")
SIDE_TABLES = {
    "customers": pa.schema(
        {
            "customer_id": pa.string(),
            "known_from": MOMENT,
            "signup": MOMENT,
            "is_business": pa.bool_(),
            "referrer": pa.string(),
            "language": pa.string(),
            "paid_late_share": pa.float64(),
            "referrals": pa.float64(),
            "consent_email": pa.bool_(),
            "consent_sms": pa.bool_(),
        }
    ),
    "interactions": pa.schema(
        {
            "customer_id": pa.string(),
            "ts": MOMENT,
            "kind": pa.string(),
            "score": pa.float64(),
            "channel": pa.string(),
            "topic": pa.string(),
            "responded": MOMENT,
            "resolved": MOMENT,
        }
    ),
    "contacts": pa.schema(
        {
            "customer_id": pa.string(),
            "ts": MOMENT,
            "action": pa.string(),
            "channel": pa.string(),
            "group": pa.string(),
        }
    ),
}  # as ingest writes them


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


@pytest.fixture(scope="session")
def told_spec(full_spec) -> FeatureSpec:
    """Every group of columns, those of the optional tables too."""
    return replace(
        full_spec,
        history_days=400,
        has_complaints=True,
        has_tickets=True,
        has_csat=True,
        has_nps=True,
        has_intent=True,
        has_wishes=True,
        has_response=True,
        has_resolution=True,
        has_contacts=True,
        has_signup=True,
        has_business=True,
        has_referrer=True,
        has_consents=True,
        interaction_days=400,
        contact_days=400,
    )


@pytest.fixture(scope="session")
def told() -> Callable[..., Signals]:
    """The optional tables from frames; columns not given are null."""

    def write(**frames: pd.DataFrame) -> Signals:
        tables = {}
        for name, frame in frames.items():
            schema = SIDE_TABLES[name]
            cells = {column: frame.get(column) for column in schema.names}
            rows = pd.DataFrame(cells, columns=schema.names, index=frame.index)
            tables[name] = ibis.memtable(pa.Table.from_pandas(rows, schema, preserve_index=False))
        return Signals(**tables)

    return write


@pytest.fixture(scope="session")
def busy_tables() -> dict[str, pd.DataFrame]:
    """The optional tables of the busy shop: its customers, and some who never bought."""
    rng = np.random.default_rng(12)

    def moments(n: int) -> pd.Series:
        days, seconds = rng.integers(0, 240, n), rng.integers(0, 86400, n)
        offsets = pd.to_timedelta(days, "D") + pd.to_timedelta(seconds, "s")
        return pd.Series(pd.Timestamp(FIRST_DAY) + offsets)

    def some(values: pd.Series | np.ndarray, share: float) -> pd.Series:
        return pd.Series(values).astype(object).where(rng.random(len(values)) < share, None)

    def people(n: int) -> list[str]:
        return [f"c{i:03d}" for i in rng.integers(0, 130, n)]

    ts, kind = moments(800), rng.choice(["complaint", "ticket", "csat", "nps", "intent", "wish"], 800)
    waits = [pd.to_timedelta(rng.integers(60, 40 * 86400, 800), "s") for _ in range(2)]
    interactions = pd.DataFrame({"customer_id": people(800), "ts": ts, "kind": kind}).assign(
        score=some(
            np.where(np.isin(kind, ["nps", "intent"]), rng.integers(0, 11, 800), rng.random(800)), 0.9
        ),
        responded=some(ts + waits[0], 0.7),
        resolved=some(ts + waits[1], 0.7),
    )
    contacts = pd.DataFrame({"customer_id": people(500), "ts": moments(500)}).assign(
        group=rng.choice(["treated", "control"], 500)
    )
    n = 300
    customers = pd.DataFrame({"customer_id": people(n), "known_from": some(moments(n), 0.7)}).assign(
        signup=some(moments(n), 0.9),
        is_business=some(rng.random(n) < 0.3, 0.8),
        referrer=some(np.array(people(n), dtype=object), 0.6),
        consent_email=some(rng.random(n) < 0.5, 0.8),
        consent_sms=some(rng.random(n) < 0.5, 0.8),
    )
    customers = customers.drop_duplicates(["customer_id", "known_from"])
    return {"customers": customers, "interactions": interactions, "contacts": contacts}

"""Scores every known customer as of one date."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from churnlab.config import Decisions
from churnlab.decisions.contact_rules import not_for_them
from churnlab.decisions.customer_types import buying_style, lifecycle_type
from churnlab.decisions.hysteresis import EarlierLabels, settled
from churnlab.decisions.priority import best_actions
from churnlab.decisions.save_rates import with_own_rates
from churnlab.engine import cause, write_atomically
from churnlab.errors import DataError
from churnlab.features.buckets import customer_buckets
from churnlab.features.on_spark import is_on_spark
from churnlab.features.plan import current_snapshot
from churnlab.features.signals import NOTHING, Signals
from churnlab.features.snapshots import snapshot_table
from churnlab.models.reasons import as_lists
from churnlab.models.scorer import Scorer
from churnlab.models.uplift import Response
from churnlab.operations.scoring_on_spark import in_order, mapped

if TYPE_CHECKING:
    import ibis.expr.types as ir

SCORES = pa.schema(
    {
        "customer_id": pa.string(),
        "as_of": pa.date32(),
        "horizon_days": pa.int64(),
        "frequency": pa.float64(),
        "recency": pa.float64(),
        "T": pa.float64(),
        "monetary_value": pa.float64(),
        "days_since_last_order": pa.float64(),
        "p_alive": pa.float64(),
        "churn_probability": pa.float64(),
        "churn_percentile": pa.float64(),
        "risk_label": pa.string(),
        "expected_purchases": pa.float64(),
        "expected_order_value": pa.float64(),
        "expected_spend": pa.float64(),
        "expected_spend_low": pa.float64(),
        "expected_spend_high": pa.float64(),
        "clv": pa.float64(),
        "clv_low": pa.float64(),
        "clv_high": pa.float64(),
        "clv_percentile": pa.float64(),
        "value_label": pa.string(),
        "lifecycle_type": pa.string(),
        "buying_style": pa.string(),
        "buying_style_confidence": pa.float64(),
        "expected_next_order_date": pa.date32(),
        "expected_next_order_low": pa.date32(),
        "expected_next_order_high": pa.date32(),
        "reasons": pa.list_(pa.string()),
        "expected_net_benefit": pa.float64(),
        "priority_rank": pa.int64(),
        "scored_by": pa.string(),
        "model_version": pa.string(),
        "run_id": pa.string(),
        "data_version": pa.string(),
    }
)
T = TypeVar("T")
UNRANKED = SCORES.remove(SCORES.get_field_index("priority_rank"))
WORKERS = 2  # blocks scored side by side
FARTHEST_DAYS = 3650  # beyond ten years a next order date says nothing but "not expected"


@dataclass(frozen=True)
class Provenance:
    """Which model and which data a score comes from."""

    model_version: str
    run_id: str
    data_version: str


@dataclass(frozen=True)
class Terms:
    """What is the same for everybody who is scored, besides the model.

    Attributes
    ----------
    as_of
        Last day that is known.
    settings
        The `decisions` section.
    source
        Written into every row.
    earlier
        Labels of the list before, by the same model; None: there is none, or they do not count.
    responses
        Who responds to an action, by its name, where it is known.
    """

    as_of: date
    settings: Decisions
    source: Provenance
    earlier: EarlierLabels | None = None
    responses: Mapping[str, Response] = field(default_factory=dict)


def write_scores(
    orders: ir.Table,
    scorer: Scorer,
    terms: Terms,
    path: Path,
    signals: Signals = NOTHING,
    *,
    bucket_customers: int,
    told: Callable[[int, int], None] = lambda _done, _all: None,
) -> int:
    """Write one finite row per customer known on the day, so many customers at a time.

    Parameters
    ----------
    orders
        As written by ingest; rows after the day are not looked at.
    scorer
        The packaged model.
    terms
        The day, and what is the same for everybody.
    path
        Parquet file with the columns of `SCORES`, sorted by customer_id; a row group per bucket.
        expected_next_order_date is the median date of the next order of a customer who is still buying, which
        lies between _low and _high with the chance of `clv.interval`; empty where over ten years away.
        Customers with returns only are scored by the purchase model as if their first return had been an
        order.
    signals
        The optional tables; what they tell of later days is not looked at.
    bucket_customers
        Bounds the memory; no score depends on it.
    told
        Called after every bucket with how many are done and how many there are.

    Returns
    -------
    int
        Rows written.

    Raises
    ------
    DataError
        Nobody is known on the day, a column or table that the model needs is not there, or the file cannot be
        written.
    """
    as_of = terms.as_of
    known = orders.filter(orders.day <= as_of)
    if is_on_spark(known):
        table = scored_table(known, scorer, terms, signals).cache()
        customers = table.count().to_pyarrow().as_py()
        count = -(-customers // bucket_customers)
        arriving = in_order(table, customers).to_pyarrow_batches(chunk_size=bucket_customers)
        blocks: Iterator[pa.Table] = (pa.Table.from_batches([batch]) for batch in arriving)
    else:
        buckets = customer_buckets(known, bucket_customers)
        count = len(buckets)
        describe = partial(_described, scorer=scorer, as_of=as_of)
        blocks = _scored_side_by_side(
            (partial(describe, bucket.of(known), signals=signals.within(bucket)) for bucket in buckets),
            lambda people: _as_table(scored(*people, scorer, terms)),
        )
    if not count:
        raise DataError(f"orders: no customer is known on {as_of}: choose a later --as-of")
    with tempfile.TemporaryDirectory(prefix="churnlab-") as scratch:
        unranked = Path(scratch) / "scores.arrow"
        try:
            benefits = _set_down(blocks, unranked, lambda done: told(done, count))
        except OSError as error:
            raise DataError(
                f"{tempfile.gettempdir()}: cannot be written ({cause(error)}): free space there, or name "
                "another folder in the environment variable TMPDIR"
            ) from error
        ranks = ranks_of(benefits)
        write_atomically(path, lambda temporary: _write_ranked(unranked, ranks, temporary))
    return len(ranks)


def scored_bucket(known: ir.Table, scorer: Scorer, terms: Terms, signals: Signals = NOTHING) -> pd.DataFrame:
    """The columns of `SCORES` but for priority_rank, which takes all customers, sorted by customer_id.

    Parameters are those of :func:`write_scores`; `known` holds no rows after the day, and all others of at
    least one customer.
    """
    return scored(*_described(known, scorer, terms.as_of, signals), scorer, terms)


def _described(
    known: ir.Table, scorer: Scorer, as_of: date, signals: Signals
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Buyers and others as :func:`scored` takes them."""
    buyers = current_snapshot(known, scorer.plan, as_of, signals)
    others = never_bought(known, as_of).order_by("customer_id").to_pandas().astype({"customer_id": "str"})
    return buyers, others


def _scored_side_by_side(
    describers: Iterable[Callable[[], T]], score: Callable[[T], pa.Table]
) -> Iterator[pa.Table]:
    """Blocks in their order: while one is scored the next is described, and scored as soon as it is.

    The engine describes one at a time; as many blocks as there are workers are in memory, and one done.
    """
    describing = Lock()

    def work(describe: Callable[[], T]) -> pa.Table:
        with describing:
            people = describe()
        return score(people)

    with ThreadPoolExecutor(WORKERS) as pool:
        coming: deque[Future[pa.Table]] = deque()
        for describe in describers:
            coming.append(pool.submit(work, describe))
            if len(coming) > WORKERS:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def scored_table(known: ir.Table, scorer: Scorer, terms: Terms, signals: Signals = NOTHING) -> ir.Table:
    """What :func:`scored_bucket` gives, in no order, worked out by Spark's workers a partition at a time."""
    buyers = snapshot_table(known, terms.as_of, scorer.plan.spec, scorer.plan.money_scale, signals)
    others = never_bought(known, terms.as_of)
    absent = {name: ibis.null("float64") for name in buyers.columns if name not in others.columns}
    rows = buyers.union(others.mutate(**absent).select(buyers.columns), distinct=False)
    apply = partial(_scored_rows, terms=terms)
    return mapped(rows, scorer, apply, UNRANKED)


def _scored_rows(rows: pd.DataFrame, scorer: Scorer, terms: Terms) -> pa.Table:
    """Buyers have a frequency, who only returned has not."""
    bought = rows["frequency"].notna()
    buyers = rows[bought].reset_index(drop=True)
    others = rows.loc[~bought, ["customer_id", "T"]].reset_index(drop=True)
    return _as_table(scored(buyers, others, scorer, terms))


def scored(buyers: pd.DataFrame, others: pd.DataFrame, scorer: Scorer, terms: Terms) -> pd.DataFrame:
    """The columns of `SCORES` but for priority_rank, sorted by customer_id; no row depends on another.

    Parameters
    ----------
    buyers
        Their snapshot as of the day.
    others
        customer_id and T of those who have only returned: see :func:`never_bought`.
    """
    parts = []
    if len(buyers):
        parts.append(scored_buyers(buyers, scorer, terms))
    if len(others):
        parts.append(_only_returned(others, scorer, terms))
    scores = pd.concat(parts, ignore_index=True).sort_values("customer_id", ignore_index=True)
    scores = scores.assign(
        as_of=terms.as_of,
        horizon_days=scorer.plan.horizon_days,
        expected_next_order_date=_dates(terms.as_of, scores["days_to_next_order"]),
        expected_next_order_low=_dates(terms.as_of, scores["days_to_next_order_low"]),
        expected_next_order_high=_dates(terms.as_of, scores["days_to_next_order_high"]),
        expected_net_benefit=_best_benefit(scores, terms),
        **vars(terms.source),
    )
    return scores[UNRANKED.names]


def _best_benefit(scores: pd.DataFrame, terms: Terms) -> pd.Series:
    """Of the best action that the playbook has for each customer."""
    rated = with_own_rates(scores, terms.responses)
    return best_actions(rated, terms.settings, not_for_them(scores, terms.settings))["expected_net_benefit"]


def ranks_of(benefits: np.ndarray) -> np.ndarray:
    """1 for the highest benefit; of equal ones the earlier row comes first."""
    ranks = np.empty(len(benefits), dtype=np.int64)
    ranks[np.argsort(-benefits, kind="stable")] = np.arange(1, len(benefits) + 1)
    return ranks


def _as_table(block: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(block, schema=UNRANKED, preserve_index=False)


def _set_down(blocks: Iterable[pa.Table], path: Path, told: Callable[[int], None]) -> np.ndarray:
    """Blocks to an Arrow file; expected_net_benefit of all their rows."""
    benefits = []
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_file(path, UNRANKED, options=options) as file:
        for done, block in enumerate(blocks, 1):
            file.write_table(block)
            benefits.append(block["expected_net_benefit"].to_numpy())
            told(done)
    return np.concatenate(benefits)


def _write_ranked(unranked: Path, ranks: np.ndarray, path: Path) -> None:
    place, begin = SCORES.get_field_index("priority_rank"), 0
    with pa.memory_map(str(unranked)) as content, pq.ParquetWriter(path, SCORES, compression="zstd") as file:
        blocks = pa.ipc.open_file(content)
        for number in range(blocks.num_record_batches):
            block = blocks.get_batch(number)
            own = pa.array(ranks[begin : begin + block.num_rows])
            begin += block.num_rows
            file.write_batch(block.add_column(place, SCORES.field(place), own))


def scored_buyers(buyers: pd.DataFrame, scorer: Scorer, terms: Terms) -> pd.DataFrame:
    """Forecasts, labels, types and reasons of the customers of a snapshot: one row each, in its order."""
    told, reasons = scorer.told(buyers, terms.as_of)
    settings, predicted = terms.settings, _settled(told, scorer, terms)
    shown = buyers[["frequency", "recency", "T", "monetary_value", "days_since_last_order"]]
    scores = predicted.join(shown, validate="one_to_one")
    return scores.assign(
        lifecycle_type=lifecycle_type(
            buyers, settings.new_customer_days, scorer.typical["gap_mean_days"], settings.types
        ),
        **buying_style(buyers, predicted["value_label"], settings.types),
        reasons=reasons,
    )


def never_bought(known: ir.Table, as_of: date) -> ir.Table:
    """Customers with returns only: customer_id and T, the days since they were first seen."""
    seen = known.group_by("customer_id").aggregate(first=known.day.min(), bought=known.is_purchase.any())
    days = ibis.literal(as_of).delta(seen["first"], unit="day").cast("float64")
    return seen.filter(~seen.bought).select("customer_id", T=days)


def _settled(predicted: pd.DataFrame, scorer: Scorer, terms: Terms) -> pd.DataFrame:
    """With the labels that customers keep from the list before."""
    if terms.earlier is None or scorer.risk is None or scorer.value is None:
        return predicted
    share = terms.settings.labels.hysteresis
    risk, value = terms.earlier.of(predicted["customer_id"])
    return predicted.assign(
        risk_label=settled(scorer.risk, predicted["risk_label"], predicted["churn_percentile"], risk, share),
        value_label=settled(
            scorer.value, predicted["value_label"], predicted["clv_percentile"], value, share
        ),
    )


def _only_returned(others: pd.DataFrame, scorer: Scorer, terms: Terms) -> pd.DataFrame:
    told = pa.array(["Only returns are on record, no purchase yet"] * len(others), pa.string())
    return _settled(scorer.outlook(others, terms.as_of), scorer, terms).assign(
        lifecycle_type="potential",
        buying_style="unassigned",
        buying_style_confidence=0.0,
        reasons=as_lists(told, others.index),
    )


def _dates(as_of: date, days: pd.Series) -> pd.Series:
    values = days.to_numpy(float)
    far = ~(np.isfinite(values) & (values <= FARTHEST_DAYS))
    ahead = np.ceil(np.where(far, 0.0, values)).astype("timedelta64[D]")
    dates = pa.array(np.datetime64(as_of, "D") + ahead, pa.date32(), mask=far)
    return pd.Series(dates, index=days.index, dtype=pd.ArrowDtype(pa.date32()))

"""Features on Spark. Authority: DuckDB's answer to the same expressions, row for row."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pandas as pd

from churnlab.features import gates
from churnlab.features.outcomes import outcomes
from churnlab.features.plan import learning_plan
from churnlab.features.snapshots import snapshot


def as_of(log: Any) -> date:
    return date.fromisoformat(log.summary["as_of"])


def plan(orders: Any, log: Any) -> Any:
    settings = log.params.features
    return learning_plan(orders, as_of(log), settings.horizon_days, settings)


def test_the_plan_is_the_same(log):
    assert plan(log.there, log) == plan(log.here, log)


def test_the_gates_are_the_same(log):
    horizon = log.params.features.horizon_days
    told = [gates.gates(orders, as_of(log), horizon, log.params) for orders in (log.here, log.there)]
    assert told[0] == told[1]


def test_today_and_the_oldest_snapshot_are_the_same(log):
    learned = plan(log.here, log)
    for cutoff in (as_of(log), learned.snapshots[-1]):
        frames = [snapshot(t, cutoff, learned.spec, learned.money_scale) for t in (log.here, log.there)]
        assert len(frames[0]) > 1000
        pd.testing.assert_frame_equal(*frames, check_exact=True)


def test_outcomes_are_the_same(log):
    cutoff = as_of(log) - timedelta(days=log.params.features.horizon_days)
    frames = [outcomes(t, cutoff, log.params.features.horizon_days) for t in (log.here, log.there)]
    assert frames[1].equals(frames[0]) and len(frames[0]) > 1000

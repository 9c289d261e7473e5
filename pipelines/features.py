"""DVC stage `features`: labelled snapshots of the past, and those learned from as known today."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator

import pandas as pd

from churnlab.config import Params
from churnlab.engine import connect, write_parquet
from churnlab.features import gates
from churnlab.features.plan import current_snapshot, labelled_snapshots, learned_from, learning_plan, stacked
from churnlab.features.signals import Signals
from churnlab.pipelines._files import ingested, progress, write_json
from churnlab.pipelines._run import Workspace, main


def run(params: Params) -> None:
    """Orders, optional tables → reports/gates.json, data/plan.json, snapshots.parquet, current.parquet."""
    work = Workspace.of(params)
    summary = ingested(work)
    con = connect(params.engine)
    orders = con.read_parquet(work.orders)
    signals = Signals.read(con, work.customers, work.interactions, work.contacts)
    told = gates.gates(orders, summary.as_of, params.features.horizon_days, params)
    write_json({"gates": [gate.to_dict() for gate in told]}, work.gates)
    gates.refuse(told)
    for sentence in gates.sentences(told):
        sys.stderr.write(f"{sentence}\n")
    plan = learning_plan(orders, summary.as_of, params.features.horizon_days, params.features, signals)
    known = learned_from(orders, plan)
    with progress("features", len(plan.snapshots) + 1) as step:
        current = current_snapshot(known, plan, signals=signals)
        step(f"{plan.cutoff}")
        snapshots = stacked(stepped(labelled_snapshots(known, plan, signals), step), current)
    write_parquet(snapshots, work.snapshots)
    write_parquet(current, work.current)
    write_json(plan.to_dict(), work.plan)


def stepped(blocks: Iterable[pd.DataFrame], step: Callable[[str], None]) -> Iterator[pd.DataFrame]:
    """The blocks; each moves the progress bar on."""
    for block in blocks:
        yield block
        step(f"{block['cutoff'].iloc[0]:%Y-%m-%d}")


if __name__ == "__main__":
    main(run)

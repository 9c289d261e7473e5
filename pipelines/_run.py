"""What every stage shares: its --params option, its exit code, and where its files are."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from churnlab.config import Params, read_params
from churnlab.errors import ChurnlabError
from churnlab.operations.provenance import project_root
from churnlab.operations.tracking_store import require_reachable


@dataclass(frozen=True)
class Workspace:
    """Every file that the stages write and read, under one root."""

    root: Path

    @classmethod
    def of(cls, params: Params) -> Workspace:
        return cls(Path(params.workspace).expanduser())

    @property
    def orders(self) -> Path:
        return self.root / "data" / "orders.parquet"

    @property
    def quarantine(self) -> Path:
        return self.root / "data" / "quarantine.parquet"

    @property
    def ingest_summary(self) -> Path:
        return self.root / "data" / "ingest.json"

    @property
    def snapshots(self) -> Path:
        return self.root / "data" / "snapshots.parquet"

    @property
    def current(self) -> Path:
        return self.root / "data" / "current.parquet"

    @property
    def plan(self) -> Path:
        return self.root / "data" / "plan.json"

    @property
    def clv_models(self) -> Path:
        return self.root / "models" / "clv.json"

    @property
    def churn_model(self) -> Path:
        return self.root / "models" / "churn"

    @property
    def packaged_model(self) -> Path:
        return self.root / "models" / "packaged"

    @property
    def metrics(self) -> Path:
        return self.root / "reports" / "metrics.json"

    @property
    def backtest(self) -> Path:
        return self.root / "reports" / "backtest.parquet"

    @property
    def comparison(self) -> Path:
        return self.root / "reports" / "comparison.parquet"

    @property
    def plots(self) -> Path:
        return self.root / "reports" / "plots"

    @property
    def registration(self) -> Path:
        return self.root / "reports" / "registration.json"

    @property
    def scores(self) -> Path:
        return self.root / "outputs" / "scores.parquet"

    @property
    def priority_list(self) -> Path:
        return self.root / "outputs" / "priority_list.parquet"

    @property
    def plan_summary(self) -> Path:
        return self.root / "reports" / "plan.json"

    @property
    def report(self) -> Path:
        return self.root / "outputs" / "report.html"

    @property
    def manifest(self) -> Path:
        return self.root / "reports" / "manifest.json"


def main(run: Callable[[Params], None], arguments: list[str] | None = None) -> None:
    """Run a stage from the command line: a mistake the user can mend is one line and exit code 2.

    Parameters
    ----------
    run
        The stage.
    arguments
        The command line; by default the process's own.
    """
    parser = argparse.ArgumentParser(description=sys.modules[run.__module__].__doc__)
    parser.add_argument("--params", default="params.yaml", type=Path, help="file of parameters (params.yaml)")
    options = parser.parse_args(arguments)
    try:
        params = read_params(options.params)
        require_reachable(project_root())  # before work starts, not after it is done
        run(params)
    except ChurnlabError as error:
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        raise SystemExit(2) from None

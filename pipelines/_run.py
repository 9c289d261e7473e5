"""What every stage shares: its --params option, its exit code, and where its files are."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from churnlab.config import Params, read_params
from churnlab.errors import one_line, quotes_data, withheld
from churnlab.operations.provenance import project_root
from churnlab.operations.tracking_store import require_reachable


class Workspace:
    """Every file that the stages write and read, under one root."""

    def __init__(self, root: Path) -> None:
        data, models, reports, outputs = (root / room for room in ("data", "models", "reports", "outputs"))
        self.orders = data / "orders.parquet"
        self.quarantine = data / "quarantine.parquet"
        self.ingest_summary = data / "ingest.json"
        self.customers = data / "customers.parquet"
        self.interactions = data / "interactions.parquet"
        self.contacts = data / "contacts.parquet"
        self.landing = data / "landing"
        self.snapshots = data / "snapshots.parquet"
        self.current = data / "current.parquet"
        self.plan = data / "plan.json"
        self.clv_models = models / "clv.json"
        self.clv_summary = reports / "clv.json"
        self.churn_model = models / "churn"
        self.packaged_model = models / "packaged"
        self.gates = reports / "gates.json"
        self.profile = reports / "profile.json"
        self.profile_page = reports / "profile.html"
        self.measured = reports / "measure.parquet"
        self.measured_summary = reports / "measure.json"
        self.metrics = reports / "metrics.json"
        self.backtest = reports / "backtest.parquet"
        self.comparison = reports / "comparison.parquet"
        self.plots = reports / "plots"
        self.registration = reports / "registration.json"
        self.plan_summary = reports / "plan.json"
        self.profit = reports / "profit.parquet"
        self.profit_definitions = reports / "profit_definitions.parquet"
        self.profit_summary = reports / "profit.json"
        self.profit_plot = reports / "profit.csv"
        self.manifest = reports / "manifest.json"
        self.scores = outputs / "scores.parquet"
        self.priority_list = outputs / "priority_list.parquet"
        self.potential = outputs / "potential.parquet"
        self.loyalty = outputs / "loyalty.parquet"
        self.loyalty_summary = reports / "loyalty.json"
        self.messages = outputs / "messages.jsonl"
        self.sent = outputs / "sent"
        self.verdicts = outputs / "verdicts.parquet"
        self.key_figures = reports / "key_figures.json"
        self.key_figures_table = outputs / "key_figures.parquet"
        self.retention_cohorts = outputs / "retention_cohorts.parquet"
        self.report = outputs / "report.html"

    @classmethod
    def of(cls, params: Params) -> Workspace:
        """The workspace that the parameters name."""
        return cls(Path(params.workspace).expanduser())


def main(run: Callable[[Params], None], arguments: list[str] | None = None) -> None:
    """Run a stage from the command line: a mistake the user can mend is one line and exit code 2.

    A defect is a traceback and exit code 1; where its message may quote rows, it is withheld from the log.

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
    except Exception as error:
        line = one_line(error)
        if line is not None:
            sys.stderr.write(f"{line}\n")
            raise SystemExit(2) from None
        if not quotes_data(error):
            raise
        sys.stderr.write(withheld(error))
        raise SystemExit(1) from None

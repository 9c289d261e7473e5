"""The logs, parameters and the model that the benchmarks of speed share, each made once and kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import ibis.expr.types as ir

from _logs import LINES_PER_ORDER, Recipe, write_log
from _measure import Usage, churnlab
from _tasks import PARAMS
from churnlab.config import Columns, Params, read_params
from churnlab.engine import write_text
from churnlab.features.plan import LearningPlan
from churnlab.features.spec import FeatureSpec
from churnlab.pipelines._files import read_json
from churnlab.pipelines._run import Workspace
from churnlab.pipelines.register import package

LINES_PER_CUSTOMER = 22
TRAINING = ("features", "train-clv", "train-churn")
COLUMNS = Columns(
    customer_id="customer_id", ts="ts", amount="amount", order_id="order_id", product_id="product_id"
)


@dataclass(frozen=True)
class Bench:
    """How large the logs are, how often things are timed, and where what is made is kept.

    Attributes
    ----------
    lines
        Lines of the log, about: whole customers are made.
    repeats
        Turns of every comparison.
    folder
        Logs, workspaces and models.
    model_customers
        Customers of the log that the model is trained on.
    """

    lines: int
    repeats: int
    folder: Path
    model_customers: int = 50_000

    @property
    def customers(self) -> int:
        """Customers of the log."""
        return max(self.lines // LINES_PER_CUSTOMER, 100)

    def log(self, customers: int) -> Path:
        """The lines of so many customers, written where they are not there yet."""
        recipe = Recipe(customers)
        named = json.dumps([asdict(recipe), LINES_PER_ORDER], sort_keys=True)
        folder = self.folder / f"{customers}-{hashlib.sha256(named.encode()).hexdigest()[:12]}"
        if not (folder / "truth.parquet").exists() or not (folder / "lines.parquet").exists():
            write_log(recipe, folder)
        return folder / "lines.parquet"

    def params(self, customers: int) -> tuple[Params, Path]:
        """params.yaml as shipped with this log and a workspace beside it; and the file that says so."""
        log = self.log(customers)
        shipped = read_params(PARAMS)
        data = shipped.data.model_copy(update={"dataset": None, "path": str(log), "columns": COLUMNS})
        params = shipped.model_copy(update={"data": data, "workspace": str(log.parent / "workspace")})
        path = log.parent / "params.yaml"
        write_text(json.dumps(params.model_dump(mode="json"), indent=1), path)  # JSON is YAML too
        return params, path

    def threaded(self, customers: int, threads: int) -> Path:
        """The same parameters with so many threads, in a file beside."""
        params, path = self.params(customers)
        found = params.model_dump(mode="json")
        for section in ("engine", "churn"):
            found[section]["threads"] = threads
        other = path.with_name(f"params-{threads}.yaml")
        write_text(json.dumps(found, indent=1), other)
        return other

    def train(self, customers: int) -> dict[str, Usage]:
        """Stage to what it took, from lines to fitted learners, by churnlab's own commands."""
        _, path = self.params(customers)
        return {stage: churnlab(stage, "--params", str(path)) for stage in ("ingest", *TRAINING)}

    def model(self) -> Path:
        """The folder of a model trained on the sample log."""
        params, _ = self.params(self.model_customers)
        work = Workspace.of(params)
        if not (work.packaged_model / "scorer.json").exists():
            self.train(self.model_customers)
            package(params, work)
        return work.packaged_model


def plan_of(model: Path) -> LearningPlan:
    """What the model learned from."""
    return LearningPlan.from_dict(read_json(model / "scorer.json")["plan"])


def as_orders(lines: ir.Table) -> ir.Table:
    """Lines as orders of one line each: what lifetimes takes them for."""
    return lines.mutate(day=lines.ts.date(), gross=lines.amount, returned=0.0, is_purchase=True)


def full_spec(params: Params, history_days: int) -> FeatureSpec:
    """All columns that a log of customer, moment and amount supports."""
    return FeatureSpec(
        windows_days=tuple(w for w in sorted(params.features.windows_days) if w <= history_days),
        half_lives_days=params.features.half_lives_days,
        horizon_days=params.features.horizon_days,
        history_days=history_days,
    )


def last_day(customers: int) -> date:
    """The last day of the log of so many customers."""
    return Recipe(customers).last_day

"""DVC stage `report`: one self-contained page, and the first rows of the list on a terminal."""

from __future__ import annotations

import sys

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandas.api.types import is_numeric_dtype
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from churnlab.config import Params
from churnlab.decisions.customer_types import styles_not_assigned
from churnlab.decisions.key_figures import key_figures
from churnlab.engine import connect, read_parquet, write_text
from churnlab.features.gates import Gate, sentences
from churnlab.models.scorer import Scorer
from churnlab.pipelines._figures import measured, write_figures
from churnlab.pipelines._files import ingested, read_json
from churnlab.pipelines._record import figures
from churnlab.pipelines._run import Workspace, main
from churnlab.report.formats import shown
from churnlab.report.page import ReportContext, render
from churnlab.report.tables import risk_value

SHOWN = {
    "rank": "priority_rank",
    "customer": "customer_id",
    "action": "action",
    "channel": "channel",
    "net benefit": "expected_net_benefit",
    "at stake": "value_at_stake",
    "group": "group",
}
SHOWN_ROWS, MOST_VALUABLE = 10, 20
# Columns of the scores that are counted over everybody; of the most valuable, all are read.
COUNTED = ("customer_id", "churn_probability", "p_alive", "clv", "risk_label", "value_label")


def run(params: Params) -> None:
    """Everything written so far → outputs/report.html, and the shop's figures as tables and JSON."""
    work = Workspace.of(params)
    found, scorer = ingested(work), Scorer.load(work.packaged_model)
    scores, plan = read_parquet(work.scores, COUNTED), read_parquet(work.priority_list)
    best = most_valuable(scores, work)
    con = connect(params.engine)
    orders = con.read_parquet(work.orders)
    shop = measured(con, work, found.first_day, found.as_of)
    write_figures(shop, work.key_figures_table, work.retention_cohorts, work.key_figures)
    summary = {name.removeprefix("rows_"): value for name, value in found.summary.items()}
    context = ReportContext(
        title=params.report.title,
        currency_symbol=params.report.currency_symbol,
        as_of=found.as_of,
        horizon_days=params.features.horizon_days,
        data_summary={**summary, "reasons": found.summary["quarantined_by_reason"]},
        key_figures=[key_figures(orders, found.as_of, days) for days in (365, None)],
        shop=shop,
        profit=read_parquet(work.profit),
        definitions=read_parquet(work.profit_definitions),
        risk_value=risk_value(scores),
        scores=best,
        not_assigned=tuple(styles_not_assigned(scorer.plan.spec).values()),
        metrics=read_parquet(work.comparison),
        figures={name.replace("_", "-"): figure for name, figure in figures(work).items()},
        priority_list=plan,
        potential=decisions_on_potential(work),
        top_rows=params.report.top_rows,
        notes=[*found.summary["cautions"], *notes(work, scorer)],
        provenance={name: str(best[name].iloc[0]) for name in ("model_version", "run_id", "data_version")},
    )
    write_text(render(context), work.report)
    show(plan, work)


def decisions_on_potential(work: Workspace) -> dict[str, int]:
    """How many people who signed up and never bought get which decision."""
    found = read_parquet(work.potential, ["decision"])["decision"].value_counts()
    return {str(decision): int(count) for decision, count in found.items()}


def most_valuable(scores: pd.DataFrame, work: Workspace) -> pd.DataFrame:
    """The whole rows of the customers with the highest clv, highest first."""
    best = scores.nlargest(MOST_VALUABLE, "clv")[["customer_id"]]
    asked_for = pc.field("customer_id").isin(pa.array(best["customer_id"], pa.string()))
    return best.merge(read_parquet(work.scores, rows=asked_for), on="customer_id", validate="one_to_one")


def notes(work: Workspace, scorer: Scorer) -> list[str]:
    """Reservations of the data, of the model and of its promotion."""
    registered = read_json(work.registration)
    thin = [Gate(**gate) for gate in read_json(work.gates)["gates"]]
    # what was not fitted at all, the model's own notes tell
    kept = [*sentences([gate for gate in thin if gate.fitted]), *scorer.notes]
    if not registered["beats_baselines"]:
        found = "; ".join(registered["findings"])
        kept.append(f"In the backtest this model did not beat every baseline: {found}")
    return kept


def show(plan: pd.DataFrame, work: Workspace) -> None:
    """Where the list and the page are; on a terminal, the list's first ten rows.

    What is not a terminal may be a log, and logs hold no ids.
    """
    console = Console(highlight=False)
    if sys.stdout.isatty():
        console.print(first_rows(plan))
    console.print(f"Priority list: {work.priority_list} (and .csv)", soft_wrap=True, markup=False)
    console.print(f"Report:        {work.report}", soft_wrap=True, markup=False)


def first_rows(plan: pd.DataFrame) -> Table:
    """The top of the list for the eye."""
    table = Table(
        title=f"The list, from the top of {len(plan)} customers", title_justify="left", box=SIMPLE_HEAD
    )
    for title, name in SHOWN.items():
        table.add_column(title, justify="right" if is_numeric_dtype(plan[name]) else "left", no_wrap=True)
    for row in plan.head(SHOWN_ROWS)[list(SHOWN.values())].itertuples(index=False):
        table.add_row(
            *(f"{cell:,.2f}" if isinstance(cell, float) else escape(shown(str(cell))) for cell in row)
        )
    return table


if __name__ == "__main__":
    main(run)

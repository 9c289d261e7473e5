"""DVC stage `prioritise`: the contacts worth making, best first, within the budget."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from churnlab.config import Decisions, Params
from churnlab.decisions.contact_rules import barred, without_consent_column
from churnlab.decisions.messages import Messages
from churnlab.decisions.potential import counts
from churnlab.decisions.priority import SCORE_COLUMNS, priority_plan
from churnlab.decisions.save_rates import with_own_rates
from churnlab.decisions.sensitivity import sensitivities
from churnlab.engine import connect, read_parquet, write_parquet
from churnlab.features.contact_facts import channels_with_consent, contact_facts
from churnlab.features.signals import Signals
from churnlab.models.uplift import Response
from churnlab.operations import tracking
from churnlab.operations.message_files import read_messages, write_messages
from churnlab.operations.provenance import project_root
from churnlab.operations.recording import record_execution, run_key
from churnlab.operations.save_rates_file import in_force, responses_in_force
from churnlab.operations.sinks.csv_files import write_csv
from churnlab.pipelines._files import ingested, read_json, write_json
from churnlab.pipelines._potential import write_potential
from churnlab.pipelines._profit import write_profit
from churnlab.pipelines._record import execution_files, plots_page
from churnlab.pipelines._run import Workspace, main


def run(params: Params) -> None:
    """outputs/scores.parquet → list (Parquet, CSV), potential customers, messages, verdicts, plan."""
    work, assumed = Workspace.of(params), params.decisions
    params, responses = in_force(params), responses_in_force(params)
    messages = read_messages(params.decisions)
    scores = scores_in(work, responses)
    facts, asked = facts_in(work, params)
    closed = barred(scores, facts, params.decisions, params.clv.margin, ingested(work).as_of)
    made = priority_plan(scores, params.decisions, reasons_in(work), closed)
    plan = made.contacts
    write_parquet(plan, work.priority_list)
    write_csv(plan, work.priority_list.with_suffix(".csv"))
    write_parquet(made.verdicts, work.verdicts)
    treated = plan[plan["group"] == "treated"]
    newcomers, spoken = write_potential(params, work, treated[["customer_id", "channel", "cost"]])
    write_messages(written(messages, treated, facts, spoken, params, work), work.messages)
    summary = {
        "contacts": len(treated),
        "held_out": len(plan) - len(treated),
        "cost": round(float(treated["cost"].sum()), 2),
        "expected_net_benefit": round(float(treated["expected_net_benefit"].sum()), 2),
        "gap": round(made.choice.gap, 6),
    }
    further: dict[str, Any] = {f"price.{name}": round(x, 6) for name, x in made.choice.prices.items()}
    further["method"] = made.choice.method
    further["by_action"] = totals(plan)
    further["left_out"] = left_out(made.verdicts)
    if made.choice.missed:
        further["missed"] = made.choice.missed
    further["sensitivity"] = other_assumptions(scores, params.decisions, treated, closed)
    if found := counts(newcomers):
        further["potential"] = found
    if unasked := without_consent_column(asked, params.decisions):
        further["consent_not_known"] = unasked
    if learned := learned_rates(assumed, params.decisions, responses):
        further["learned_save_rates"] = learned
    if responses:
        further["own_save_rates"] = sorted(responses)
    write_json({**summary, **further}, work.plan_summary)
    tracked = {f"plan.{name}": float(value) for name, value in summary.items()} | write_profit(params, work)
    track(params, work, tracked)


def scores_in(work: Workspace, responses: Mapping[str, Response]) -> pd.DataFrame:
    """What the list rests on, with each customer's own save rates."""
    read = {name for response in responses.values() for name in response.features}
    scores = read_parquet(work.scores, [*SCORE_COLUMNS, "expected_order_value", *read])
    return with_own_rates(scores, responses)


def facts_in(work: Workspace, params: Params) -> tuple[pd.DataFrame, set[str]]:
    """What the rules of contact ask of every customer, and the channels with a column of consents."""
    settings, con = params.decisions, connect(params.engine)
    signals = Signals.read(con, work.customers, work.interactions, work.contacts)
    facts = contact_facts(
        con.read_parquet(work.orders),
        signals,
        as_of=ingested(work).as_of,
        window_days=settings.contact_rules.window_days,
        top_customers=settings.discount_policy.top_customers,
        discounts=[name for name, contact in settings.actions.items() if contact.offer == "discount"],
    )
    return facts.to_pandas(), channels_with_consent(signals)


def written(
    messages: Messages,
    treated: pd.DataFrame,
    facts: pd.DataFrame,
    newcomers: pd.DataFrame,
    params: Params,
    work: Workspace,
) -> Iterator[dict[str, Any]]:
    """The messages to the customers whom the plan treats, in the order of the list, then to newcomers."""
    told = ["customer_id", "days_since_last_order", "expected_next_order_date"]
    scores = read_parquet(work.scores, told, among(treated["customer_id"]))
    people = treated.merge(scores, on="customer_id", validate="one_to_one")
    people = people.merge(facts[["customer_id", "language"]], on="customer_id", validate="one_to_one")
    for those in (people, newcomers):
        yield from messages.written(those, params.decisions.actions, params.report.title)


def totals(plan: pd.DataFrame) -> dict[str, dict[str, float]]:
    """What each action on the list comes to; the channel is that of its contacts."""
    told: dict[str, dict[str, Any]] = {}
    for (action, channel), rows in plan.groupby(["action", "channel"], sort=True):
        treated = rows[rows["group"] == "treated"]
        told[str(action)] = {
            "channel": channel,
            "contacts": len(treated),
            "held_out": len(rows) - len(treated),
            "cost": round(float(treated["cost"].sum()), 2),
            "expected_net_benefit": round(float(treated["expected_net_benefit"].sum()), 2),
        }
    return told


def left_out(verdicts: pd.DataFrame) -> dict[str, int]:
    """How many scored customers are not on the list, by reason."""
    counts = verdicts.loc[verdicts["decision"] == "left_out", "reason"].value_counts()
    return {str(reason): int(count) for reason, count in sorted(counts.items()) if count}


def other_assumptions(
    scores: pd.DataFrame, settings: Decisions, treated: pd.DataFrame, closed: np.ndarray
) -> dict[str, dict[str, float]]:
    """What would be different, by assumption and factor."""
    return {
        f"{one.assumption} x {one.factor}": {
            "kept_on_list": round(one.kept_on_list, 6),
            "kept_action": round(one.kept_action, 6),
            "best_benefit": round(one.best_benefit, 2),
            "present_benefit": round(one.present_benefit, 2),
        }
        for one in sensitivities(scores, settings, treated[["customer_id", "action"]], closed)
    }


def learned_rates(assumed: Decisions, used: Decisions, responses: Mapping[str, Response]) -> dict[str, float]:
    """Save rates that are not the assumed ones, by action; on stdout too, where a file names them."""
    rates = {name: contact.save_rate for name, contact in used.actions.items()}
    learned = {name: rate for name, rate in rates.items() if rate != assumed.actions[name].save_rate}
    if assumed.learned_effects is not None:
        told = (
            f"{name} {rate:.1%} {'learned' if name in learned else 'assumed'}"
            f"{', by customer' if name in responses else ''}"
            for name, rate in rates.items()
        )
        sys.stdout.write(f"Save rates: {', '.join(told)}\n")
    return learned


def reasons_in(work: Workspace) -> Callable[[pd.Series], pd.DataFrame]:
    """Reads the reasons of single customers from the scores."""

    def reasons(customer_id: pd.Series) -> pd.DataFrame:
        return read_parquet(work.scores, ["customer_id", "reasons"], among(customer_id))

    return reasons


def among(customer_id: pd.Series) -> pc.Expression:
    """The rows of these customers."""
    return pc.field("customer_id").isin(pa.array(customer_id, pa.string()))


def track(params: Params, work: Workspace, metrics: dict[str, float]) -> None:
    """Add the plan and its profit to this execution's run; a run of its own where only decisions changed."""
    root, registered = project_root(), read_json(work.registration)
    identity = {name: registered[name] for name in ("data_version", "model_digest", "training_id")}
    run_id = tracking.find_run(root, params.registry.experiment, run_key(params, identity["training_id"]))
    if run_id is None:
        measured = read_json(work.metrics), read_parquet(work.comparison)
        run_id = record_execution(root, params, *measured, identity, execution_files(work), plots_page(work))
    tracking.add_to_run(root, run_id, metrics)


if __name__ == "__main__":
    main(run)

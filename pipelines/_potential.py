"""People who signed up and never bought: whom of them to contact with what the list leaves over."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from churnlab.config import Params
from churnlab.decisions.contact_rules import barred
from churnlab.decisions.potential import POTENTIAL_TYPES, as_scored, potential_plan
from churnlab.engine import connect, read_parquet, write_parquet
from churnlab.features.contact_facts import told_by_signals
from churnlab.features.sign_ups import sign_ups
from churnlab.features.signals import Signals
from churnlab.pipelines._files import ingested
from churnlab.pipelines._run import Workspace


def write_potential(
    params: Params, work: Workspace, treated: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """outputs/potential.parquet, without a row where nobody has only signed up.

    Parameters
    ----------
    treated
        The customers whom the list contacts: customer_id, channel, cost (money).

    Returns
    -------
    DataFrame
        The plan: columns of :data:`churnlab.decisions.potential.POTENTIAL_TYPES`.
    DataFrame
        Those to write a message to: customer_id, action, channel, language; no day of a last or next order.
    """
    people = people_in(work, params)
    plan = pd.DataFrame(columns=POTENTIAL_TYPES.names)
    if len(people):
        told = ["customer_id", "lifecycle_type", "buying_style", "expected_order_value"]
        scores = read_parquet(work.scores, told)
        listed = treated.merge(scores, on="customer_id", validate="one_to_one")
        asked = as_scored(people, float(scores["expected_order_value"].median()))
        closed = barred(asked, people, params.decisions, params.clv.margin, ingested(work).as_of)
        plan = potential_plan(people, closed, params.decisions, listed)
    write_parquet(pa.Table.from_pandas(plan, POTENTIAL_TYPES, preserve_index=False), work.potential)
    spoken = plan.loc[plan["decision"] == "treated", ["customer_id", "action", "channel"]]
    if len(spoken):
        spoken = spoken.merge(people[["customer_id", "language"]], on="customer_id", validate="one_to_one")
    return plan, spoken.assign(days_since_last_order=None, expected_next_order_date=None)


def people_in(work: Workspace, params: Params) -> pd.DataFrame:
    """Who has only signed up, and what the rules of contact ask of them; empty without a customers table."""
    con, settings = connect(params.engine), params.decisions
    signals = Signals.read(con, work.customers, work.interactions, work.contacts)
    if signals.customers is None:
        return pd.DataFrame()
    day = ingested(work).as_of
    people = sign_ups(con.read_parquet(work.orders), signals.customers, day)
    discounts = [name for name, contact in settings.actions.items() if contact.offer == "discount"]
    window = settings.contact_rules.window_days
    told = told_by_signals(people, signals, as_of=day, window_days=window, discounts=discounts)
    return told.to_pandas()

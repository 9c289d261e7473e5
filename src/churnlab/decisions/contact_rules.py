"""Which actions are closed to which customers, and by which rule of playbook, contacts or discounts."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from churnlab.config import Contact, ContactRules, Decisions, DiscountPolicy
from churnlab.decisions.bars import Bar
from churnlab.errors import DataError

LABELS = ("lifecycle_type", "buying_style", "risk_label", "value_label")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def barred(
    scores: pd.DataFrame, facts: pd.DataFrame, settings: Decisions, margin: float, as_of: date
) -> np.ndarray:
    """The first rule that closes each action to each customer, asked in the order of :class:`Bar`.

    Parameters
    ----------
    scores
        customer_id, lifecycle_type, buying_style, risk_label, value_label, expected_order_value (money); one
        row per customer.
    facts
        Columns of :func:`churnlab.features.contact_facts.contact_facts`, at least one row for every customer
        of `scores`, in any order.
    settings
        Actions, contact_rules, discount_policy.
    margin
        Share of an order's amount that is profit.
    as_of
        The day of the list, which may be a quiet one.

    Returns
    -------
    ndarray
        int8, (customers in the order of `scores`, actions in the order of `settings.actions`): a
        :class:`Bar`, 0 where the action is open.

    Raises
    ------
    DataError
        Facts of a customer are not there or are there twice.
    """
    told = _aligned(scores, facts)
    closed = np.zeros((len(scores), len(settings.actions)), dtype=np.int8)
    for place, contact in enumerate(settings.actions.values()):
        answers = _answers(scores, told, contact, settings, margin, is_quiet(as_of, settings.contact_rules))
        for bar in sorted(answers, reverse=True):
            closed[answers[bar], place] = bar
    return closed


def not_for_them(scores: pd.DataFrame, settings: Decisions) -> np.ndarray:
    """The part of :func:`barred` that rests on types and labels alone, which change slowly.

    Who is a top customer of the year is not known here: an action for them alone is closed.

    Parameters
    ----------
    scores
        lifecycle_type, buying_style, risk_label, value_label.
    """
    nobody = np.zeros(len(scores), dtype=bool)
    closed = [~_is_for(scores, contact, nobody) for contact in settings.actions.values()]
    return np.column_stack(closed).astype(np.int8) * np.int8(Bar.NOT_FOR_THEM)


def is_quiet(day: date, rules: ContactRules) -> bool:
    """Whether nobody is contacted on the day."""
    return WEEKDAYS[day.weekday()] in rules.quiet_weekdays or any(
        first <= day <= last for first, last in rules.quiet_dates
    )


def without_consent_column(channels: set[str], settings: Decisions) -> list[str]:
    """Channels of actions on which consent is not known for want of a column."""
    return sorted({contact.channel for contact in settings.actions.values()} - channels)


def _aligned(scores: pd.DataFrame, facts: pd.DataFrame) -> pd.DataFrame:
    known = facts.set_index("customer_id")
    if known.index.has_duplicates:
        raise DataError("facts of contacts: a customer has two rows: run the stage ingest again")
    place = known.index.get_indexer(pd.Index(scores["customer_id"]))
    missing = int((place < 0).sum())
    if missing:
        raise DataError(
            f"orders: {missing} scored customers have no order: run the stages ingest and score again"
        )
    return known.iloc[place].reset_index(drop=True)


def _answers(
    scores: pd.DataFrame,
    facts: pd.DataFrame,
    contact: Contact,
    settings: Decisions,
    margin: float,
    quiet: bool,
) -> dict[Bar, np.ndarray]:
    """Who is barred from one action, by rule."""
    rules, is_sales = settings.contact_rules, contact.purpose == "sales"
    answers = {
        Bar.OPTED_OUT: _is(facts, "opted_out", True),
        Bar.NO_CONSENT: _no_consent(facts, contact.channel, rules),
        Bar.QUIET_TIME: np.full(len(facts), quiet),
        Bar.RESTING: _number(facts, "days_since_last_contact") < rules.rest_days,
        Bar.FREQUENCY_CAP: _number(facts, "contacts_in_window") >= rules.max_contacts,
        Bar.NOT_FOR_THEM: ~_is_for(scores, contact, _is(facts, "is_top_of_year", True)),
    }
    if is_sales:
        answers[Bar.OPEN_COMPLAINT] = _is(facts, "has_open_complaint", True)
    if contact.offer == "discount":
        lately = _number(facts, "days_since_last_discount") < settings.discount_policy.rest_days
        answers |= {
            Bar.NOT_SELECTED: ~_is_selected(facts, settings.discount_policy),
            Bar.DISCOUNT_LATELY: lately,
        }
    if is_sales and contact.offer != "none":
        profit = margin * scores["expected_order_value"].to_numpy(float)
        answers[Bar.BELOW_MARGIN] = ~(contact.incentive_cost <= profit)
    return answers


def _is_selected(facts: pd.DataFrame, policy: DiscountPolicy) -> np.ndarray:
    """Who is known to meet every criterion that is set."""
    meets = _number(facts, "orders") >= policy.min_orders
    meets &= _number(facts, "tenure_days") >= policy.min_tenure_days
    if policy.largest_late_share is not None:
        meets &= _number(facts, "paid_late_share") <= policy.largest_late_share
    if policy.min_referrals is not None:
        meets &= _number(facts, "referrals") >= policy.min_referrals
    return meets


def _no_consent(facts: pd.DataFrame, channel: str, rules: ContactRules) -> np.ndarray:
    """By require_consent: false: only who refused; known: who did not agree, where there is a column."""
    name = f"consent_{channel}"
    if name not in facts:
        return np.full(len(facts), rules.require_consent is True)
    if rules.require_consent is False:
        return _is(facts, name, False)
    return ~_is(facts, name, True)


def _is_for(scores: pd.DataFrame, contact: Contact, is_top: np.ndarray) -> np.ndarray:
    """Sales messages are never for dissatisfied customers."""
    fits = np.ones(len(scores), dtype=bool)
    for name in LABELS:
        wanted = getattr(contact.audience, name)
        if wanted is not None:
            fits &= scores[name].isin(wanted).to_numpy(bool)
    if contact.purpose == "sales" and "lifecycle_type" in scores:
        fits &= (scores["lifecycle_type"] != "dissatisfied").to_numpy(bool)
    return fits & is_top if contact.audience.top_of_year else fits


def _is(facts: pd.DataFrame, name: str, value: bool) -> np.ndarray:
    """Null is neither."""
    return facts[name].astype("boolean").eq(value).fillna(False).to_numpy(bool)


def _number(facts: pd.DataFrame, name: str) -> np.ndarray:
    """Null is no number, and no rule applies to it."""
    return facts[name].to_numpy(float, na_value=np.nan)

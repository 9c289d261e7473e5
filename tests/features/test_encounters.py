"""Authority: complaints, answers and contacts of three customers worked out by hand."""

from dataclasses import replace
from datetime import date

import pandas as pd
import pytest

from churnlab.features.encounters import contacts_hold, interactions_hold
from churnlab.features.snapshots import snapshot
from churnlab.features.spec import FeatureSpec

CUTOFF = date(2024, 3, 31)
NAN = float("nan")
SPEC = FeatureSpec(
    windows_days=(7, 14),
    half_lives_days=(20,),
    horizon_days=30,
    history_days=400,
    has_complaints=True,
    has_tickets=True,
    has_csat=True,
    has_nps=True,
    has_intent=True,
    has_wishes=True,
    has_response=True,
    has_resolution=True,
    has_contacts=True,
    interaction_days=400,
    contact_days=400,
)
ORDERS = [("a", "2024-01-11", 10.0), ("b", "2024-01-12", 10.0), ("c", "2024-01-13", 10.0)]

# customer, ts, kind, score, responded, resolved
INTERACTIONS = [
    ("a", "2023-04-01 08:00", "complaint", None, None, "2023-04-01 20:00"),  # 365 days old: outside 365d
    ("a", "2023-04-05 09:00", "complaint", None, "2023-04-06 09:00", "2023-04-07 09:00"),  # 361 days old
    ("a", "2024-03-01 10:00", "complaint", None, "2024-03-01 16:30", "2024-04-01 00:00"),  # 30 days old
    ("a", "2024-03-31 23:30", "complaint", None, None, None),
    ("a", "2024-04-01 00:00", "complaint", None, "2024-04-01 00:30", None),  # the future
    ("a", "2024-03-20 08:00", "ticket", None, "2024-04-01 00:00", None),
    ("b", "2023-01-01 00:00", "csat", 0.05, None, None),  # 455 days old
    ("b", "2024-02-01 00:00", "csat", 1.0, None, None),
    ("b", "2024-03-10 12:00", "csat", 0.5, None, None),
    ("b", "2024-03-10 12:00", "csat", 0.75, None, None),
    ("b", "2024-03-20 12:00", "csat", None, None, None),  # asked, not answered
    ("b", "2024-04-01 12:00", "csat", 0.0, None, None),
    ("b", "2023-01-01 00:00", "nps", 2.0, None, None),
    ("b", "2024-03-30 00:00", "nps", 9.0, None, None),
    ("b", "2024-04-01 00:00", "nps", 10.0, None, None),
    ("b", "2023-04-02 00:00", "intent", 1.0, None, None),  # 364 days old
    ("b", "2023-04-01 00:00", "intent", 4.0, None, None),  # 365 days old: outside 365d
    ("b", "2024-03-31 23:59", "intent", 10.0, None, None),
    ("b", "2024-04-01 00:00", "intent", 0.0, None, None),
    ("a", "2024-01-01 00:00", "wish", None, None, None),  # 90 days old: outside 90d
    ("a", "2024-01-02 00:00", "wish", None, None, None),
    ("a", "2024-03-29 23:59", "wish", 7.0, None, None),  # its score is no answer
    ("a", "2024-04-01 00:00", "wish", None, None, None),
    ("b", "2023-06-01 00:00", "wish", None, None, None),
    ("stranger", "2024-03-30 00:00", "complaint", None, None, None),
]
CONTACTS = [
    ("a", "2024-03-31 23:59", "treated"),
    ("a", "2024-03-30 10:00", "control"),
    ("a", "2024-03-02 10:00", "treated"),  # 29 days old
    ("a", "2024-03-01 10:00", "treated"),  # 30 days old
    ("a", "2023-01-01 10:00", "treated"),
    ("a", "2024-04-01 10:00", "treated"),
    ("b", "2024-03-30 10:00", "control"),
]


def interactions(rows: list[tuple]) -> pd.DataFrame:
    names = ["customer_id", "ts", "kind", "score", "responded", "resolved"]
    frame = pd.DataFrame(rows, columns=names)
    return frame.assign(
        **{name: pd.to_datetime(frame[name], format="ISO8601") for name in ("ts", "responded", "resolved")}
    )


def contacts(rows: list[tuple]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["customer_id", "ts", "group"])
    return frame.assign(ts=pd.to_datetime(frame["ts"]))


@pytest.fixture(scope="module")
def described(ledger, told):
    signals = told(interactions=interactions(INTERACTIONS), contacts=contacts(CONTACTS))
    frame = snapshot(ledger(ORDERS), CUTOFF, SPEC, 10.0, signals)
    return frame.set_index("customer_id").to_dict("index")


def same(found: dict, expected: dict) -> None:
    assert {k: found[k] for k in expected} == pytest.approx(expected, rel=1e-12, nan_ok=True)


def test_complaints_and_tickets(described):
    """Resolved after the cutoff is not resolved yet; a window of 30 days holds ages 0 to 29."""
    same(
        described["a"],
        {
            "complaints_30d": 1.0,
            "complaints_90d": 2.0,
            "complaints_365d": 3.0,
            "complaint_open": 2.0,
            "days_since_last_complaint": 0.0,
            "tickets_30d": 1.0,
            "tickets_90d": 1.0,
            "tickets_365d": 1.0,
        },
    )


def test_hours_to_answers_that_are_known(described):
    """Responses after 6.5 and 24 hours, resolutions after 48 hours and, over a year ago, after 12."""
    same(
        described["a"],
        {
            "response_hours_mean": 15.25,
            "response_hours_mean_365d": 15.25,
            "resolution_hours_mean": 30.0,
            "resolution_hours_mean_365d": 48.0,
        },
    )


def test_survey_answers(described):
    same(
        described["b"],
        {
            "csat_last": 0.625,
            "csat_mean": 2.3 / 4,
            "csat_mean_365d": 0.75,
            "nps_last": 9.0,
            "nps_mean": 5.5,
            "nps_mean_365d": 9.0,
            "intent_last": 10.0,
            "intent_mean": 5.0,
            "intent_mean_365d": 5.5,
        },
    )


def test_wishes(described):
    """Two of the last 90 days, ages 89 and 2; of b one from 304 days before."""
    same(described["a"], {"wishes_90d": 2.0, "days_since_last_wish": 2.0, "intent_last": NAN})
    same(described["b"], {"wishes_90d": 0.0, "days_since_last_wish": 304.0})
    same(described["c"], {"wishes_90d": 0.0, "days_since_last_wish": NAN, "intent_mean": NAN})


def test_contacts_leave_out_the_control_group(described):
    same(
        described["a"],
        {
            "contacted_30d": 2.0,
            "contacted_90d": 3.0,
            "contacted_365d": 3.0,
            "days_since_last_contact": 0.0,
        },
    )
    same(described["b"], {"contacted_30d": 0.0, "contacted_365d": 0.0, "days_since_last_contact": NAN})


def test_a_customer_without_a_row(described):
    counts = dict.fromkeys(("complaints_365d", "complaint_open", "tickets_30d", "contacted_365d"), 0.0)
    means = ("days_since_last_complaint", "csat_last", "csat_mean_365d", "nps_last", "response_hours_mean")
    same(described["c"], counts | dict.fromkeys((*means, "days_since_last_contact"), NAN))


def test_strangers_get_no_row(described):
    assert list(described) == ["a", "b", "c"]


def test_windows_end_with_the_days_covered(ledger, told):
    """89 days of interactions and 30 of contacts: 90 days and a year are not counted, nor means of a year."""

    spec = replace(SPEC, interaction_days=89, contact_days=30)
    signals = told(interactions=interactions(INTERACTIONS), contacts=contacts(CONTACTS))
    names = snapshot(ledger(ORDERS), CUTOFF, spec, 10.0, signals).columns
    assert [n for n in names if n.startswith(("complaints_", "tickets_", "wishes_", "contacted_"))] == [
        "complaints_30d",
        "tickets_30d",
        "contacted_30d",
    ]
    assert not [
        n for n in names if n.startswith(("csat", "nps", "intent", "resp", "reso")) and n.endswith("365d")
    ]


def test_what_the_tables_hold(told):
    """First rows of 1 January 2023: 456 days up to the cutoff, of which the orders' 200 count."""
    signals = told(interactions=interactions(INTERACTIONS), contacts=contacts(CONTACTS))
    asked = ("has_csat", "has_nps", "has_intent")
    flags = ("has_complaints", "has_tickets", *asked, "has_wishes", "has_response", "has_resolution")
    assert interactions_hold(signals.interactions, CUTOFF, 200) == dict.fromkeys(flags, True) | {
        "interaction_days": 200
    }
    early = interactions_hold(signals.interactions, date(2023, 4, 5), 999)
    assert early == {
        "has_complaints": True,
        "has_tickets": False,
        "has_csat": True,
        "has_nps": True,
        "has_intent": True,
        "has_wishes": False,
        "has_response": False,
        "has_resolution": True,
        "interaction_days": 95,
    }
    nothing = interactions_hold(signals.interactions, date(2022, 12, 31), 999)
    assert nothing == dict.fromkeys(flags, False) | {"interaction_days": 0}
    assert contacts_hold(signals.contacts, CUTOFF, 999) == {"has_contacts": True, "contact_days": 456}
    control = told(contacts=contacts([("b", "2024-03-30", "control")]))
    assert contacts_hold(control.contacts, CUTOFF, 999) == {"has_contacts": False, "contact_days": 0}

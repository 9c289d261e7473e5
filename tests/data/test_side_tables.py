"""Authority: small tables judged by hand."""

from datetime import datetime

import pytest

from churnlab.config import Data, Interactions
from churnlab.data import side_tables
from churnlab.data.ingestion import ingest
from churnlab.data.orders import data_version

ORDERS = [["a", "2024-01-01", "5"], ["b", "2024-01-02", "5"], ["a", "2024-02-01", "5"]]


@pytest.fixture
def shop(con, settings, tmp_path, write_csv):
    """Everything that a shop's tables hold; each optional one as (header, rows, settings)."""

    def run(data=None, **tables):
        path = write_csv(tmp_path / "orders.csv", ["customer_id", "ts", "amount"], ORDERS)
        sections = {}
        for name, (header, rows, said) in tables.items():
            file = write_csv(tmp_path / f"{name}.csv", header, rows)
            sections[name] = {"path": str(file)} | said
        return ingest(con, Data(**settings(path).model_dump() | sections | (data or {})))

    return run


def refused(found, name):
    rows = found.quarantine.to_pyarrow().to_pylist()
    return {row["source_row"]: (row["reason"], row["column"]) for row in rows if row["table"] == name}


def test_without_optional_tables_there_are_none(shop):
    found = shop()
    assert found.summary["tables"] == {}
    for name in ("customers", "interactions", "contacts"):
        assert getattr(found, name).count().execute() == 0
    assert found.interactions.columns == (
        "customer_id", "ts", "kind", "score", "channel", "topic", "responded", "resolved",
    )  # fmt: skip


def test_customers(shop):
    header = ["customer_id", "joined", "mail", "firm", "by", "lang", "at"]
    rows = [
        ["a", "2023-12-01", "yes", "0", "b", "fa", "2023-12-01"],
        ["a", "2023-12-01", "no", "0", "b", "fa", "2024-01-05"],
        ["b", "", "", "1", "", "el", ""],
        ["c", "2023-02-30", "yes", "", "", "", ""],
        ["d", "", "perhaps", "", "", "", ""],
        ["e", "", "yes", "", "", "", ""],
        ["e", "", "no", "", "", "", ""],
        ["f", "", "yes", "", "", "", ""],
        ["f", "", "yes", "", "", "", ""],
    ]
    said = {
        "columns": {
            "signup": "joined",
            "known_from": "at",
            "is_business": "firm",
            "referrer": "by",
            "language": "lang",
            "consent": {"email": "mail"},
        }
    }
    found = shop(customers=(header, rows, said))
    assert refused(found, "customers") == {
        4: ("date_unreadable", "signup"),
        5: ("flag_unreadable", "consent_email"),
        6: ("customer_twice", ""),
        7: ("customer_twice", ""),
    }
    table = found.customers.to_pyarrow().to_pylist()
    assert [row["customer_id"] for row in table] == ["a", "a", "b", "f", "f"]
    assert table[0] == {
        "customer_id": "a",
        "known_from": datetime(2023, 12, 1),
        "signup": datetime(2023, 12, 1),
        "is_business": False,
        "referrer": "b",
        "language": "fa",
        "consent_email": True,
    }
    assert table[2]["is_business"] is True
    assert table[2]["consent_email"] is None


def test_criteria_of_discounts(shop):
    """Columns are there where they are mapped; a share of 5 % may not be written as 5."""
    header = ["customer_id", "late", "brought"]
    rows = [["a", "0.05", "3"], ["b", "", ""], ["c", "5", "1"], ["d", "1", "-1"], ["e", "much", "0"]]
    said = {"columns": {"paid_late_share": "late", "referrals": "brought"}}
    found = shop(customers=(header, rows, said))
    assert refused(found, "customers") == {
        3: ("criterion_out_of_range", "paid_late_share"),
        4: ("criterion_out_of_range", "referrals"),
        5: ("paid_late_share_unreadable", "paid_late_share"),
    }
    table = found.customers.to_pyarrow().to_pylist()
    assert [(row["paid_late_share"], row["referrals"]) for row in table] == [(0.05, 3.0), (None, None)]
    only = shop(customers=(header, rows[:1], {"columns": {"referrals": "brought"}}))
    assert "paid_late_share" not in only.customers.columns
    assert "referrals" not in shop().customers.columns


def test_interactions(shop):
    header = ["customer_id", "ts", "type", "value", "answered", "hours"]
    rows = [
        ["a", "2024-01-03 10:00", "شکایت", "", "2024-01-03 12:30", "48"],
        ["a", "2024-01-04", "CSAT", "5", "", ""],
        ["a", "2024-01-05", "csat", "1", "", ""],
        ["b", "2024-01-06", "nps", "10", "", ""],
        ["b", "2024-01-06", "nps", "11", "", ""],
        ["b", "2024-01-06", "csat", "6", "", ""],
        ["b", "2024-01-06", "csat", "", "", ""],
        ["b", "2024-01-06", "chat", "", "", ""],
        ["b", "2024-01-06", "ticket", "", "2024-01-05", ""],
        ["b", "2024-01-06", "ticket", "", "", "-2"],
        ["b", "2024-01-06", "ticket", "", "", "soon"],
        ["", "2024-01-06", "ticket", "", "", ""],
    ]
    said = {
        "columns": {"kind": "type", "score": "value", "responded": "answered", "resolution_hours": "hours"},
        "kinds": {"complaint": ["شکایت"]},
    }
    found = shop(interactions=(header, rows, said))
    assert refused(found, "interactions") == {
        5: ("score_out_of_range", "score"),
        6: ("score_out_of_range", "score"),
        7: ("score_missing", "score"),
        8: ("kind_unknown", "kind"),
        9: ("ended_before_start", "responded"),
        10: ("ended_before_start", "resolved"),
        11: ("resolution_hours_unreadable", "resolution_hours"),
        12: ("customer_id_missing", "customer_id"),
    }
    first, best, worst, promoter = found.interactions.to_pyarrow().to_pylist()
    assert (first["kind"], first["responded"]) == ("complaint", datetime(2024, 1, 3, 12, 30))
    assert first["resolved"] == datetime(2024, 1, 5, 10)
    assert [row["score"] for row in (best, worst, promoter)] == [1.0, 0.0, 10.0]


def test_contacts(shop):
    header = ["customer_id", "ts", "what", "arm"]
    rows = [
        ["a", "2024-01-03", "call", "A"],
        ["b", "2024-01-03", "call", "Control"],
        ["b", "2024-01-03", "call", "C"],
    ]
    rows.append(["a", "2024-01-04", "call", "ΌΛΟΣ"])  # its small letter at the end is another one
    said = {"columns": {"action": "what", "group": "arm"}, "groups": {"treated": ["a", "όλος"]}}
    found = shop(contacts=(header, rows, said))
    assert refused(found, "contacts") == {3: ("group_unknown", "group")}
    groups = [row["group"] for row in found.contacts.to_pyarrow().to_pylist()]
    assert groups == ["treated", "treated", "control"]
    made = shop(contacts=(header[:3], [row[:3] for row in rows], {"columns": {"action": "what"}}))
    assert {row["group"] for row in made.contacts.to_pyarrow().to_pylist()} == {"treated"}


def test_rows_of_every_table_add_up_and_change_the_data_version(shop):
    plain = shop()
    found = shop(contacts=(["customer_id", "ts"], [["a", "2024-01-03"], ["", "2024-01-03"]], {}))
    told = found.summary["tables"]["contacts"]
    assert (told["rows_read"], told["rows_accepted"], told["rows_quarantined"]) == (2, 1, 1)
    assert told["refused"][0]["first"]["source_row"] == 2
    assert plain.orders.to_pyarrow().equals(found.orders.to_pyarrow())
    assert plain.summary["data_version"] == data_version(plain.orders.to_pyarrow())
    assert found.summary["data_version"] != plain.summary["data_version"]


def test_ids_of_another_spelling_are_told(shop):
    contacts = (["customer_id", "ts"], [["A", "2024-01-03"], ["B", "2024-01-03"], ["a", "2024-01-03"]], {})
    [caution] = shop(contacts=contacts).cautions
    assert caution.startswith("of 3 customers in the table contacts only 1 have an order")


def test_ids_are_spelt_and_hashed_as_those_of_the_orders(shop, monkeypatch):
    monkeypatch.setenv("CHURNLAB_ID_KEY", "k" * 20)
    header = ["customer_id", "by"]
    found = shop(
        {"customer_ids": "text", "privacy": {"hash_ids": True}},
        customers=(header, [[" a ", "b"], ["b", ""]], {"columns": {"referrer": "by"}}),
    )
    known = set(found.orders.customer_id.execute())
    rows = found.customers.to_pyarrow().to_pylist()
    assert {row["customer_id"] for row in rows} == known
    assert {row["referrer"] for row in rows} - {None} <= known
    assert found.cautions == []


def test_every_column_of_a_contract_is_said_in_words():
    for name in ("transactions", "customers", "interactions", "contacts"):
        schema = side_tables.schema_of(name, None)
        assert schema.description
        assert all(column.description for column in schema.columns.values())


def test_a_table_of_which_much_is_refused_is_told(shop):
    rows = [["", "2024-01-03"], *[["a", "2024-01-03"]] * 18]
    found = shop(contacts=(["customer_id", "ts"], rows, {}))
    [caution] = found.cautions
    assert caution.startswith("5% of the 19 lines of contacts are refused, 1 of them as customer_id_missing")
    assert shop(contacts=(["customer_id", "ts"], [*rows, rows[1], rows[1]], {})).cautions == []


@pytest.mark.parametrize(("last", "told"), [("2024-01-03", False), ("2024-01-02", True)])
def test_a_table_that_ends_a_month_before_the_orders_is_told(shop, last, told):
    """The last order is of 1 February."""
    cautions = shop(contacts=(["customer_id", "ts"], [["a", last]], {})).cautions
    expected = (
        f"the table contacts ends on {last} and the orders on 2024-02-01: what happened in between is not "
        "known to the models, so see that its export goes on"
    )
    assert cautions == [expected] * told


def test_a_scale_of_satisfaction_goes_upwards():
    with pytest.raises(ValueError, match="csat_range goes from the worst score to the best"):
        Interactions(path="x.csv", csat_range=(5, 5))


def test_each_table_has_its_own_calendar_and_clock(shop):
    """A shop that writes Persian dates, and a help desk that writes instants."""
    contacts = (
        ["customer_id", "ts"],
        [["a", "1402/10/13 10:00"]],
        {"calendar": "jalali", "source_timezone": "UTC"},
    )
    interactions = (["customer_id", "ts", "kind"], [["a", "2024-01-03", "ticket"]], {})
    found = shop({"timezone": "Asia/Tehran"}, contacts=contacts, interactions=interactions)
    assert found.contacts.ts.execute().tolist() == [datetime(2024, 1, 3, 13, 30)]
    assert found.interactions.ts.execute().tolist() == [datetime(2024, 1, 3)]

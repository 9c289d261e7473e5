"""Authority: the columns that the optional tables' files give a snapshot, by hand."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churnlab.config import Customers, Interactions, Params
from churnlab.engine import write_parquet
from churnlab.pipelines import features, ingest
from churnlab.pipelines._run import Workspace


@pytest.fixture
def ingested(small_log: Any, tmp_path: Path) -> Params:
    params = small_log.params.model_copy(update={"workspace": str(tmp_path)})
    ingest.run(params)
    return params


def contacts(small_log: Any, rows: int) -> pa.Table:
    """c000 was contacted three days before the end of the log, and before that every 50 days."""
    days = [small_log.LAST_DAY - timedelta(days=3 + 50 * k) for k in range(10)][:rows]
    return pa.table(
        {
            "customer_id": pa.array(["c000"] * rows, pa.string()),
            "ts": pa.array(days, pa.date32()).cast(pa.timestamp("us")),
            "action": pa.nulls(rows, pa.string()),
            "channel": pa.nulls(rows, pa.string()),
            "group": pa.array(["treated"] * rows, pa.string()),
        }
    )


def test_a_file_of_contacts_adds_its_columns(ingested: Params, small_log: Any) -> None:
    work = Workspace.of(ingested)
    write_parquet(contacts(small_log, 10), work.contacts)
    features.run(ingested)
    assert json.loads(work.plan.read_text())["spec"]["has_contacts"] is True
    current = pq.read_table(work.current).to_pandas().set_index("customer_id")
    assert list(current.columns[-3:]) == ["contacted_30d", "contacted_90d", "days_since_last_contact"]
    assert current.loc["c000"].tolist()[-3:] == [1.0, 2.0, 3.0]
    assert (current.drop(index="c000")[["contacted_30d", "contacted_90d"]] == 0).all(axis=None)


def test_no_file_and_a_file_without_rows_give_the_same_bytes(ingested: Params, small_log: Any) -> None:
    work = Workspace.of(ingested)
    outs = (work.plan, work.snapshots, work.current)
    work.contacts.unlink(missing_ok=True)
    features.run(ingested)
    without = [path.read_bytes() for path in outs]
    write_parquet(contacts(small_log, 0), work.contacts)
    features.run(ingested)
    assert [path.read_bytes() for path in outs] == without


def test_the_shops_own_tables_reach_the_snapshot(small_log: Any, tmp_path: Path) -> None:
    """A file of customers without history and one of complaints: hours, sign-up, and no consents."""
    first, last = small_log.FIRST_DAY, small_log.LAST_DAY
    people = ["id,joined,email ok", f"c000,{first},yes", f"c001,{last},no"]
    asked = ["id,at,what,hours"]
    asked += [f"c000,{first + timedelta(days=5)},complaint,12", f"c000,{last},Beschwerde,"]
    for name, lines in (("people", people), ("asked", asked)):
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    columns = {"customer_id": "id", "signup": "joined", "consent": {"email": "email ok"}}
    customers = Customers(path=str(tmp_path / "people.csv"), columns=columns)
    columns = {"customer_id": "id", "ts": "at", "kind": "what", "resolution_hours": "hours"}
    kinds = {"complaint": ("Beschwerde",)}
    interactions = Interactions(path=str(tmp_path / "asked.csv"), columns=columns, kinds=kinds)
    data = small_log.params.data.model_copy(update={"customers": customers, "interactions": interactions})
    params = small_log.params.model_copy(update={"workspace": str(tmp_path / "run"), "data": data})
    ingest.run(params)
    features.run(params)
    work = Workspace.of(params)
    current = pq.read_table(work.current).to_pandas().set_index("customer_id")
    found = current.loc["c000"].to_dict()
    days = (last - first).days
    expected = {
        "complaints_30d": 1.0,
        "complaints_90d": 1.0,
        "complaint_open": 1.0,
        "days_since_last_complaint": 0.0,
        "resolution_hours_mean": 12.0,
        "days_since_signup": float(days),
        "days_from_signup_to_first_order": days - found["T"],
    }
    assert {name: found[name] for name in expected} == expected
    assert current.loc["c001", "days_since_signup"] == 0.0
    assert "consents" not in current

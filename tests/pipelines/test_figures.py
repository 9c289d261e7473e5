"""Figures of any period, as files. Authority: the orders of the small log, counted by pandas."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from churnlab.config import Interactions, Params
from churnlab.engine import read_parquet
from churnlab.errors import DataError
from churnlab.pipelines import ingest
from churnlab.pipelines._figures import figures_of, write_figures

START, END = date(2022, 3, 10), date(2022, 8, 31)


@pytest.fixture(scope="module")
def params(small_log: Any, tmp_path_factory: pytest.TempPathFactory) -> Params:
    ready: Params = small_log.params.model_copy(update={"workspace": str(tmp_path_factory.mktemp("shop"))})
    ingest.run(ready)
    return ready


def files(folder: Path) -> list[Path]:
    return [folder / name for name in ("table.parquet", "cohorts.parquet", "figures.json")]


def test_a_period_is_counted_and_written(params: Params, tmp_path: Path) -> None:
    """Two runs write equal bytes; no customer is named in what is written."""
    write_figures(figures_of(params, START, END), *files(tmp_path / "a"))
    write_figures(figures_of(params, START, END), *files(tmp_path / "b"))
    pairs = zip(files(tmp_path / "a"), files(tmp_path / "b"), strict=True)
    assert all(one.read_bytes() == other.read_bytes() for one, other in pairs)
    orders = read_parquet(Path(params.workspace) / "data" / "orders.parquet")
    days = pd.to_datetime(orders["day"])
    period = orders[(days >= pd.Timestamp(START)) & (days <= pd.Timestamp(END))]
    bought = period[period["is_purchase"]]
    told = json.loads((tmp_path / "a" / "figures.json").read_text(encoding="utf-8"))
    whole = told["period"]
    assert (whole["period_start"], whole["period_end"]) == ("2022-03-10", "2022-08-31")
    assert (whole["customers"], whole["orders"]) == (bought["customer_id"].nunique(), len(bought))
    assert whole["revenue"] == pytest.approx(period["amount"].sum())
    assert whole["repeat_customers"] == (bought.groupby("customer_id").size() > 1).sum()
    table = read_parquet(tmp_path / "a" / "table.parquet")
    assert (table["dimension"] == "month").sum() == 6
    assert "customer_id" not in {*table.columns, *read_parquet(tmp_path / "a" / "cohorts.parquet").columns}


def test_interactions_are_told_where_there_are_any(params: Params, tmp_path: Path) -> None:
    """Of a table without rows nothing is told; of complaints of the last day and the day after, one."""
    assert figures_of(params, START, END).satisfaction is None
    told = params.data.model_copy(update={"interactions": Interactions(path=str(tmp_path / "calls.csv"))})
    (tmp_path / "calls.csv").write_text(
        f"customer_id,ts,kind\nc001,{END},complaint\nc002,{END + timedelta(days=1)},complaint\n"
    )
    ready = params.model_copy(update={"workspace": str(tmp_path), "data": told})
    ingest.run(ready)
    write_figures(figures_of(ready, START, END), *files(tmp_path))
    (month,) = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))["satisfaction"]["months"]
    assert (month["month"], month["complaints"], month["complaints_open"]) == ("2022-08", 1, 1)


@pytest.mark.parametrize(
    ("start", "end", "finding"),
    [
        (END, START, "is after"),
        (date(2030, 1, 1), None, "reaches beyond the data"),
        (None, date(2030, 1, 1), "reaches beyond the data"),
        (date(2000, 1, 1), None, "reaches beyond the data"),
    ],
)
def test_a_period_that_cannot_be_is_one_line(
    params: Params, start: date | None, end: date | None, finding: str
) -> None:
    with pytest.raises(DataError, match=finding) as raised:
        figures_of(params, start, end)
    assert "\n" not in str(raised.value)


def test_without_orders_the_line_says_what_to_run(params: Params, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not there: run"):
        figures_of(params.model_copy(update={"workspace": str(tmp_path)}), None, None)

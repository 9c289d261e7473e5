"""`churnlab backtest` on a small shop. Authority: the raw log, scikit-learn, and a log cut at the cutoff."""

from __future__ import annotations

import re
from contextlib import redirect_stderr, redirect_stdout
from datetime import date, timedelta
from io import StringIO

import ibis
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from churnlab.config import Contacts, Params
from churnlab.errors import DataError
from churnlab.evaluation.backtest import backtest
from churnlab.features.signals import Signals
from churnlab.operations import backtesting
from churnlab.operations.backtesting import backtest_source

COLUMNS = [
    "customer_id",
    "churn_probability",
    "expected_purchases",
    "expected_spend",
    "expected_spend_low",
    "expected_spend_high",
    "p_alive",
    "clv",
]
HORIZON = 45


@pytest.fixture(scope="module")
def params(small_log) -> Params:
    """Without trees, which these tests are not about."""
    churn = small_log.params.churn.model_copy(update={"members": ("linear",)})
    return small_log.params.model_copy(update={"churn": churn})


@pytest.fixture(scope="module")
def cutoff(small_log) -> date:
    return small_log.FIRST_DAY + timedelta(days=400)


@pytest.fixture(scope="module")
def forecasts(params, cutoff, tmp_path_factory):
    """The table, and what was printed to stdout and stderr."""
    out, err = StringIO(), StringIO()
    file = tmp_path_factory.mktemp("backtest") / "new" / "forecasts.parquet"
    with redirect_stdout(out), redirect_stderr(err):
        backtest_source(params, [cutoff], HORIZON, file)
    return pd.read_parquet(file), out.getvalue(), err.getvalue()


def test_forecasts_and_metrics(forecasts, small_log, cutoff):
    """One row per customer with a purchase by the cutoff; the AUC shown is scikit-learn's on the raw log."""
    table, printed, err = forecasts
    bought = small_log.frame[small_log.frame["amount"] >= 0]
    known = bought.loc[bought["ts"] <= cutoff, "customer_id"]
    assert list(table.columns) == COLUMNS
    assert table["customer_id"].to_list() == sorted(known.unique())
    assert np.isfinite(table[COLUMNS[1:]].to_numpy()).all()
    later = bought[(bought["ts"] > cutoff) & (bought["ts"] <= cutoff + timedelta(days=HORIZON))]
    churned = ~table["customer_id"].isin(later["customer_id"])
    line = next(row for row in printed.splitlines() if "churn roc_auc" in row)
    figures = [float(text) for text in re.findall(r"\d\.\d{4}", line)]
    assert figures[0] == pytest.approx(roc_auc_score(churned, table["churn_probability"]), abs=5e-5)
    for method in ("churnlab", "btyd_bgnbd", "historical_rate", "days_since_last_order"):
        assert method in printed
    assert all(line.startswith(f"{cutoff}: ") for line in err.splitlines())
    assert f"the log does not show these {HORIZON} days a year before" in err


def test_the_profit_of_the_list_is_printed_beside_the_rules(forecasts, params):
    """Nobody costs and brings nothing, so the list is ahead of nobody by all that it brought."""
    lines = forecasts[1].partition(", profit")[2].splitlines()
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    found = {row[0]: row[1:] for row in cells}
    number = {name: [float(text.replace(",", "")) for text in row[1:5]] for name, row in found.items()}
    contacts, cost, _, realised = number["the list"]
    assert 0 < contacts <= params.decisions.max_contacts
    assert 0 < cost <= params.decisions.budget * (1 + 1e-9)
    assert number["nobody"] == [0, 0, 0, 0]
    assert float(found["nobody"][5].replace(",", "")) == realised
    assert found["the list"][5:] == ["", ""]
    assert {"risk times value", "longest silent", "everyone", "random"} < set(found)


def test_nothing_after_the_cutoff_is_used(forecasts, params, small_log, cutoff, tmp_path, capsys):
    """A log that ends on the cutoff gives the same forecasts and no metrics; of two cutoffs, one twice."""
    csv = tmp_path / "cut.csv"
    frame = small_log.frame
    frame[frame["ts"] <= cutoff].to_csv(csv, index=False)
    cut = params.model_copy(update={"data": params.data.model_copy(update={"path": str(csv)})})
    earlier = cutoff - timedelta(days=60)
    out = tmp_path / "both.parquet"
    backtest_source(cut, [cutoff, earlier, cutoff], HORIZON, out)
    table = pd.read_parquet(out)
    assert list(table.columns) == [*COLUMNS, "cutoff"]
    assert table["cutoff"].drop_duplicates().to_list() == [cutoff, earlier]
    again = table[table["cutoff"] == cutoff].drop(columns="cutoff").reset_index(drop=True)
    pd.testing.assert_frame_equal(again, forecasts[0], check_exact=True)
    printed = capsys.readouterr()
    assert printed.err.count(f"the log ends before {HORIZON} days have passed: no metrics\n") == 1
    assert f"{earlier}, {HORIZON} days" in printed.out


@pytest.mark.parametrize(
    ("day", "found"),
    [
        (date(2021, 12, 31), "after the cutoff 2021-12-31"),
        (date(9999, 12, 31), "over ten years before 9999-12-31"),
    ],
)
def test_a_cutoff_outside_the_log_is_one_line(params, cutoff, tmp_path, day, found):
    """It is refused before the first cutoff is worked on."""
    out = tmp_path / "forecasts.parquet"
    with pytest.raises(DataError, match=found) as caught:
        backtest_source(params, [cutoff, day], HORIZON, out)
    assert "\n" not in str(caught.value)
    assert not out.exists()


def test_a_folder_is_no_file(params, cutoff, tmp_path):
    with pytest.raises(DataError, match="is a folder"):
        backtest_source(params, [cutoff], HORIZON, tmp_path)


def test_a_log_without_a_purchase(params, cutoff, tmp_path):
    csv = tmp_path / "returns.csv"
    csv.write_text("customer_id,ts,amount\na,2022-01-01,-5\n")
    returns = params.model_copy(update={"data": params.data.model_copy(update={"path": str(csv)})})
    with pytest.raises(DataError, match="hold no purchase"):
        backtest_source(returns, [cutoff], HORIZON, tmp_path / "out.parquet")


@pytest.mark.parametrize(("asked", "given"), [(None, 60), (7, 7)])
def test_the_horizon_of_the_parameters_is_the_default(params, cutoff, tmp_path, monkeypatch, asked, given):
    def stop(orders, cutoff, horizon_days, *rest):
        raise DataError(f"horizon {horizon_days}")

    monkeypatch.setattr(backtesting, "backtest", stop)
    with pytest.raises(DataError, match=f"horizon {given}$"):
        backtest_source(params, [cutoff], asked, tmp_path / "out.parquet")


def test_the_optional_tables_are_read_and_used(params, cutoff, small_log, small_orders, tmp_path):
    """The same forecasts as from the tables themselves; not those of a shop that has none."""
    names = sorted(small_log.frame["customer_id"].unique())[::3]
    rows = [(name, small_log.FIRST_DAY + timedelta(days=50 * k)) for name in names for k in range(10)]
    frame = pd.DataFrame(rows, columns=["customer_id", "ts"]).assign(group="treated")
    frame.to_csv(tmp_path / "contacts.csv", index=False)
    contacts = Contacts(path=str(tmp_path / "contacts.csv"))
    told = params.model_copy(update={"data": params.data.model_copy(update={"contacts": contacts})})
    out = tmp_path / "told.parquet"
    backtest_source(told, [cutoff], HORIZON, out)
    moments = frame.assign(ts=pd.to_datetime(frame["ts"]).astype("datetime64[us]"))
    signals = Signals(contacts=ibis.memtable(moments))
    alone, with_them = (
        backtest(small_orders, cutoff, HORIZON, params, "v", signals=given).predictions
        for given in (Signals(), signals)
    )
    found = pd.read_parquet(out)
    pd.testing.assert_frame_equal(found, with_them, check_exact=True)
    assert not found["churn_probability"].equals(alone["churn_probability"])

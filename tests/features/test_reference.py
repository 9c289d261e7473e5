"""Authorities: the published CDNOW log (Fader & Hardie 2001) and figures measured on it by others."""

from datetime import date
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest

from churnlab.features.outcomes import outcomes
from churnlab.features.rfm import rfm

CUTOFF = date(1997, 9, 30)


def orders_from(name: str, names: list[str], as_table):
    text = files("lifetimes") / "datasets" / name
    with text.open() as lines:
        raw = pd.read_csv(lines, sep=r"\s+", names=names, header=0 if "master" in name else None, dtype=str)
    day = pd.to_datetime(raw["day"], format="%Y%m%d")
    amount = raw["amount"].astype(float)
    return as_table(
        pd.DataFrame(
            {
                "customer_id": raw["customer_id"],
                "order_id": raw.index.astype(str),
                "ts": day,
                "day": day.dt.date,
                "amount": amount,
                "gross": amount,
                "returned": 0.0,
                "is_purchase": True,
                "n_lines": 1,
            }
        )
    )


@pytest.fixture(scope="module")
def cdnow(as_table):
    return orders_from("CDNOW_master.txt", ["customer_id", "day", "items", "amount"], as_table)


@pytest.mark.parametrize(
    ("horizon_days", "churned", "n_purchases", "spend"),
    [(90, 0.82278, 0.31001, 12.60393), (273, 0.70055, 0.83513, 32.96399)],
)
def test_outcomes_of_the_whole_cdnow_cohort(cdnow, horizon_days, churned, n_purchases, spend):
    """Measured independently on the same log with the same rules: what happened after 30 September 1997."""
    after = outcomes(cdnow, CUTOFF, horizon_days)
    assert len(after) == 23570
    assert after["churned"].mean() == pytest.approx(churned, abs=5e-6)
    assert after["n_purchases"].mean() == pytest.approx(n_purchases, abs=5e-6)
    assert after["spend"].mean() == pytest.approx(spend, abs=6e-6)


def test_rfm_of_the_published_cdnow_sample(as_table):
    """The 2,357 customers' x, t_x, T (weeks) and zbar, as published with the CDNOW sample."""
    names = ["old_id", "customer_id", "day", "items", "amount"]
    ours = rfm(orders_from("CDNOW_sample.txt", names, as_table), CUTOFF).to_pandas()
    with (files("lifetimes") / "datasets" / "cdnow_customers_summary_with_transactions.csv").open() as lines:
        published = pd.read_csv(lines)
    assert len(ours) == len(published) == 2357
    np.testing.assert_array_equal(ours["customer_id"].astype(int), published["ID"])
    np.testing.assert_array_equal(ours["frequency"], published["x"])
    np.testing.assert_allclose(ours["recency"] / 7, published["t_x"], atol=0.006)
    np.testing.assert_allclose(ours["T"] / 7, published["T"], atol=0.006)
    np.testing.assert_allclose(ours["monetary_value"], published["zbar"], atol=0.006)

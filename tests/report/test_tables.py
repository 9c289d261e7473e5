"""Tables of the page, computed by hand."""

import pandas as pd
import pytest

from churnlab.evaluation.metrics import BETTER
from churnlab.report.tables import matrix, metric_table, risk_value
from churnlab.report.wording import METRICS

SCORES = pd.DataFrame(
    {
        "risk_label": ["high", "high", "low"],
        "value_label": ["top", "top", "medium"],
        "churn_probability": [0.5, 0.9, 0.1],
        "clv": [100.0, 200.0, 50.0],
        "p_alive": [1.0, 1.0, 0.95],
    }
)


def test_risk_value_by_hand():
    """p x V. High and top: .5 x 100 + .9 x 200 = 230. Low and medium: half are dead, .05 x 50 / .95."""
    found = risk_value(SCORES).set_index(["risk_label", "value_label"])
    assert found.loc[("high", "top")].tolist() == [2, pytest.approx(230)]
    assert found.loc[("low", "medium")].tolist() == [1, pytest.approx(2.5 / 0.95)]


def test_matrix_has_every_pair_and_adds_up():
    found = matrix(risk_value(SCORES))
    assert [row.risk for row in found.rows] == ["high", "medium", "low"]
    assert [cell.customers for cell in found.rows[0].cells] == [2, 0, 0, 0]
    assert found.rows[0].cells[0].shade == 1
    assert found.total.customers == 3
    assert sum(cell.value_at_stake for cell in found.totals) == pytest.approx(230 + 2.5 / 0.95)


def test_best_method_of_a_metric():
    """Higher AUC, lower Brier and bias nearer to zero are better; a method without the metric is out."""
    rows = [
        ("model", "churn", "roc_auc", 0.8),
        ("naive", "churn", "roc_auc", 0.7),
        ("model", "churn", "brier", 0.2),
        ("naive", "churn", "brier", 0.1),
        ("model", "spend", "aggregate_bias", -0.1),
        ("naive", "spend", "aggregate_bias", 0.3),
        ("model", "spend", "mae", 9.0),
    ]
    table = metric_table(pd.DataFrame(rows, columns=["method", "target", "metric", "value"]))
    best = {row.wording.name: row.best for _, block in table.blocks for row in block}
    assert table.methods == ["model", "naive"]
    assert best["ROC AUC"] == [True, False]
    assert best["Brier score"] == [False, True]
    assert best["Bias of the total"] == [True, False]
    assert best["Mean absolute error"] == [False, False]


def test_cutoffs_are_averaged_and_their_range_told():
    """By hand: 0.6 and 0.8 at two cutoffs show as 0.7."""
    rows = [("model", "churn", "roc_auc", 0.6), ("model", "churn", "roc_auc", 0.8)]
    table = metric_table(pd.DataFrame(rows, columns=["method", "target", "metric", "value"]))
    assert table.blocks[0][1][0].figures == [pytest.approx(0.7)]
    assert table.blocks[0][1][0].ranges == [(0.6, 0.8)]
    alone = metric_table(pd.DataFrame(rows[:1], columns=["method", "target", "metric", "value"]))
    assert alone.blocks[0][1][0].ranges == [None]


def test_every_metric_has_its_words():
    assert set(METRICS) == set(BETTER)

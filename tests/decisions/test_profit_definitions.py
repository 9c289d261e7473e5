"""What could have been kept: by hand for five customers, and what must hold for any."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from _settings import YEAR_AT_HALF as CLV
from _settings import small_decisions
from churnlab.decisions.bars import Bar
from churnlab.decisions.profit import over_all, profit_table
from churnlab.decisions.profit_definitions import (
    DEFINITION_TYPES,
    DEFINITIONS,
    definitions_table,
    main_definition,
    main_table,
)

CALL = {"channel": "phone", "contact_cost": 4.0, "incentive_cost": 0.0, "save_rate": 0.2}
DECISIONS = small_decisions({"call": CALL}, budget=20.0, control_share=0.1)


def customers(**columns) -> pd.DataFrame:
    """Five, of whom the first three leave; a year's spend of 100 is worth 50 at the margin of a half."""
    frame = {
        "cutoff": "2020-01-01",
        "customer_id": list("abcde"),
        "churned": [1, 1, 1, 0, 0],
        "churn_probability": [0.9, 0.8, 0.5, 0.4, 0.1],
        "clv": [10.0, 40.0, 0.0, 60.0, 90.0],
        "p_alive": 1.0,
        "spend_last_year": [100.0, 400.0, 0.0, 200.0, 300.0],
        "days_since_last_order": [90.0, 40.0, 400.0, 20.0, 5.0],
        "usual_gap_days": 20.0,
        "spend_afterwards": [60.0, 0.0, 0.0, 80.0, 0.0],
    }
    return pd.DataFrame(frame | columns)


def everyone(table: pd.DataFrame) -> dict[str, float]:
    return table[table["strategy"] == "everyone"].set_index("definition")["realised_profit"].to_dict()


def test_every_definition_by_hand():
    """A call costs 4 and keeps a fifth: of a 10, of b 40, halved 5 and 20; nothing of the other three.

    a has been silent for 4.5 gaps, b for 2; a came back and spent 60 a year, of which a fifth of a half is 6.
    """
    found = everyone(definitions_table(customers(), DECISIONS, CLV))
    assert found == pytest.approx(
        {
            "spent_afterwards": 6 - 20,
            "not_long_silent": 40 - 20,
            "bought_in_the_year": 10 + 40 - 20,
            "half_the_value": 5 + 20 - 20,
        }
    )


def test_a_cutoff_too_late_to_tell_who_came_back_is_left_out():
    late = customers(cutoff="2020-04-01", spend_afterwards=np.nan)
    table = definitions_table(pd.concat([customers(), late]), DECISIONS, CLV).set_index("definition")
    assert table["cutoffs"].groupby(level=0).first().to_dict() == {
        **dict.fromkeys(DEFINITIONS, 2),
        "spent_afterwards": 1,
    }
    alone = definitions_table(customers(), DECISIONS, CLV).set_index("definition")
    pd.testing.assert_frame_equal(table.loc["spent_afterwards"], alone.loc["spent_afterwards"])
    assert "spent_afterwards" not in set(definitions_table(late, DECISIONS, CLV)["definition"])


@pytest.mark.parametrize("told", [True, False])
def test_the_main_definition_is_the_first_that_the_log_tells_enough_for(told):
    """Of two cutoffs, or one: only the later is too late to tell what was spent afterwards."""
    late = customers(cutoff="2020-04-01", spend_afterwards=np.nan)
    rows = pd.concat([customers(), late], ignore_index=True) if told else late
    name = "spent_afterwards" if told else "not_long_silent"
    assert main_definition(rows) == name
    closed = np.zeros((len(rows), 1), dtype=np.int8)
    closed[:5] = Bar.RESTING if told else Bar.OPEN  # all of the first cutoff
    table = definitions_table(rows, DECISIONS, CLV, closed)
    main = over_all(main_table(rows, DECISIONS, CLV, closed))
    shown = table[table["definition"] == name].reset_index(drop=True)
    pd.testing.assert_frame_equal(shown[main.columns.drop("cutoff")], main.drop(columns="cutoff"))
    assert (shown["contacts"].sum() == 0) == told


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 40))
def test_who_is_taken_for_gone_or_worth_half_lowers_a_profit(seed, n):
    """With an incentive of 0, taking value away can only lower what the buyers of the year bring."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "cutoff": "2020-01-01",
            "customer_id": [f"c{k:03d}" for k in range(n)],
            "churned": rng.integers(0, 2, n),
            "churn_probability": rng.uniform(0.05, 0.95, n),
            "clv": rng.gamma(0.7, 40.0, n),
            "p_alive": 1.0,
            "spend_last_year": rng.gamma(0.7, 200.0, n),
            "days_since_last_order": rng.integers(0, 100, n).astype(float),
            "usual_gap_days": rng.uniform(1, 90, n),
            "spend_afterwards": rng.gamma(0.7, 100.0, n) * rng.integers(0, 2, n),
        }
    )
    table = definitions_table(rows, DECISIONS, CLV)
    assert table.dtypes.astype(str).to_dict() == DEFINITION_TYPES
    shown = table.pivot_table(
        index="strategy", columns="definition", values="realised_profit", dropna=False, sort=False
    )
    spends = {"bought_in_the_year": "spend_last_year", "spent_afterwards": "spend_afterwards"}
    for name, spend in spends.items():
        alone = profit_table(rows.assign(yearly_spend=rows[spend]), DECISIONS, CLV)
        plain = over_all(alone).set_index("strategy")["realised_profit"]
        np.testing.assert_array_equal(shown[name].reindex(plain.index), plain)
    for name in ("not_long_silent", "half_the_value"):
        assert (shown[name] <= shown["bought_in_the_year"] + 1e-9).all(), name

"""Authority: the rules of a reason, applied to one row at a time in plain Python."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from churnlab.features.words import absent, plain_words
from churnlab.models.reasons import reasons

# Three features of one story, two of others, one of each way to tell a figure.
STORY = {
    "days_since_last_order": "silence",
    "gap_rank": "silence",
    "frequency": "pace",
    "purchase_rate": "pace",
    "purchases_30d": "pace",
    "order_value_mean": "order value",
    "is_business": "business",
    "weekday_last": "time",
    "returned_share": "returns",
}
FIGURES = {
    "days_since_last_order": [0.0, 12.0, 13.0, 700.0, 1234.0],
    "gap_mean_days": [math.nan, 0.5, 12.5, 13.5, 99.6],
    "gap_rank": [math.nan, 0.0, 0.5],
    "frequency": [0.0, 3.0, 1200.0],
    "purchase_rate": [0.001, 0.25, 1.0],
    "purchases_30d": [0.0, 2.0],
    "order_value_mean": [0.0, 9.999, 99.994, 99.996, 100.5, 12345.678],
    "is_business": [math.nan, 0.0, 1.0],
    "weekday_last": [0.0, 6.0],
    "returned_share": [math.nan, 0.005, 0.125, 1.0],
}
PULLS = [-2.0, -1.0, -0.5, 0.0, 0.0, 0.5, 1.0, 2.0]  # so few that many are equal


def figure(name: str, value: float) -> str:
    if math.isnan(value):
        return absent(name)
    if name == "is_business":
        return "yes" if value else "no"
    if name == "weekday_last":
        return {0: "Monday", 6: "Sunday"}[int(value)]
    if name == "returned_share":
        return f"{value:.0%}"
    value *= 365.0 if name == "purchase_rate" else 1.0
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:,.2f}"


def one_row(pull: dict[str, float], row: dict[str, float], typical: float) -> list[str]:
    """Stories by the size of their sum, by name where equal; each told by its strongest part."""
    sums = {story: sum(pull[n] for n in STORY if STORY[n] == story) for story in set(STORY.values())}
    told = []
    for story in sorted(sums, key=lambda s: (-abs(sums[s]), s))[:3]:
        total = sums[story]
        effect = (
            "leaves the risk as it is" if not total else f"{'raises' if total > 0 else 'lowers'} the risk"
        )
        days, gap = row["days_since_last_order"], row["gap_mean_days"]
        if story != "silence":
            own = [name for name in STORY if STORY[name] == story]
            name = max(own, key=lambda n: pull[n] * np.sign(total))  # the first of equal ones
            words = plain_words(name)
            told.append(f"{words[0].upper()}{words[1:]}: {figure(name, row[name])}, which {effect}")
        elif total < 0 and gap < days < typical:
            told.append(
                f"{days:,.0f} days since the last order, above a usual gap of {gap:,.0f} "
                f"but below most customers', which {effect}"
            )
        else:
            rhythm = "" if math.isnan(gap) else f", against a usual gap of {gap:,.0f}"
            told.append(f"{days:,.0f} days since the last order{rhythm}, which {effect}")
    return told


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_reasons_are_those_of_one_row_at_a_time(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    features = pd.DataFrame({name: rng.choice(values, rows) for name, values in FIGURES.items()})
    pulls = pd.DataFrame({name: rng.choice(PULLS, rows) for name in STORY})
    told = reasons(pulls, features, typical_silence=480.0).tolist()
    pairs = zip(pulls.to_dict("records"), features.to_dict("records"), strict=True)
    assert told == [one_row(pull, row, 480.0) for pull, row in pairs]


def test_the_last_bits_of_contributions_decide_nothing():
    """They change with who else is described at the same time."""
    rng = np.random.default_rng(7)
    features = pd.DataFrame({name: rng.choice(values, 200) for name, values in FIGURES.items()})
    pulls = pd.DataFrame({name: rng.choice(PULLS, 200) for name in STORY})
    moved = pulls + rng.normal(scale=1e-14, size=pulls.shape)
    assert reasons(moved, features, 12.0).equals(reasons(pulls, features, 12.0))

"""The effect of every action, for all its customers and by segment, as one table."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from churnlab.config import Decisions
from churnlab.decisions.experiment import Adjusted, Comparison, adjust
from churnlab.decisions.save_rates import SaveRate, learned_rate

OUTCOMES = ("retained", "net_spend")
SEGMENTS = ("risk_label", "value_label")
EFFECT_TYPES = {
    "action": "str",
    "segment_by": "str",  # all, risk_label or value_label
    "segment": "str",
    "outcome": "str",
    "n_treated": "int64",
    "n_control": "int64",
    "mean_treated": "float64",
    "mean_control": "float64",
    "difference": "float64",
    "low": "float64",
    "high": "float64",
    "se": "float64",
    "se_plain": "float64",
    "detectable": "float64",
    "needed": "float64",
    "enough_power": "boolean",
    "warning": "str",
    "mean_cost": "float64",
    "return_on_spend": "float64",
    "return_low": "float64",
    "return_high": "float64",
    "contacted_treated": "float64",
    "contacted_control": "float64",
}
COMPARED = [name for name in EFFECT_TYPES if name in Comparison.__dataclass_fields__]
FEW = 10  # in a group: an interval is a rough guide


@dataclass(frozen=True)
class Effects:
    """What the plans brought.

    Attributes
    ----------
    table
        Columns of `EFFECT_TYPES`, one row per action, segment and outcome.
    save_rates
        By action; one of which nothing can be learned is missing.
    """

    table: pd.DataFrame
    save_rates: dict[str, SaveRate]


def effects(rows: pd.DataFrame, settings: Decisions, margin: float) -> Effects:
    """Compare treated with control customers of every action, as they were assigned, contacted or not.

    Parameters
    ----------
    rows
        One per customer and plan: as_of, customer_id, action, group, risk_label, value_label, cost,
        churn_probability, clv, pre_spend, pre_days, retained (0 or 1), net_spend (money), contacted (0, 1, or
        NaN where nothing is known of contacts). At least one.
    settings
        Assumed save rates, and how far off they may be.
    margin
        Share of spend that is profit.
    """
    found: list[dict[str, object]] = []
    learned: dict[str, SaveRate] = {}
    for action, of_action in sorted(rows.groupby("action")):
        contact = settings.actions.get(str(action))
        terms = _Terms(margin, math.nan if contact is None else contact.save_rate)
        adjusted = adjust(of_action, OUTCOMES)
        found += [{"action": action, **row} for row in _rows(adjusted, terms)]
        if contact is not None:
            rate = learned_rate(adjusted.compare("retained"), contact.save_rate, settings.effect_prior_sd)
            learned |= {} if rate is None else {str(action): rate}
    return Effects(pd.DataFrame(found).astype(EFFECT_TYPES)[list(EFFECT_TYPES)], learned)


@dataclass(frozen=True)
class _Terms:
    margin: float
    save_rate: float  # NaN where params.yaml has no such action


def _rows(adjusted: Adjusted, terms: _Terms) -> Iterator[dict[str, object]]:
    for by, segment, part in _parts(adjusted):
        cost = part.mean_of_treated("cost")
        told = {
            "segment_by": by,
            "segment": segment,
            "mean_cost": cost,
            **{f"contacted_{group}": _contacted(part.rows, group) for group in ("treated", "control")},
        }
        retained, spend = (part.compare(outcome) for outcome in OUTCOMES)
        needed = terms.save_rate * (1 - retained.mean_control)
        yield {**told, **_Judged(retained, needed, "retained").columns()}
        returns = {
            f"return_{name}": getattr(spend, value) * terms.margin / cost - 1 if cost > 0 else math.nan
            for name, value in (("on_spend", "difference"), ("low", "low"), ("high", "high"))
        }
        yield {**told, **_Judged(spend, cost / terms.margin, "net_spend").columns(), **returns}


def _parts(adjusted: Adjusted) -> Iterator[tuple[str, str, Adjusted]]:
    """Everybody, then each label alone."""
    yield "all", "all", adjusted
    for by in SEGMENTS:
        labels = adjusted.rows[by]
        for label in sorted(labels.unique()):
            yield by, str(label), adjusted.of((labels == label).to_numpy())


def _contacted(rows: pd.DataFrame, group: str) -> float:
    """The share of a group that the contacts table names."""
    return float(rows.loc[rows["group"] == group, "contacted"].mean())


@dataclass(frozen=True)
class _Judged:
    """A comparison beside the difference that matters: assumed, or needed to pay for itself."""

    found: Comparison
    needed: float
    outcome: str

    def columns(self) -> dict[str, object]:
        return {
            **{name: getattr(self.found, name) for name in COMPARED},
            "outcome": self.outcome,
            "needed": self.needed,
            "enough_power": self._is_enough() if self._is_judged() else pd.NA,
            "warning": self._warning(),
        }

    def _is_judged(self) -> bool:
        return math.isfinite(self.found.detectable) and self.needed > 0

    def _is_enough(self) -> bool:
        return self.found.detectable <= self.needed

    def _warning(self) -> str:
        found = self.found
        if math.isnan(found.difference):
            return (
                f"No comparison: {found.n_treated} treated and {found.n_control} held out, "
                "where both need two of one date"
            )
        sentences = []
        few = min(found.n_treated, found.n_control)
        if few < FEW:
            sentences.append(f"Only {few} customers in one group: take the interval as a rough guide")
        if self._is_judged() and not self._is_enough() and found.low <= 0 <= found.high:
            times = math.ceil((found.detectable / self.needed) ** 2)
            matters = "assumed one" if self.outcome == "retained" else "one that pays for the contact"
            sentences.append(
                f"Too few customers to tell: a difference below {self._shown(found.detectable)} may well be "
                f"missed, and the {matters} is {self._shown(self.needed)}; "
                f"{times:,} times as many would do"
            )
        return ". ".join(sentences)

    def _shown(self, value: float) -> str:
        return f"{100 * value:.1f} points" if self.outcome == "retained" else f"{value:,.2f}"

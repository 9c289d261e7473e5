"""What the purchase and spend models say about each customer of one snapshot, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from churnlab.models.fitting import FitStep, rounded
from churnlab.models.purchase_fits import fit_family, fit_ladder
from churnlab.models.purchases import DAYS_PER_WEEK, PurchaseModel
from churnlab.models.spend import SpendModel, fit_spend

SMALLEST = 1e-6


@dataclass(frozen=True)
class BtydModels:
    """The purchase models of every family and the spend model, fitted on one cutoff's past.

    Attributes
    ----------
    primary
        The family that gives `p_alive` and `clv`.
    families
        One model per family asked for; a family that could not be fitted stands in with the primary's.
    spend
        Gamma-Gamma, or what its fallback ladder ended in.
    steps
        Every attempt of the fallback ladders, in order.
    """

    primary: PurchaseModel
    families: dict[str, PurchaseModel]
    spend: SpendModel
    steps: tuple[FitStep, ...]

    def columns(self, rfm: pd.DataFrame, horizon_days: int) -> pd.DataFrame:
        """BTYD outputs per row of `rfm`.

        Parameters
        ----------
        rfm
            Columns frequency, recency, T (days), monetary_value, paid_repeats.
        horizon_days
            Length of the forecast.

        Returns
        -------
        DataFrame
            Index of `rfm`; p_alive, expected_order_value, and per family
            btyd_p_no_purchase_*, btyd_purchases_*, btyd_spend_*.
        """
        order_value = self.spend.expected_order_value(rfm)
        out = {"p_alive": self.primary.p_alive(rfm), "expected_order_value": order_value}
        for name, model in self.families.items():
            outlook = model.outlook(rfm, horizon_days)
            out[f"btyd_p_no_purchase_{name}"] = outlook.p_no_purchase
            out[f"btyd_purchases_{name}"] = outlook.expected_purchases
            out[f"btyd_spend_{name}"] = outlook.expected_purchases * order_value
        return pd.DataFrame(out, index=rfm.index)

    def p_no_purchase(self, rfm: pd.DataFrame, horizon_days: int) -> pd.DataFrame:
        """The columns btyd_p_no_purchase_* of :meth:`columns`, from frequency, recency and T (days) alone."""
        found = {name: model.p_no_purchase(rfm, horizon_days) for name, model in self.families.items()}
        return pd.DataFrame(found, index=rfm.index).add_prefix("btyd_p_no_purchase_")

    def summary(self) -> dict[str, Any]:
        """What a reader should know of the fits: which were made, how well, and Gamma-Gamma's assumption.

        Gamma-Gamma assumes that frequency and spend per purchase are independent: the correlations say how
        far that holds.
        """
        return {
            "primary_family": self.primary.family,
            "log_likelihood": {name: model.log_likelihood for name, model in self.families.items()},
            "frequency_spend_correlation": self.spend.frequency_spend_correlation,
            "frequency_spend_rank_correlation": self.spend.frequency_spend_rank_correlation,
            "note": self.spend.note,
            "fallback_steps": [step.to_dict() for step in self.steps if step.outcome != "fitted"],
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be fitted and what stands in for it, and Gamma-Gamma's reservation, if any."""
        borrowed = [name for name, model in self.families.items() if model.family != name]
        found = [f"purchase model {name}: could not be fitted, the others stand in" for name in borrowed]
        ends = [step for step in self.steps if step.outcome in ("last good model", "pooled mean")]
        found += [f"{step.family}: {step.detail}" for step in ends]
        return tuple(dict.fromkeys([*found, *filter(None, [self.spend.note])]))

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            "primary": self.primary.to_dict(),
            "families": {name: model.to_dict() for name, model in self.families.items()},
            "spend": self.spend.to_dict(),
            "steps": [step.to_dict() for step in self.steps],
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> BtydModels:
        """The inverse of :meth:`to_dict`."""
        return cls(
            primary=PurchaseModel.from_dict(saved["primary"]),
            families={name: PurchaseModel.from_dict(model) for name, model in saved["families"].items()},
            spend=SpendModel.from_dict(saved["spend"]),
            steps=tuple(FitStep(**step) for step in saved["steps"]),
        )


def fit_btyd(
    rfm: pd.DataFrame,
    families: Sequence[str],
    penalizers: Sequence[float],
    last_good: BtydModels | None = None,
) -> BtydModels:
    """Fit every family and the spend model on one snapshot.

    Parameters
    ----------
    rfm
        One row per customer: frequency, recency, T (days), monetary_value, paid_repeats.
    families
        Names in order of preference; the first that fits is the primary.
    penalizers
        Tried in this order until a fit converges.
    last_good
        Models of a neighbouring snapshot, the last rung of the ladder.

    Notes
    -----
    Where nothing fits and there is no last good model, :func:`pooled_rate` stands in.
    """
    previous = last_good.primary if last_good else None
    fitted, steps = {}, []
    for name in families:
        model, tried = fit_family(rfm, name, penalizers)
        steps += tried
        if model is not None:
            fitted[name] = model
    if fitted:
        primary = next(iter(fitted.values()))
    elif previous is not None:
        primary, tried = fit_ladder(rfm, (), penalizers, previous)
        steps += tried
    else:
        primary, step = pooled_rate(rfm)
        steps.append(step)
    spend, tried = fit_spend(rfm, penalizers, last_good.spend if last_good else None)
    steps += tried
    return BtydModels(primary, {name: fitted.get(name, primary) for name in families}, spend, tuple(steps))


def pooled_rate(rfm: pd.DataFrame) -> tuple[PurchaseModel, FitStep]:
    """What can be said when too few came back for any fit: one rate for everybody, dropout unknown.

    MBG/NBD with an exponential spread of rates around (repeats + 1/2) / weeks seen, and a dropout probability
    uniform between 0 and 1.
    """
    weeks = max(float(rfm["T"].sum()) / DAYS_PER_WEEK, 1.0)
    rate = (float(rfm["frequency"].sum()) + 0.5) / weeks
    params = {"r": 1.0, "alpha": rounded(1 / rate), "a": 1.0, "b": 1.0}
    detail = "too few repeat purchases to fit a model: the pooled rate of all customers stands in"
    return PurchaseModel("mbgnbd", params, 0.0, 0.0, len(rfm)), FitStep("mbgnbd", None, "pooled mean", detail)


def logit_no_purchase(columns: pd.DataFrame) -> np.ndarray:
    """logit P(no purchase in the horizon), one column per family."""
    p = np.clip(_family_columns(columns, "btyd_p_no_purchase_"), SMALLEST, 1 - SMALLEST)
    return np.log(p) - np.log1p(-p)


def log_repeats_given_active(columns: pd.DataFrame) -> np.ndarray:
    """log(E[purchases | at least one] - 1), one column per family."""
    return np.log(np.maximum(_purchases_given_active(columns) - 1, 1e-3))


def log_spend_given_active(columns: pd.DataFrame) -> np.ndarray:
    """log E[spend | at least one purchase], one column per family."""
    order_value = columns["expected_order_value"].to_numpy(float)[:, None]
    return np.log(np.maximum(_purchases_given_active(columns) * order_value, np.finfo(float).tiny))


def _family_columns(columns: pd.DataFrame, prefix: str) -> np.ndarray:
    return columns[[name for name in columns.columns if name.startswith(prefix)]].to_numpy(float)


def _purchases_given_active(columns: pd.DataFrame) -> np.ndarray:
    """At least 1 by definition; the floor also mends 0/0 of the certainly inactive."""
    p_active = 1 - _family_columns(columns, "btyd_p_no_purchase_")
    return np.maximum(_family_columns(columns, "btyd_purchases_") / np.maximum(p_active, SMALLEST), 1.0)

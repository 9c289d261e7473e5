"""The built-in logs, and models of them that are fitted quickly."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from churnlab.config import Params, read_params
from churnlab.evaluation.backtest import fit_scorer
from churnlab.models.scorer import Scorer

ROOT = Path(__file__).parents[2]
FILES = {"cdnow": "params.yaml", "complete_journey": "params/complete_journey.yaml"}
FEW = {"features": {"max_snapshots": 3}, "churn": {"max_rounds": 20}, "clv": {"families": ("mbgnbd",)}}


def shipped(name: str) -> Params:
    """The parameters that churnlab ships for the log."""
    return read_params(ROOT / FILES[name])


def quick_scorer(orders: Any, params: Params, as_of: date) -> Scorer:
    """Learners and all, of few trees and snapshots."""
    sections = {name: getattr(params, name).model_copy(update=of) for name, of in FEW.items()}
    horizon = params.features.horizon_days
    return fit_scorer(orders, as_of, horizon, params.model_copy(update=sections), "built-in")[0]

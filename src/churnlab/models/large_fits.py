"""Fits to many customers: begun on a part of them, finished on all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import scipy  # its parts are imported when they are first asked for
from autograd import value_and_grad

from churnlab.models.purchase_formulas import Floats

MAX_FIRST_ROWS = 50_000
FINAL_SLOPE = 1e-6  # of the log-likelihood per customer, by the logarithm of any parameter


def thinned(pooled: pd.DataFrame) -> pd.DataFrame:
    """`pooled`; of more than MAX_FIRST_ROWS rows, so many customers, evenly spaced in its order.

    Parameters
    ----------
    pooled
        Distinct rows in the order of their values, with weights (customers).
    """
    customers = MAX_FIRST_ROWS
    if len(pooled) <= customers:
        return pooled
    upto = pooled["weights"].cumsum().to_numpy()
    place = (np.arange(customers) + 0.5) * (upto[-1] / customers)
    drawn = np.bincount(np.searchsorted(upto, place, side="right"), minlength=len(pooled))
    return pooled.assign(weights=drawn)[drawn > 0].reset_index(drop=True)


def finished(
    objective: Callable[..., Any], near: Floats, hessian: Floats, arguments: tuple[Any, ...]
) -> Floats:
    """Logarithms of the parameters at the optimum of all customers, beginning at that of a part of them.

    A few of BFGS's steps with the part's curvature lead there, and never uphill. A whole fit by lifetimes
    takes ten times as long, most of it for the curvature at the end, which nobody asks for.

    Parameters
    ----------
    objective
        lifetimes' mean negative log-likelihood, of logarithms and `arguments`.
    near, hessian
        Logarithms of the parameters at the part's optimum, and the curvature there.
    """
    found = scipy.optimize.minimize(
        value_and_grad(objective),
        near,
        args=arguments,
        jac=True,
        method="BFGS",
        options={"gtol": FINAL_SLOPE, **_curvature(hessian)},
    )
    return np.asarray(found.x, dtype=np.float64) if np.isfinite(found.x).all() else near


def _curvature(hessian: Floats) -> dict[str, Floats]:
    """What BFGS is told of it; nothing where it is not that of a minimum."""
    if not np.isfinite(hessian).all() or np.linalg.matrix_rank(hessian) < len(hessian):
        return {}
    inverse = np.linalg.inv(hessian)
    inverse = (inverse + inverse.T) / 2.0
    return {"hess_inv0": inverse} if np.linalg.eigvalsh(inverse).min() > 0.0 else {}

"""What a fit tried, attempt by attempt, and a quiet room to try it in."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

Outcome = Literal[
    "fitted",
    "did not converge",
    "runaway parameters",
    "not finite",
    "too little data",
    "last good model",
    "pooled mean",
]
NUMERIC_ERRORS = (ArithmeticError, np.linalg.LinAlgError)


@dataclass(frozen=True)
class FitStep:
    """One attempt of a fit.

    Attributes
    ----------
    family
        ``bgnbd``, ``mbgnbd``, ``paretonbd`` or ``gammagamma``.
    penalizer
        Coefficient of the L2 penalty on the parameters; None where the attempt has none.
    outcome
        ``fitted``, ``last good model`` and ``pooled mean`` end a ladder; the others lead to its next step.
    detail
        What was found, in one line, without customers' data.
    """

    family: str
    penalizer: float | None
    outcome: Outcome
    detail: str

    def to_dict(self) -> dict[str, Any]:
        """The step as JSON-ready values."""
        return asdict(self)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Contain what lifetimes prints, warns and does to the warning filters."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def rounded(value: float) -> float:
    """`value` to 8 significant digits, so that the model written is the model used."""
    return float(f"{value:.8g}")

"""Whether a newly trained model may become the champion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from churnlab.evaluation.backtest import MODEL

Headline = Mapping[str, Mapping[str, Mapping[str, float]]]
DIGITS = 9  # of a gain: a difference of two decimals must not miss the tolerance by a last bit
# target, metric, and whether less is better; one of each kind that decisions rest on
JUDGED = (("churn", "log_loss", True), ("churn", "roc_auc", False), ("spend", "normalised_gini", False))


@dataclass(frozen=True)
class Verdict:
    """Whether to promote, and the finding per judged metric in one sentence each."""

    promote: bool
    findings: tuple[str, ...]


def against_baselines(headline: Headline, tolerance: float) -> Verdict:
    """Not worse than the best baseline, BTYD alone included, by more than `tolerance` on any judged metric.

    Parameters
    ----------
    headline
        method → target → metric → mean over the backtest cutoffs; the model's own method is `churnlab`.
    tolerance
        Absolute, the same for every metric.
    """
    findings, good = [], True
    for target, metric, less in JUDGED:
        found = {method: targets.get(target, {}).get(metric) for method, targets in headline.items()}
        own = found.pop(MODEL)
        rivals = {method: value for method, value in found.items() if value is not None}
        if not rivals or own is None:
            findings.append(f"{target} {metric}: not defined on this history, not judged")
            continue
        gain, best = min((_gain(own, value, less), method) for method, value in rivals.items())
        good = good and gain >= -tolerance
        findings.append(
            f"{target} {metric}: {own:.4f}, best baseline {best} {rivals[best]:.4f}, gain {gain:+.4f}"
        )
    return Verdict(good, tuple(findings))


def gains(headline: Headline) -> dict[str, float]:
    """The gain over BTYD alone per judged metric: comparable between models of different data.

    Returns
    -------
    dict
        `gain_TARGET_METRIC`: over the family that does best on the metric, positive where churnlab is better.
    """
    out = {}
    for target, metric, less in JUDGED:
        found = {method: targets.get(target, {}).get(metric) for method, targets in headline.items()}
        own = found[MODEL]
        rivals = [value for name, value in found.items() if name.startswith("btyd_") and value is not None]
        if own is not None and rivals:
            out[f"gain_{target}_{metric}"] = round(min(_gain(own, value, less) for value in rivals), 6)
    return out


def against_champion(new: Mapping[str, float], champion_tags: Mapping[str, str], tolerance: float) -> Verdict:
    """Not behind the champion's recorded gains over BTYD by more than `tolerance` on any of them.

    Parameters
    ----------
    new
        From :func:`gains`.
    champion_tags
        The champion's tags, of which those named as in `new` count; empty where there is no champion.
    tolerance
        Absolute.
    """
    findings, good = [], True
    for name, gain in new.items():
        if name in champion_tags:
            before = float(champion_tags[name])
            good = good and round(gain - before, DIGITS) >= -tolerance
            findings.append(f"{name}: {gain:+.4f}, champion's {before:+.4f}")
    return Verdict(good, tuple(findings))


def _gain(own: float, other: float, less_is_better: bool) -> float:
    return round((other - own) if less_is_better else (own - other), DIGITS)

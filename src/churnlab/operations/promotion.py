"""Whether a newly trained model may become the champion."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

Headline = Mapping[str, Mapping[str, Mapping[str, float]]]
MODEL = "churnlab"
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
        method → target → metric → mean over the backtest cutoffs.
    """
    findings, good = [], True
    for target, metric, less in JUDGED:
        rivals = {m: v[target][metric] for m, v in headline.items() if m != MODEL and metric in v.get(target, {})}
        own = headline[MODEL].get(target, {}).get(metric)
        if not rivals or own is None:
            findings.append(f"{target} {metric}: not defined on this history, not judged")
            continue
        best = min(rivals, key=lambda m: rivals[m] if less else -rivals[m])
        gain = (rivals[best] - own) if less else (own - rivals[best])
        good = good and gain >= -tolerance
        findings.append(f"{target} {metric}: {own:.4f}, best baseline {best} {rivals[best]:.4f}, gain {gain:+.4f}")
    return Verdict(good, tuple(findings))


def gains(headline: Headline) -> dict[str, float]:
    """The gain over BTYD's primary family per judged metric: comparable between models of different data."""
    rival = next((m for m in headline if m.startswith("btyd_")), None)
    out = {}
    for target, metric, less in JUDGED:
        own = headline[MODEL].get(target, {}).get(metric)
        other = headline.get(rival or "", {}).get(target, {}).get(metric)
        if own is not None and other is not None:
            out[f"gain_{target}_{metric}"] = round((other - own) if less else (own - other), 6)
    return out


def against_champion(new: Mapping[str, float], champion_tags: Mapping[str, str], tolerance: float) -> Verdict:
    """Not behind the champion's recorded gains over BTYD by more than `tolerance` on any of them."""
    findings, good = [], True
    for name, gain in new.items():
        if name in champion_tags:
            before = float(champion_tags[name])
            good = good and gain >= before - tolerance
            findings.append(f"{name}: {gain:+.4f}, champion's {before:+.4f}")
    return Verdict(good, tuple(findings))


def training_id(model_digest: str, data_version: str) -> str:
    """A run's identity by content: equal data and equal models have equal ids on every machine."""
    return hashlib.sha256(f"{model_digest} {data_version}".encode()).hexdigest()[:32]

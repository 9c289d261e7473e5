"""The learned forecast of the three targets: members, their blends, the level and the season."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from churnlab.models.blend import BTYD_ALONE, Blend
from churnlab.models.churn import Boosted
from churnlab.models.linear import Linear
from churnlab.models.seen import Seen
from churnlab.models.targets import Target
from churnlab.models.value import SpendSpread, fit_spread

Members = dict[str, Linear | Boosted]


@dataclass(frozen=True)
class Forecaster:
    """Members and blends of the three targets.

    Attributes
    ----------
    members
        Target to member name to fitted learner; empty where BTYD stands alone.
    blends
        Target to blend.
    level
        What expected spend is multiplied by, so that its sum was right on the calibration snapshots.
    season
        Target to what the season of the window adds to the link; see :mod:`churnlab.models.season`.
    spread
        How actual spend of active customers scattered around the expected one.
    notes
        Reservations in plain words, for the output.
    """

    members: Mapping[Target, Members]
    blends: Mapping[Target, Blend]
    level: float
    season: Mapping[Target, float]
    spread: SpendSpread
    notes: tuple[str, ...]

    def link(self, target: Target, features: pd.DataFrame | Seen, btyd: pd.DataFrame) -> np.ndarray:
        """The target's expectation per row on the link scale, its season left out.

        Parameters
        ----------
        features, btyd
            Features, and the BTYD columns of the same horizon.
        """
        base = target.base(btyd)
        return self.blends[target].link(links(self.members[target], features, base), base.mean(axis=1))

    def contributions(self, features: pd.DataFrame | Seen, shares: Mapping[str, np.ndarray]) -> pd.DataFrame:
        """Each feature's part of the final churn logit, summed over the members as they are blended.

        Parameters
        ----------
        features
            As in :meth:`link`.
        shares
            Feature to its part of BTYD's churn logits, (n, families): see
            :func:`churnlab.models.reasons.shapley`.
        """
        told = ((name, model.contributions(features)) for name, model in self._heard.items())
        return self._summed(told, features, shares)

    def link_and_contributions(
        self, features: pd.DataFrame | Seen, btyd: pd.DataFrame, shares: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, pd.DataFrame]:
        """:meth:`link` of CHURN and :meth:`contributions`; who has a part in both is asked once."""
        blend, base = self.blends[Target.CHURN], Target.CHURN.base(btyd)
        unheard = {n: m for n, m in self.members[Target.CHURN].items() if n not in self._heard}
        answers = links(unheard, features, base)

        def told() -> Iterator[tuple[str, pd.DataFrame]]:
            for name, model in self._heard.items():
                answers[name], parts = model.link_and_contributions(features, base)
                yield name, parts

        parts = self._summed(told(), features, shares)
        return blend.link(answers, base.mean(axis=1)), parts

    @property
    def _heard(self) -> Members:
        """Whose answer moves the final churn logit."""
        blend = self.blends[Target.CHURN]
        return {name: model for name, model in self.members[Target.CHURN].items() if blend.share(name) > 0}

    def _summed(
        self,
        told: Iterable[tuple[str, pd.DataFrame]],
        features: pd.DataFrame | Seen,
        shares: Mapping[str, np.ndarray],
    ) -> pd.DataFrame:
        """The parts that the members tell of, one by one, and those of BTYD, as they are blended."""
        families = next(iter(shares.values())).shape[1]
        blend, heard = self.blends[Target.CHURN], self._heard
        weights = np.full(families, (blend.share("btyd") + 1 - blend.trust) / families)
        for name, model in heard.items():
            if len(model.base_coef):
                weights = weights + blend.share(name) * model.base_coef
        names = sorted({*shares, *(name for model in heard.values() for name in model.features)})
        total = np.zeros((len(names), len(features)))
        for name, part in shares.items():
            total[names.index(name)] = sum(part[:, k] * weight for k, weight in enumerate(weights))
        for member, parts in told:
            for name in heard[member].features:
                total[names.index(name)] += parts[name].to_numpy() * blend.share(member)
        return pd.DataFrame(total.T, index=features.index, columns=names, copy=False)


def links(members: Members, features: pd.DataFrame | Seen, base: np.ndarray) -> dict[str, np.ndarray]:
    """Every member's answer on the link scale, and BTYD's mean one as `btyd`."""
    answers = {name: model.link(features, base) for name, model in members.items()}
    return {**answers, "btyd": base.mean(axis=1)}


def without_learners(notes: tuple[str, ...]) -> Forecaster:
    """BTYD's answers and nothing else."""
    nothing = np.zeros(0)
    return Forecaster(
        members={target: {} for target in Target},
        blends=dict.fromkeys(Target, BTYD_ALONE),
        level=1.0,
        season=dict.fromkeys(Target, 0.0),
        spread=fit_spread(nothing, nothing, nothing, np.zeros(0, dtype=bool)),
        notes=notes,
    )


def btyd_alone(forecaster: Forecaster) -> Forecaster:
    """The same without learners: BTYD's answers, level, season and spread kept."""
    return replace(
        forecaster,
        members={target: {} for target in Target},
        blends=dict.fromkeys(Target, BTYD_ALONE),
    )


def forecaster_state(forecaster: Forecaster) -> tuple[dict[str, Any], dict[str, str]]:
    """A forecaster as JSON-ready values, and its booster texts by file name."""
    texts: dict[str, str] = {}
    targets = {}
    for target in Target:
        members: dict[str, Any] = {}
        for name, model in forecaster.members[target].items():
            if isinstance(model, Boosted):
                file = f"{target.value}.txt"
                texts[file] = model.text
                members[name] = {"file": file, "features": list(model.features), "log_scale": model.log_scale}
            else:
                members[name] = model.to_dict()
        targets[target.value] = {"members": members, "blend": forecaster.blends[target].to_dict()}
    spread = forecaster.spread.to_dict()
    state = {
        "targets": targets,
        "level": forecaster.level,
        "season": {target.value: shift for target, shift in forecaster.season.items()},
        "spread": spread,
    }
    return {**state, "notes": list(forecaster.notes)}, texts


def forecaster_from_state(state: dict[str, Any], folder: Path) -> Forecaster:
    """The inverse of :func:`forecaster_state`; booster texts are read from `folder`."""
    members: dict[Target, dict[str, Linear | Boosted]] = {}
    for target in Target:
        members[target] = {}
        for name, saved in state["targets"][target.value]["members"].items():
            if "file" in saved:
                text = (folder / saved["file"]).read_text(encoding="utf-8")
                members[target][name] = Boosted(tuple(saved["features"]), text, saved["log_scale"])
            else:
                members[target][name] = Linear.from_dict(saved)
    return Forecaster(
        members=members,
        blends={target: Blend.from_dict(state["targets"][target.value]["blend"]) for target in Target},
        level=state["level"],
        season={target: state["season"][target.value] for target in Target},
        spread=SpendSpread.from_dict(state["spread"]),
        notes=tuple(state["notes"]),
    )

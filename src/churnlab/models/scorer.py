"""The packaged model: feature rows in; forecasts, labels and reasons out. Saved as JSON and LightGBM text."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from churnlab.config import Clv
from churnlab.errors import ModelError
from churnlab.features.plan import LearningPlan, money_columns
from churnlab.models.btyd import BtydModels
from churnlab.models.churn import Boosted
from churnlab.models.distinct import distinct
from churnlab.models.forecaster import Forecaster, btyd_alone, forecaster_from_state, forecaster_state
from churnlab.models.labels import Scale
from churnlab.models.purchases import HISTORY
from churnlab.models.reasons import PLAYERS, reasons, shapley
from churnlab.models.seen import Seen
from churnlab.models.targets import Target
from churnlab.models.value import clv, coherent

MANIFEST = "scorer.json"
FORMAT = 3
# Digits kept: beyond them two processors may differ in the last bit, and equal inputs must give equal bytes.
PROBABILITY_DIGITS = 9
UNIT_DIGITS = 9
Figures = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class _Asked:
    """Customers as a scorer sees them.

    Attributes
    ----------
    units
        Their features, money in the plan's unit.
    near, far
        BTYD's answers for the label window and for the horizon.
    seen
        What the learners read.
    """

    units: pd.DataFrame
    near: pd.DataFrame
    far: pd.DataFrame
    seen: Seen


@dataclass(frozen=True)
class Scorer:
    """Everything that one forecast needs, fixed at training.

    Attributes
    ----------
    plan
        Columns, horizon and unit of money.
    btyd
        Purchase and spend models at the plan's cutoff.
    forecaster
        Learners and blends of the three targets.
    carry
        Mean over the base at training of the logarithm of :func:`_growth`; 0 where the label window is the
        horizon.
    typical
        Medians of the base at training: the customer that reasons compare with, and the gap that those are
        judged by who have none of their own.
    clv
        Months, discount rate, margin and interval.
    risk, value
        Cut points and percentile grids; None until the base has been forecast once.
    data_version
        Digest of the orders it was trained on.
    """

    plan: LearningPlan
    btyd: BtydModels
    forecaster: Forecaster
    carry: float
    typical: dict[str, float]
    clv: Clv
    risk: Scale | None
    value: Scale | None
    data_version: str

    def predict(self, features: pd.DataFrame, as_of: date | None = None) -> pd.DataFrame:
        """Forecasts, labels and percentiles.

        Parameters
        ----------
        features
            customer_id and the columns of the plan's snapshots; money in the shop's currency.
        as_of
            Cutoff of the features; the plan's unless given. What was learned of the season fades as the
            window moves away from the one that it was learned for: train again at least once a season.

        Returns
        -------
        DataFrame
            Index of `features`: the columns of :meth:`forecast`, then churn_percentile, clv_percentile,
            risk_label, value_label and scored_by.

        Raises
        ------
        ModelError
            A column is missing, or the scorer has no cut points.
        """
        return self._labelled(self.forecast(features, as_of))

    def told(self, features: pd.DataFrame, as_of: date | None = None) -> tuple[pd.DataFrame, pd.Series]:
        """:meth:`predict` and :meth:`explain`; what both need is worked out once."""
        asked = self._asked(features)
        churn, parts = self.forecaster.link_and_contributions(asked.seen, asked.near, self._shares(asked))
        out = self._labelled(self._forecast(asked, as_of, churn))
        return out, reasons(parts, features, self.typical["days_since_last_order"])

    def _labelled(self, out: pd.DataFrame) -> pd.DataFrame:
        if self.risk is None or self.value is None:
            raise ModelError("the model has no label cut points: package it with the register stage")
        p, worth = out["churn_probability"].to_numpy(), out["clv"].to_numpy()
        return out.assign(
            churn_percentile=self.risk.percentile(p),
            clv_percentile=self.value.percentile(worth),
            risk_label=self.risk.label(p).set_axis(out.index),
            value_label=self.value.label(worth).set_axis(out.index),
            scored_by=self.path,
        )

    def prepare(self) -> None:
        """Read the boosters, which is otherwise done when they are first asked.

        Raises
        ------
        ModelError
            The text of one is damaged.
        """
        for members in self.forecaster.members.values():
            for model in members.values():
                if isinstance(model, Boosted):
                    model.prepare()

    @property
    def path(self) -> str:
        """`blend` where learners are used, `btyd` where the history only allowed the purchase models."""
        return "blend" if self.forecaster.members[Target.CHURN] else "btyd"

    @property
    def notes(self) -> tuple[str, ...]:
        """Reservations in plain words: from whom and how it was learned, and what could not be fitted."""
        return (*self.plan.notes, *self.forecaster.notes, *self.btyd.notes)

    def forecast(self, features: pd.DataFrame, as_of: date | None = None) -> pd.DataFrame:
        """The forecasts of :meth:`predict` without labels.

        Returns
        -------
        DataFrame
            customer_id, p_alive, churn_probability, expected_purchases, expected_order_value (money per
            purchase day), expected_spend, expected_spend_low, expected_spend_high (money in the horizon),
            clv, clv_low, clv_high (discounted profit over clv_months); days_to_next_order, its median for a
            customer who is still buying, and days_to_next_order_low and _high around it.
        """
        return self._forecast(self._asked(features), as_of)

    def _forecast(self, asked: _Asked, as_of: date | None, churn: np.ndarray | None = None) -> pd.DataFrame:
        """`churn` is the forecaster's own link of CHURN, where it is known."""
        units, far = asked.units, asked.far
        links = {target: self._link(target, asked, churn) for target in Target}
        season = self._season(as_of or self.plan.cutoff)
        now = self._figures({target: link + season[target] for target, link in links.items()})
        p, repeats, spend = now
        purchases = np.round((1 - p) * (1 + repeats), UNIT_DIGITS)
        money = self._money(units, far, now, self._figures(links))
        out = {
            "customer_id": units["customer_id"],
            "p_alive": np.round(far["p_alive"], PROBABILITY_DIGITS),
            "churn_probability": p,
            "expected_purchases": purchases,
            "expected_order_value": np.round(spend / (1 + repeats), UNIT_DIGITS) * self.plan.money_scale,
            **{name: np.round(v, UNIT_DIGITS) * self.plan.money_scale for name, v in money.items()},
            **self._next_order(units),
        }
        return pd.DataFrame(out, index=units.index)

    def explain(self, features: pd.DataFrame) -> pd.Series:
        """Up to three plain sentences per row: what moved the final churn probability most."""
        asked = self._asked(features)
        parts = self.forecaster.contributions(asked.seen, self._shares(asked))
        return reasons(parts, features, self.typical["days_since_last_order"])

    def outlook(self, others: pd.DataFrame, as_of: date | None = None) -> pd.DataFrame:
        """BTYD's answer for a buyer of one order, T days ago: all that can be said without a purchase.

        Parameters
        ----------
        others
            customer_id, T (days since first seen).
        as_of
            As in :meth:`predict`.

        Returns
        -------
        DataFrame
            The columns of :meth:`predict` and the RFM columns, scored_by `btyd_no_purchase`.
        """
        zeros = dict.fromkeys(("frequency", "recency", "monetary_value", "paid_repeats"), 0.0)
        pretended = others[["customer_id", "T"]].assign(**zeros, days_since_last_order=others["T"])
        alone = replace(self, forecaster=btyd_alone(self.forecaster))
        shown = pretended.drop(columns=["customer_id", "paid_repeats"])
        scores = alone.predict(pretended, as_of).assign(scored_by="btyd_no_purchase")
        return scores.join(shown, validate="one_to_one")

    def mean_log_growth(self, features: pd.DataFrame) -> float:
        """What :attr:`carry` is for a base with these features."""
        near, far = self._btyd_columns(self._units(features))
        return round(float(np.log(_growth(near, far)).mean()), 8)

    def _units(self, features: pd.DataFrame) -> pd.DataFrame:
        needed = {"frequency", "recency", "T", "monetary_value", "paid_repeats", "customer_id"}
        for members in self.forecaster.members.values():
            needed.update(*(model.features for model in members.values()))
        missing = sorted(needed - set(features))
        if missing:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise ModelError(
                f"features: lack {', '.join(missing[:3])}{more}: make them as the model's training did"
            )
        names = money_columns(list(features.columns))
        return features.assign(**{name: features[name] / self.plan.money_scale for name in names})

    def _asked(self, features: pd.DataFrame) -> _Asked:
        units = self._units(features)
        return _Asked(units, *self._btyd_columns(units), self._seen_by_learners(units))

    def _seen_by_learners(self, units: pd.DataFrame) -> Seen:
        """The features that learners read, in one piece of memory, which none of them has to copy again."""
        members = [model for named in self.forecaster.members.values() for model in named.values()]
        names = list(dict.fromkeys(name for model in members for name in model.features))
        matrix = units[names].to_numpy(float)
        return Seen(pd.DataFrame(matrix, index=units.index, columns=names, copy=False))

    def _shares(self, asked: _Asked) -> dict[str, np.ndarray]:
        """Feature to its part of BTYD's churn logits."""
        rfm = asked.units[[*PLAYERS, "recency"]]
        return shapley(self._btyd_logits, rfm, self.typical, Target.CHURN.base(asked.near))

    def _btyd_logits(self, rfm: pd.DataFrame) -> np.ndarray:
        """Logit P(no purchase in the label window), one column per family."""
        kind, first = distinct(*(rfm[name].to_numpy(float) for name in HISTORY))
        return Target.CHURN.base(self.btyd.p_no_purchase(rfm.iloc[first], self.plan.label_days))[kind]

    def _btyd_columns(self, units: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """BTYD's answers for the label window and for the horizon."""
        near = self.btyd.columns(units, self.plan.label_days)
        same = self.plan.label_days == self.plan.horizon_days
        return near, near if same else self.btyd.columns(units, self.plan.horizon_days)

    def _link(self, target: Target, asked: _Asked, churn: np.ndarray | None) -> np.ndarray:
        """The blend's answer, its season left out; from a shorter label window it is carried to the horizon.

        Repeats and spend given active take BTYD's step. The chance of no purchase is exp(-hazard), and the
        hazard grows as BTYD says: one third by the customer's own growth and two thirds by the typical one,
        which came out better calibrated on most logs tried. BTYD alone needs no carrying.
        """
        near, far = asked.near, asked.far
        if not self.forecaster.members[target]:
            return target.base(far).mean(axis=1)
        if churn is None or target is not Target.CHURN:
            link = self.forecaster.link(target, asked.seen, near)
        else:
            link = churn
        if far is near:
            return link
        if target is not Target.CHURN:
            return link + target.base(far).mean(axis=1) - target.base(near).mean(axis=1)
        growth = np.exp((np.log(_growth(near, far)) + 2 * self.carry) / 3)
        log_p = -np.logaddexp(0.0, -link) * growth
        return log_p - np.log(-np.expm1(log_p))

    def _figures(self, links: dict[Target, np.ndarray]) -> Figures:
        """Churn probability; repeats and spend given active, in the plan's unit of money."""
        p = np.clip(Target.CHURN.mean(links[Target.CHURN]), 1e-6, 1 - 1e-6)
        repeats, spend = (target.mean(links[target]) for target in (Target.REPEATS, Target.SPEND))
        return np.round(p, PROBABILITY_DIGITS), repeats, spend * self.forecaster.level

    def _season(self, as_of: date) -> dict[Target, float]:
        """What the season adds to the links: as much as the window shares with the one it was learned for."""
        away = abs((as_of - self.plan.cutoff).days)
        shared = max(0.0, 1.0 - away / self.plan.horizon_days)
        return {target: shared * shift for target, shift in self.forecaster.season.items()}

    def _money(
        self, units: pd.DataFrame, far: pd.DataFrame, now: Figures, usual: Figures
    ) -> dict[str, np.ndarray]:
        """Spend in the horizon and CLV with their intervals, in the plan's unit of money.

        `usual` are the figures of `now` without the season, which does not last as long as a lifetime.
        """
        terms = self.clv
        (p, repeats, spend), (usual_p, _, usual_spend) = now, usual
        purchases = (1 - p) * (1 + repeats)
        expected = (1 - p) * spend
        order_value = far["expected_order_value"].to_numpy(float)
        primary = self.btyd.primary
        alone = primary.expected_purchases(units, self.plan.horizon_days) * order_value
        worth = coherent(
            clv(primary, order_value, units, terms.clv_months, terms.monthly_discount_rate, terms.margin),
            (1 - usual_p) * usual_spend,
            alone,
        )
        spread = self.forecaster.spread
        low, high = spread.interval(p, spend, terms.interval, purchases)
        # lifetime value is in proportion to the spend of the horizon, and so is its range
        if_active = np.divide(worth, 1 - usual_p)
        worth_low, worth_high = spread.interval(usual_p, if_active, terms.interval, purchases)
        return {
            "expected_spend": expected,
            "expected_spend_low": low,
            "expected_spend_high": high,
            "clv": worth,
            "clv_low": worth_low,
            "clv_high": worth_high,
        }

    def _next_order(self, units: pd.DataFrame) -> dict[str, np.ndarray]:
        """Median and interval of the days to the next order."""
        beside = (1 - self.clv.interval) / 2
        chances = {"": 0.5, "_low": beside, "_high": 1 - beside}
        primary = self.btyd.primary
        return {
            f"days_to_next_order{name}": np.round(primary.days_to_next_purchase(units, chance), 3)
            for name, chance in chances.items()
        }

    def save(self, folder: Path) -> None:
        """Write the model into an empty or missing folder."""
        folder.mkdir(parents=True, exist_ok=True)
        state, texts = self._state()
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        text = json.dumps({"format": FORMAT, **state}, indent=1, sort_keys=True)
        (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Scorer:
        """Read what :meth:`save` wrote.

        Raises
        ------
        ModelError
            A file is missing or damaged, or was written by another format of churnlab. Boosters are read
            later: see :meth:`prepare`.
        """
        try:
            state = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            if state["format"] != FORMAT:
                raise ModelError(
                    f"{folder}: model format {state['format']}, not {FORMAT}: train it with this churnlab"
                )
            return cls._restore(state, folder)
        except OSError as error:
            raise ModelError(
                f"{folder}: {Path(str(error.filename)).name} is not there: name a model folder"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{folder}: the model is damaged: train it again or roll back") from error

    @property
    def digest(self) -> str:
        """The model's content as 12 hexadecimal digits: equal models have equal digests."""
        state, texts = self._state()
        whole = json.dumps([state, texts], sort_keys=True)
        return hashlib.sha256(whole.encode()).hexdigest()[:12]

    def _state(self) -> tuple[dict[str, Any], dict[str, str]]:
        """What goes into the manifest, and the booster texts by file name."""
        members, texts = forecaster_state(self.forecaster)
        return {
            "plan": self.plan.to_dict(),
            "btyd": self.btyd.to_dict(),
            "forecaster": members,
            "carry": self.carry,
            "typical": self.typical,
            "clv": self.clv.model_dump(mode="json"),
            "risk": self.risk and self.risk.to_dict(),
            "value": self.value and self.value.to_dict(),
            "data_version": self.data_version,
        }, texts

    @classmethod
    def _restore(cls, state: dict[str, Any], folder: Path) -> Scorer:
        return cls(
            plan=LearningPlan.from_dict(state["plan"]),
            btyd=BtydModels.from_dict(state["btyd"]),
            forecaster=forecaster_from_state(state["forecaster"], folder),
            carry=state["carry"],
            typical=state["typical"],
            clv=Clv.model_validate(state["clv"]),
            risk=state["risk"] and Scale.from_dict(state["risk"]),
            value=state["value"] and Scale.from_dict(state["value"]),
            data_version=state["data_version"],
        )


def _growth(near: pd.DataFrame, far: pd.DataFrame) -> np.ndarray:
    """How many times the hazard of a purchase in the horizon is that in the label window, by BTYD."""
    log_p = [-np.logaddexp(0.0, -Target.CHURN.base(columns).mean(axis=1)) for columns in (near, far)]
    return log_p[1] / log_p[0]

"""Keeps labels from flapping: who had a label keeps it until they are well beyond its cut point."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from churnlab.models.labels import Scale

WORDS = ("low", "medium", "high", "top")
UNKNOWN = -1
Coded = tuple[np.ndarray, np.ndarray, np.ndarray]
DIGITS = 6  # of percentiles, beyond what they are rounded to


@dataclass(frozen=True)
class EarlierLabels:
    """The labels of an earlier list, nine bytes a customer.

    Attributes
    ----------
    keys
        64-bit hashes of ids, ascending, each once: what several ids share is left out.
    risk, value
        Places of the labels in `WORDS`, UNKNOWN for another word; int8, as long as `keys`.
    """

    keys: np.ndarray
    risk: np.ndarray
    value: np.ndarray

    @classmethod
    def gather(cls, parts: Iterable[Coded]) -> EarlierLabels:
        """From what :func:`coded` gives of the parts of a list, in any order."""
        arrays = list(parts)
        if not arrays:
            return cls(np.array([], np.uint64), np.array([], np.int8), np.array([], np.int8))
        keys, risk, value = (np.concatenate(column) for column in zip(*arrays, strict=True))
        order = np.argsort(keys, kind="stable")
        keys, same = keys[order], np.diff(keys[order]) == 0
        alone = ~(np.append(same, False) | np.append(False, same))
        return cls(keys[alone], risk[order][alone], value[order][alone])

    def of(self, ids: pd.Series) -> tuple[np.ndarray, np.ndarray]:
        """Places of the risk and the value label of each customer; UNKNOWN for who was not on the list."""
        wanted = _hashed(ids)
        if not len(self.keys):
            return np.full(len(wanted), UNKNOWN), np.full(len(wanted), UNKNOWN)
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        known = self.keys[place] == wanted
        return np.where(known, self.risk[place], UNKNOWN), np.where(known, self.value[place], UNKNOWN)


def coded(part: pd.DataFrame) -> Coded:
    """Keys and places of rows with customer_id, risk_label and value_label."""
    return _hashed(part["customer_id"]), _places(part["risk_label"]), _places(part["value_label"])


def settled(
    scale: Scale, labels: pd.Series, percentiles: pd.Series, earlier: np.ndarray, hysteresis: float
) -> pd.Series:
    """The labels to go by.

    A customer keeps the earlier label as long as the percentile lies no further than the hysteresis beyond
    the cut points between it and the label that the scale says; beyond some of them, they move as far as
    those.

    Parameters
    ----------
    scale
        Cut points; their percentiles are on the same scale as the customers'.
    labels, percentiles
        What the scale says of each customer; percentiles 0 to 100.
    earlier
        Places in `WORDS`, UNKNOWN where there was no label.
    hysteresis
        Share of the base, 0 to 1; 0 keeps nothing.

    Returns
    -------
    Series
        Index of `labels`.
    """
    if not hysteresis:
        return labels
    cuts = scale.percentile(np.array(scale.cuts))
    beyond = np.round(percentiles.to_numpy(float)[:, None] - cuts[None, :], DIGITS)
    said = labels.map({name: place for place, name in enumerate(scale.names)}).to_numpy(int)
    lowest = np.minimum((beyond > 100 * hysteresis).sum(axis=1), said)
    highest = np.maximum((beyond >= -100 * hysteresis).sum(axis=1), said)
    place_of = np.array([scale.names.index(word) if word in scale.names else UNKNOWN for word in WORDS])
    before = np.where(earlier == UNKNOWN, UNKNOWN, place_of[earlier])
    kept = np.where(before == UNKNOWN, said, np.clip(before, lowest, highest))
    return pd.Series(np.array(scale.names, dtype=object)[kept], index=labels.index, dtype="str")


def _hashed(ids: pd.Series) -> np.ndarray:
    """The same on every machine; without a table of the different ids, which would hold all of them."""
    return pd.util.hash_array(ids.to_numpy(dtype=object), categorize=False)


def _places(labels: pd.Series) -> np.ndarray:
    known = {word: place for place, word in enumerate(WORDS)}
    return labels.map(known).fillna(UNKNOWN).to_numpy(np.int8)

"""A booster's answers, asked once for all rows that every split of a tree treats alike.

A tree of a dozen leaves tells a few hundred kinds of rows apart, however many rows there are. Which side
of each split a row falls on is its pattern; rows of one pattern reach the same leaf and have the same SHAP
values of that tree. LightGBM tells the SHAP values of one row of each pattern, and they are spread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np

MOST_SPLITS = 12  # a tree's answers are looked up in a table of 2^splits
BLOCK_ROWS = 131_072
CHUNK_ROWS = 8192  # what the inner loops touch stays in the processor's cache
Split = tuple[int, float, bool]


@dataclass(frozen=True)
class _Tree:
    """One tree of the booster.

    Attributes
    ----------
    number
        Its place in the booster.
    splits
        Column, threshold, and whether a missing value goes to the left, as values up to the threshold do.
    values
        Of the leaf that each pattern leads to, 2^splits.
    features
        The columns that its splits read.
    """

    number: int
    splits: tuple[Split, ...]
    values: np.ndarray

    @property
    def features(self) -> tuple[int, ...]:
        return tuple(sorted({column for column, _, _ in self.splits}))

    def patterns(self, high: Sequence[np.ndarray], low: Sequence[np.ndarray], out: np.ndarray) -> None:
        """Into `out`, a bit per split: which rows go left. Missing is NaN in `high`, -inf in `low`."""
        left = np.empty(len(out), dtype=bool)
        bits, byte = left.view(np.uint8), np.empty(len(out), dtype=np.uint8)
        out[:] = 0
        for begin in range(0, len(self.splits), 8):  # the processor takes bytes faster than longer words
            some = self.splits[begin : begin + 8]
            byte[:] = 0
            for column, threshold, missing_left in some:
                np.less_equal((low if missing_left else high)[column], threshold, out=left)
                np.add(byte, byte, out=byte)
                np.bitwise_or(byte, bits, out=byte)
            np.left_shift(out, len(some), out=out)
            np.bitwise_or(out, byte, out=out)


class Patterns:
    """Answers of a booster whose trees are small; the same for a row whatever other rows are asked about.

    Threads may share it, if they may share the booster.

    Parameters
    ----------
    booster
        A LightGBM booster, or what answers like one.
    trees
        Of the booster, in its order.
    """

    def __init__(self, booster: Any, trees: tuple[_Tree, ...]) -> None:
        self._booster, self._trees = booster, trees
        self._shap = [np.empty((len(tree.features), len(tree.values))) for tree in trees]
        self._known = [np.zeros(len(tree.values), dtype=bool) for tree in trees]
        self._learning = Lock()

    @classmethod
    def of(cls, booster: Any) -> Patterns | None:
        """None where a tree has more than `MOST_SPLITS` splits, or splits of another kind than `<=`."""
        roots = [info["tree_structure"] for info in booster.dump_model()["tree_info"]]
        nodes = [list(_splits(root)) for root in roots]
        plain = all(
            n["decision_type"] == "<=" and n["missing_type"] != "Zero" for tree in nodes for n in tree
        )
        if not plain or max(map(len, nodes), default=0) > MOST_SPLITS:
            return None
        trees = zip(nodes, roots, strict=True)
        return cls(
            booster,
            tuple(_Tree(k, tuple(map(_split, tree)), _values(root)) for k, (tree, root) in enumerate(trees)),
        )

    def link(self, columns: np.ndarray) -> np.ndarray:
        """The raw score of each row: LightGBM's to the last bit.

        Parameters
        ----------
        columns
            (features, rows), float64.
        """
        out = np.zeros(columns.shape[1])
        for block in _slices(columns.shape[1], BLOCK_ROWS):
            self._add_links(_patterns(self._trees, columns[:, block]), out[block])
        return out

    def contributions(self, columns: np.ndarray) -> np.ndarray:
        """SHAP values, (features, rows): LightGBM's, summed tree by tree.

        Parameters
        ----------
        columns
            As in :meth:`link`.
        """
        return self.link_and_contributions(columns)[1]

    def link_and_contributions(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """:meth:`link` and :meth:`contributions`."""
        link, out = np.zeros(columns.shape[1]), np.zeros(columns.shape)
        for block in _slices(columns.shape[1], BLOCK_ROWS):
            patterns = _patterns(self._trees, columns[:, block])
            for tree, row in zip(self._trees, patterns, strict=True):
                self._learn(tree, row, columns[:, block])
            self._add_links(patterns, link[block])
            self._add_contributions(patterns, out[:, block])
        return link, out

    def _add_links(self, patterns: np.ndarray, out: np.ndarray) -> None:
        for chunk in _slices(len(out), CHUNK_ROWS):
            for tree, row in zip(self._trees, patterns, strict=True):
                out[chunk] += tree.values.take(row[chunk], mode="clip")

    def _add_contributions(self, patterns: np.ndarray, out: np.ndarray) -> None:
        for chunk in _slices(out.shape[1], CHUNK_ROWS):
            for tree, row in zip(self._trees, patterns, strict=True):
                which = row[chunk].astype(np.intp)
                for column, told in zip(tree.features, self._shap[tree.number], strict=True):
                    out[column, chunk] += told.take(which, mode="clip")

    def _learn(self, tree: _Tree, patterns: np.ndarray, columns: np.ndarray) -> None:
        """Ask for the SHAP values of those `patterns`, the patterns of `columns`, that are not known yet."""
        known = self._known[tree.number]
        if not tree.splits or known.take(patterns, mode="clip").all():
            return
        with self._learning:  # what another thread has learned by now need not be asked again
            new = np.flatnonzero(~known.take(patterns, mode="clip"))
            distinct, first = np.unique(patterns[new], return_index=True)
            if len(distinct):
                rows = np.ascontiguousarray(columns[:, new[first]].T)
                found = self._booster.predict(
                    rows, pred_contrib=True, start_iteration=tree.number, num_iteration=1, num_threads=1
                )
                self._shap[tree.number][:, distinct] = found[:, list(tree.features)].T
                known[distinct] = True  # last: from now on others read them


def _patterns(trees: tuple[_Tree, ...], columns: np.ndarray) -> np.ndarray:
    """(trees, rows)."""
    out = np.empty((len(trees), columns.shape[1]), dtype=np.uint16)
    for chunk in _slices(columns.shape[1], CHUNK_ROWS):
        high = [np.ascontiguousarray(column[chunk]) for column in columns]
        low = [_with_missing_low(column) for column in high]
        for row, tree in zip(out, trees, strict=True):
            tree.patterns(high, low, row[chunk])
    return out


def _with_missing_low(column: np.ndarray) -> np.ndarray:
    """The column itself where nothing is missing: what is read twice stays in the processor's cache."""
    missing = np.isnan(column)
    return np.where(missing, -np.inf, column) if missing.any() else column


def _slices(rows: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))


def _splits(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The splits of a dumped tree."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if "split_feature" in node:
            yield node
            waiting += [node["right_child"], node["left_child"]]


def _values(root: dict[str, Any]) -> np.ndarray:
    """The value of the leaf that each pattern leads to; its first bit is the first of :func:`_splits`."""
    places = {node["split_index"]: place for place, node in enumerate(reversed(list(_splits(root))))}
    every = np.arange(2 ** len(places))
    out = np.empty(len(every))
    waiting = [(root, np.ones(len(every), dtype=bool))]
    while waiting:
        node, here = waiting.pop()
        if "split_index" in node:
            left = (every >> places[node["split_index"]]) & 1 == 1
            waiting += [(node["left_child"], here & left), (node["right_child"], here & ~left)]
        else:
            out[here] = node["leaf_value"]
    return out


def _split(node: dict[str, Any]) -> Split:
    """Where missing values were not seen in training, LightGBM reads them as 0."""
    threshold = float(node["threshold"])
    missing_left = node["default_left"] if node["missing_type"] == "NaN" else threshold >= 0.0
    return int(node["split_feature"]), threshold, bool(missing_left)

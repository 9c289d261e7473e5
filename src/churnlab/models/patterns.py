"""A booster's answers, asked once for all rows that every split of a tree treats alike.

A tree of a dozen leaves tells a few hundred kinds of rows apart, however many rows there are. Which side
of each split a row falls on is its pattern; rows of one pattern reach the same leaf and have the same SHAP
values of that tree. LightGBM answers for one row of each pattern, and the answers are spread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MOST_SPLITS = 14  # a tree's answers are looked up in a table of 2^splits
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
    features
        The columns that its splits read.
    """

    number: int
    splits: tuple[Split, ...]

    @property
    def features(self) -> tuple[int, ...]:
        return tuple(sorted({column for column, _, _ in self.splits}))

    def patterns(self, high: np.ndarray, low: np.ndarray, out: np.ndarray) -> None:
        """Into `out`, a bit per split: which rows go left. Missing is NaN in `high`, -inf in `low`."""
        left = np.empty_like(out)
        out[:] = 0
        for column, threshold, missing_left in self.splits:
            np.less_equal((low if missing_left else high)[column], threshold, out=left)
            np.add(out, out, out=out)
            np.add(out, left, out=out)


@dataclass(frozen=True)
class _Answers:
    """What is known so far of every tree: (answers, 2^splits), NaN where no row has asked yet."""

    ask: Callable[[_Tree, np.ndarray], np.ndarray]
    tables: dict[int, np.ndarray] = field(default_factory=dict)

    def table(self, tree: _Tree, patterns: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """The tree's answers, those to all of `patterns`, the patterns of `columns`, among them."""
        if tree.number not in self.tables:
            of_any = self.ask(tree, columns[:, :1])
            self.tables[tree.number] = np.full((len(of_any), 2 ** len(tree.splits)), np.nan)
        table = self.tables[tree.number]
        new = np.flatnonzero(np.isnan(table[0].take(patterns, mode="clip")))
        if len(new):
            distinct, first = np.unique(patterns[new], return_index=True)
            table[:, distinct] = self.ask(tree, columns[:, new[first]])
        return table


class Patterns:
    """Answers of a booster whose trees are small; the same for a row whatever other rows are asked about.

    Parameters
    ----------
    booster
        A LightGBM booster.
    trees
        Of the booster, in its order.
    """

    def __init__(self, booster: Any, trees: tuple[_Tree, ...]) -> None:
        self._booster, self._trees = booster, trees
        self._raw, self._shap = _Answers(self._ask_raw), _Answers(self._ask_shap)

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
        return cls(booster, tuple(_Tree(k, tuple(map(_split, tree))) for k, tree in enumerate(nodes)))

    def link(self, columns: np.ndarray) -> np.ndarray:
        """The raw score of each row: LightGBM's to the last bit.

        Parameters
        ----------
        columns
            (features, rows), float64.
        """
        out = np.zeros((1, columns.shape[1]))
        self._add(self._raw, columns, lambda tree: (0,), out)
        return out[0]

    def contributions(self, columns: np.ndarray) -> np.ndarray:
        """SHAP values, (features, rows): LightGBM's, summed tree by tree.

        Parameters
        ----------
        columns
            As in :meth:`link`.
        """
        out = np.zeros(columns.shape)
        self._add(self._shap, columns, lambda tree: tree.features, out)
        return out

    def _add(
        self,
        answers: _Answers,
        columns: np.ndarray,
        places: Callable[[_Tree], tuple[int, ...]],
        out: np.ndarray,
    ) -> None:
        """Add every tree's answers to the rows of `out` that `places` names, tree after tree."""
        trees = [tree for tree in self._trees if places(tree)]
        for block in _slices(columns.shape[1], BLOCK_ROWS):
            inside, total = columns[:, block], out[:, block]
            patterns = _patterns(trees, inside)
            tables = [answers.table(tree, row, inside) for tree, row in zip(trees, patterns, strict=True)]
            for chunk in _slices(inside.shape[1], CHUNK_ROWS):
                for tree, row, table in zip(trees, patterns, tables, strict=True):
                    which = row[chunk].astype(np.intp)
                    for place, told in zip(places(tree), table, strict=True):
                        total[place, chunk] += told.take(which, mode="clip")

    def _ask_raw(self, tree: _Tree, columns: np.ndarray) -> np.ndarray:
        return self._predict(tree, columns, raw_score=True)[None, :]

    def _ask_shap(self, tree: _Tree, columns: np.ndarray) -> np.ndarray:
        return self._predict(tree, columns, pred_contrib=True)[:, list(tree.features)].T

    def _predict(self, tree: _Tree, columns: np.ndarray, **kind: bool) -> np.ndarray:
        rows = np.ascontiguousarray(columns.T)
        found = self._booster.predict(
            rows, start_iteration=tree.number, num_iteration=1, num_threads=1, **kind
        )
        return np.asarray(found, dtype=np.float64)


def _patterns(trees: list[_Tree], columns: np.ndarray) -> np.ndarray:
    """(trees, rows)."""
    out = np.empty((len(trees), columns.shape[1]), dtype=np.uint16)
    for chunk in _slices(columns.shape[1], CHUNK_ROWS):
        high = np.ascontiguousarray(columns[:, chunk])
        low = np.where(np.isnan(high), -np.inf, high)
        for row, tree in zip(out, trees, strict=True):
            tree.patterns(high, low, row[chunk])
    return out


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


def _split(node: dict[str, Any]) -> Split:
    """Where missing values were not seen in training, LightGBM reads them as 0."""
    threshold = float(node["threshold"])
    missing_left = node["default_left"] if node["missing_type"] == "NaN" else threshold >= 0.0
    return int(node["split_feature"]), threshold, bool(missing_left)

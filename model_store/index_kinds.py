"""The kinds of index that find the items whose vectors have the largest inner products with a query.

Row 0 of the vectors stands for the unknown item and is never found. `model_store.item_index` says what a
search asks for and answers, and which catalogue gets which kind.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Final

import faiss
import msgspec
import numpy as np
import numpy.typing as npt

from model_store.coded_lists import CodedLists
from model_store.kernels.vectors import fill_best
from model_store.top_k import best_columns

Floats = npt.NDArray[np.float32]
Items = npt.NDArray[np.int64]
Found = tuple[npt.NDArray[np.int64], Floats]

INDEX_FILE: Final = "items.faiss"

_SCORES_AT_ONCE: Final = 4_000_000
# Few of the items that are skipped are among the best, and a longer list of the best costs twice as much.
_SPARE: Final = 4


class IndexDescription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `index.json` says. ``kind`` is ``exact``, ``ivf`` or ``coded``; numbers are 0 where it has none.

    ``recall_at_20`` is the share of the exact 20 best items that the index finds, the mean over
    ``measured_queries`` sampled queries; ``query_source`` tells where those came from. ``compared_again`` is
    how many more items than are wanted are compared exactly behind their codes; ``centroids_compared``, among
    how many centroids at least the probed lists are looked for.
    """

    kind: str
    items: int
    lists: int
    probes: int
    recall_at_20: float
    measured_queries: int
    query_source: str
    compared_again: int = 0
    centroids_compared: int = 0


class ExactIndex:
    """Compares a query with every item, by one matrix product."""

    def __init__(self, item_vectors: Floats) -> None:
        """Take float32[items, dimensions], row 0 being the unknown item. The array is kept, not copied."""
        self._vectors = item_vectors
        self.description = IndexDescription("exact", len(item_vectors) - 1, 0, 0, 1.0, 0, "")

    def search(self, queries: Floats, k: int, skipped: Items | None = None) -> Found:
        """Return the exact answer; see `item_index.ItemIndex.search`. Slices bound its memory."""
        items = len(self._vectors)
        k = min(k, items - 1)
        indices, best = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
        if not k:
            return indices, best
        rows = min(64, max(8, _SCORES_AT_ONCE // items))
        group = _group(items, k)
        columns = -(-items // group) * group
        scores = np.empty((min(rows, len(queries)), columns), np.float32)
        for start in range(0, len(queries), rows):
            part = queries[start : start + rows]
            filled = scores[: len(part)]
            np.matmul(part, self._vectors.T, out=filled[:, :items])
            filled[:, 0] = -np.inf
            filled[:, items:] = -np.inf
            place = slice(start, start + rows)
            if skipped is not None:
                np.put_along_axis(filled, skipped[place], -np.inf, axis=1)
            indices[place], best[place] = best_columns(filled, k, group)
        indices[best == -np.inf] = 0
        return indices, best


class _ProbingIndex(ABC):
    """Looks at the nearest lists, and further only for queries that they hold too few items for."""

    description: IndexDescription

    def search(self, queries: Floats, k: int, skipped: Items | None = None) -> Found:
        """Return the approximate answer; see `item_index.ItemIndex.search`.

        A query's answer does not depend on the queries beside it. Where the probed lists hold fewer than
        ``k`` items, all items are searched.
        """
        k = min(k, self.description.items)
        queries = np.ascontiguousarray(queries, np.float32)
        skipped = np.zeros((len(queries), 0), np.int64) if skipped is None else skipped
        found = self._nearest(queries, skipped, k)
        short = _short(found)
        if len(short):
            found[0][short], found[1][short] = self._everywhere(queries[short], skipped[short], k)
        return found

    @abstractmethod
    def _nearest(self, queries: Floats, skipped: Items, k: int) -> Found:
        """Search the lists that are probed."""

    @abstractmethod
    def _everywhere(self, queries: Floats, skipped: Items, k: int) -> Found:
        """Search all items."""


class ApproximateIndex(_ProbingIndex):
    """A faiss IVF,Flat index: compares a query with the items of the nearest lists only."""

    def __init__(self, index: faiss.IndexIVFFlat, description: IndexDescription) -> None:
        """Take a trained index whose ids are the items' rows."""
        self._index = index
        self.description = description

    def _nearest(self, queries: Floats, skipped: Items, k: int) -> Found:
        """Search ``k`` items and a few more, and as many more as are skipped only where that was too few."""
        probes, skippable = self.description.probes, skipped.shape[1]
        found = self._search(queries, skipped, k, min(skippable, _SPARE), probes)
        short = _short(found)
        if skippable > _SPARE and len(short):
            found[0][short], found[1][short] = self._search(
                queries[short], skipped[short], k, skippable, probes
            )
        return found

    def _everywhere(self, queries: Floats, skipped: Items, k: int) -> Found:
        return self._search(queries, skipped, k, skipped.shape[1], self.description.lists)

    def _search(self, queries: Floats, skipped: Items, k: int, more: int, probes: int) -> Found:
        found = np.zeros((len(queries), k), np.int64), np.full((len(queries), k), -np.inf, np.float32)
        depth = min(k + more, self.description.items)
        asked = faiss.SearchParametersIVF(nprobe=probes)  # type: ignore[call-arg]
        scores, indices = self._index.search(queries, depth, params=asked)
        fill_best(indices, scores, skipped, *found)
        return found

    def save(self, directory: Path) -> None:
        """Write the faiss file into ``directory``."""
        faiss.write_index(self._index, str(directory / INDEX_FILE))


class CodedIndex(_ProbingIndex):
    """Compares a query with 8-bit codes of the items in the nearest lists, then with the best vectors."""

    def __init__(self, coded: CodedLists, item_vectors: Floats, description: IndexDescription) -> None:
        """Take the lists, and the vectors that they were trained on, which are kept and not copied."""
        self._coded = coded
        self._vectors = item_vectors
        self.description = description

    def _nearest(self, queries: Floats, skipped: Items, k: int) -> Found:
        asked = self.description.probes, self.description.centroids_compared
        return self._coded.search(queries, self._vectors, skipped, k, *asked)

    def _everywhere(self, queries: Floats, skipped: Items, k: int) -> Found:
        return ExactIndex(self._vectors).search(queries, k, skipped)

    def save(self, directory: Path) -> None:
        """Write the lists into ``directory``."""
        self._coded.save(directory)


def _short(found: Found) -> Items:
    """Return the rows in which fewer items were found than there is room for."""
    return np.flatnonzero((found[0] == 0).any(axis=1))


def _group(items: int, k: int) -> int:
    """Return how many scores to compare at once: the quickest by measurement, leaving groups enough."""
    group = 16 if items < 8_192 else 32
    return group if items >= 2 * k * group else 1

"""The items of a large catalogue in many short lists (an inverted file), with 8 bits kept of each number.

A query is compared with all centroids by their 4-bit codes (faiss's FastScan of a product quantiser), exactly
with the best of them, then with the 8-bit codes in the nearest lists, and at last with the network's own
vectors of the best items, so that those are held once. No step depends on the queries beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import faiss
import numpy as np
import numpy.typing as npt

from model_store.kernels.coded_lists import Lists, Room, search_lists

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Told = Callable[[int, int], None]

CENTROIDS_FILE: Final = "lists.faiss"
LISTS_FILE: Final = "lists.npz"
DIMENSIONS_OF_A_CODE: Final = 2
# Measured: codes err by a thousandth of a cosine, and comparing 8 more again finds all that 16 more find.
COMPARED_AGAIN: Final = 8

_ITEMS_PER_LIST: Final = 64
_FEWEST_LISTS: Final = 16  # a code of 4 bits is chosen among as many
_MOST_LISTS: Final = 1 << 15
_CENTROIDS_COMPARED_AGAIN: Final = 4  # for each one that is wanted
_LEAST_COMPARED_AGAIN: Final = 16  # when one is wanted
# Measured: of faiss's ways through 4-bit codes the quickest, by a fifth, in batches of any size.
_FAST_SCAN_WAY: Final = 15
_TRAINING_POINTS_PER_LIST: Final = 16
_TRAINING_ROUNDS: Final = 4
_LARGEST_CODE: Final = 127
_LEAST_STEP: Final = np.float32(1e-12)
_ROWS_AT_ONCE: Final = 1 << 16


@dataclass(frozen=True, eq=False)
class CodedLists:
    """The ``lists`` and a faiss index that finds the centroids of those near a query."""

    centroids: faiss.IndexRefineFlat
    lists: Lists

    @classmethod
    def trained(cls, item_vectors: Floats, seed: int, told: Told | None = None) -> Self:
        """Return all but row 0 of ``item_vectors`` float32[1 + N, D] in about N/64 lists by k-means.

        D is divisible by `DIMENSIONS_OF_A_CODE`. ``told`` is called with how many items are in their lists
        and how many there are.
        """
        items = len(item_vectors) - 1
        count = 1 << round(np.log2(items / _ITEMS_PER_LIST))
        count = min(max(count, _FEWEST_LISTS), _MOST_LISTS)
        generator = np.random.default_rng(seed)
        points = min(count * _TRAINING_POINTS_PER_LIST, items)
        centroids = _means(
            item_vectors[np.sort(generator.choice(items, points, replace=False)) + 1], count, seed
        )
        nearest = np.empty(items, np.int64)
        for rows in _slices(items):
            nearest[rows] = centroids.search(item_vectors[1:][rows], 1)[1][:, 0]
            if told is not None:
                told(min(rows.stop, items), items)
        order = np.argsort(nearest, kind="stable")
        starts = np.searchsorted(nearest[order], np.arange(count + 1)).astype(np.int64)
        largest = np.maximum(item_vectors[1:].max(axis=0), -item_vectors[1:].min(axis=0))
        steps = np.maximum(largest / np.float32(_LARGEST_CODE), _LEAST_STEP)
        codes = np.empty((items, item_vectors.shape[1]), np.int8)
        for rows in _slices(items):
            codes[rows] = np.rint(item_vectors[order[rows] + 1] / steps)
        return cls(_searchable(centroids), Lists(starts, (order + 1).astype(np.int32), codes, steps))

    @property
    def shape(self) -> tuple[int, int]:
        """How many items there are, and of how many dimensions."""
        items, dimensions = self.lists.codes.shape
        return items, dimensions

    def search(
        self, queries: Floats, vectors: Floats, skipped: Ints, k: int, probes: int
    ) -> tuple[Ints, Floats]:
        """Return the ``k`` best items of the ``probes`` nearest lists, best first, and their inner products.

        They are [B, k], 0 with -inf behind the last one. ``vectors`` are those that the lists were trained
        on, ``skipped`` int64[B, any] items that shall not be found, 0 for none.
        """
        found, scores = np.zeros((len(queries), k), np.int64), np.full((len(queries), k), -np.inf, np.float32)
        short = k + COMPARED_AGAIN
        room = Room(
            np.empty(queries.shape[1], np.int16), np.empty(short, np.int32), np.empty(short, np.int64)
        )
        probed = self.centroids.search(queries, probes)[1]
        search_lists(queries, probed, self.lists, vectors, skipped, room, found, scores)
        return found, scores

    def save(self, directory: Path) -> None:
        """Write the centroids and the lists into ``directory``."""
        faiss.write_index(self.centroids, str(directory / CENTROIDS_FILE))
        np.savez(directory / LISTS_FILE, allow_pickle=False, **self.lists._asdict())

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Return the lists in ``directory``.

        Raises FileNotFoundError or RuntimeError where a file is missing, ValueError or RuntimeError where one
        holds something else.
        """
        centroids = faiss.read_index(str(directory / CENTROIDS_FILE))
        if not isinstance(centroids, faiss.IndexRefineFlat):
            raise ValueError(f"{CENTROIDS_FILE} holds no centroids")
        with (directory / LISTS_FILE).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            lists = Lists(*(archive[name] for name in Lists._fields))
        if (len(lists.starts), lists.starts[-1]) != (centroids.ntotal + 1, len(lists.items)):
            raise ValueError(f"{LISTS_FILE} holds the lists of other centroids")
        return cls(_searchable(centroids), lists)


def _means(points: Floats, count: int, seed: int) -> faiss.IndexRefineFlat:
    """Return ``count`` centroids of ``points``, of length 1, found with the same approximate search."""
    settings = faiss.ClusteringParameters()
    settings.niter = _TRAINING_ROUNDS
    settings.seed = seed + 1
    settings.spherical = True
    settings.max_points_per_centroid = _TRAINING_POINTS_PER_LIST
    settings.min_points_per_centroid = 1  # fewer than faiss likes cost recall, which is measured
    clustering = faiss.Clustering(points.shape[1], count, settings)
    clustering.train(points, _centroid_index(points[: 1 << 16]))
    means = faiss.vector_to_array(clustering.centroids).reshape(count, -1)
    index = _centroid_index(means)
    index.add(means)
    return index


def _centroid_index(examples: Floats) -> faiss.IndexRefineFlat:
    """Return an empty index for vectors like ``examples``."""
    dimensions = examples.shape[1]
    coded = faiss.IndexPQFastScan(
        dimensions, dimensions // DIMENSIONS_OF_A_CODE, 4, faiss.METRIC_INNER_PRODUCT
    )
    coded.pq.cp.min_points_per_centroid = 1  # of 16 centroids, as above
    coded.train(examples)
    index = faiss.IndexRefineFlat(coded)
    index.k_factor = _LEAST_COMPARED_AGAIN
    return index


def _searchable(index: faiss.IndexRefineFlat) -> faiss.IndexRefineFlat:
    coded: Any = faiss.downcast_index(index.base_index)
    coded.implem = _FAST_SCAN_WAY
    index.k_factor = _CENTROIDS_COMPARED_AGAIN
    return index


def _slices(count: int) -> Iterator[slice]:
    return (slice(start, start + _ROWS_AT_ONCE) for start in range(0, count, _ROWS_AT_ONCE))

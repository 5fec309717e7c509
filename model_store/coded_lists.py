"""The items of a large catalogue in many short lists (an inverted file), with 8 bits kept of each number.

A query is compared with all centroids by the sides of random directions on which they stand
(`model_store.kernels.list_choice`), with the best of them by 8-bit codes, then with the codes in the nearest
lists, and at last with the network's own vectors of the best items, so that those are held once. No step
depends on the queries beside it.
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
from model_store.kernels.list_choice import BLOCK_LISTS, DIRECTIONS, WORD_BITS, Centroids, Choice

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Told = Callable[[int, int], None]

LISTS_FILE: Final = "lists.npz"
DIMENSIONS_OF_A_CODE: Final = 2
# Measured: codes err by a thousandth of a cosine, and comparing 8 more again finds all that 16 more find.
COMPARED_AGAIN: Final = 8

_ITEMS_PER_LIST: Final = 64
_FEWEST_LISTS: Final = 16  # a code of 4 bits is chosen among as many
_MOST_LISTS: Final = 1 << 15
_COMPARED_AGAIN_IN_TRAINING: Final = 16
_TRAINING_POINTS_PER_LIST: Final = 16
_TRAINING_ROUNDS: Final = 4
_LARGEST_CODE: Final = 127
_LEAST_STEP: Final = np.float32(1e-12)
_ROWS_AT_ONCE: Final = 1 << 16
_PREFIX: Final = "centroid_"


@dataclass(frozen=True, eq=False)
class CodedLists:
    """The ``lists`` and the ``centroids``, by which those near a query are found."""

    centroids: Centroids
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
        means, index = _means(
            item_vectors[np.sort(generator.choice(items, points, replace=False)) + 1], count, seed
        )
        nearest = np.empty(items, np.int64)
        for rows in _slices(items):
            nearest[rows] = index.search(item_vectors[1:][rows], 1)[1][:, 0]
            if told is not None:
                told(min(rows.stop, items), items)
        order = np.argsort(nearest, kind="stable")
        starts = np.searchsorted(nearest[order], np.arange(count + 1)).astype(np.int64)
        largest = np.maximum(item_vectors[1:].max(axis=0), -item_vectors[1:].min(axis=0))
        steps = np.maximum(largest / np.float32(_LARGEST_CODE), _LEAST_STEP)
        codes = np.empty((items, item_vectors.shape[1]), np.int8)
        for rows in _slices(items):
            codes[rows] = _coded(item_vectors[order[rows] + 1], steps)
        lists = Lists(starts, (order + 1).astype(np.int32), codes, steps)
        return cls(_findable(means, steps, generator), lists)

    @property
    def shape(self) -> tuple[int, int]:
        """How many items there are, and of how many dimensions."""
        items, dimensions = self.lists.codes.shape
        return items, dimensions

    def search(
        self, queries: Floats, vectors: Floats, skipped: Ints, k: int, probes: int, compared: int
    ) -> tuple[Ints, Floats]:
        """Return the ``k`` best items of the ``probes`` nearest lists, best first, and their inner products.

        They are [B, k], 0 with -inf behind the last one. ``vectors`` are those that the lists were trained
        on, ``skipped`` int64[B, any] items that shall not be found, 0 for none. The nearest lists are looked
        for among those of ``compared`` centroids at least.
        """
        found, scores = np.zeros((len(queries), k), np.int64), np.full((len(queries), k), -np.inf, np.float32)
        room = _room(self.centroids, k + COMPARED_AGAIN, probes)
        search_lists(queries, self.centroids, compared, self.lists, vectors, skipped, room, found, scores)
        return found, scores

    def save(self, directory: Path) -> None:
        """Write the centroids and the lists into ``directory``."""
        arrays = {**_prefixed(self.centroids), **self.lists._asdict()}
        np.savez(directory / LISTS_FILE, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Return the lists in ``directory``.

        Raises FileNotFoundError where the file is missing, ValueError, KeyError or BadZipFile where it holds
        something else.
        """
        with (directory / LISTS_FILE).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            lists = Lists(*(archive[name] for name in Lists._fields))
            centroids = Centroids(*(archive[_PREFIX + name] for name in Centroids._fields))
        if (len(lists.starts), lists.starts[-1]) != (len(centroids.codes) + 1, len(lists.items)):
            raise ValueError(f"{LISTS_FILE} holds the lists of other centroids")
        return cls(centroids, lists)


def _prefixed(centroids: Centroids) -> dict[str, npt.NDArray[Any]]:
    return {_PREFIX + name: values for name, values in centroids._asdict().items()}


def _findable(means: Floats, steps: Floats, generator: np.random.Generator) -> Centroids:
    """Return the centroids ``means`` [L, D] as kernels look for them."""
    count, dimensions = means.shape
    bases = [
        np.linalg.qr(generator.normal(size=(dimensions, dimensions)))[0]
        for _ in range(-(-DIRECTIONS // dimensions))
    ]
    directions = np.ascontiguousarray(np.concatenate(bases)[:DIRECTIONS].T, np.float32)
    words = np.packbits(means @ directions > 0, axis=1, bitorder="little").view("<u8")
    words = np.pad(words, ((0, -count % BLOCK_LISTS), (0, 0)), mode="edge")  # no list but one that there is
    sides = words.reshape(-1, BLOCK_LISTS, DIRECTIONS // WORD_BITS).transpose(0, 2, 1)
    return Centroids(directions, np.ascontiguousarray(sides, np.uint64), _coded(means, steps))


def _coded(vectors: Floats, steps: Floats) -> npt.NDArray[np.int8]:
    codes: npt.NDArray[np.int8] = np.rint(vectors / steps).clip(-_LARGEST_CODE, _LARGEST_CODE).astype(np.int8)
    return codes


def _room(centroids: Centroids, short: int, probes: int) -> Room:
    """Return the room for a ``short`` list of items and for ``probes`` lists."""
    choice = Choice(
        np.empty(DIRECTIONS, np.float32),
        np.empty(DIRECTIONS // WORD_BITS, np.uint64),
        np.empty(len(centroids.sides), np.int64),
        np.empty(DIRECTIONS + 1, np.int64),
        np.empty(probes, np.int32),
        np.empty(probes, np.int64),
    )
    query = np.empty(len(centroids.directions), np.int16)
    return Room(choice, query, np.empty(short, np.int32), np.empty(short, np.int64))


def _means(points: Floats, count: int, seed: int) -> tuple[Floats, faiss.IndexRefineFlat]:
    """Return ``count`` centroids of ``points``, of length 1, and the approximate index that found them."""
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
    return means, index


def _centroid_index(examples: Floats) -> faiss.IndexRefineFlat:
    """Return an empty index for vectors like ``examples``."""
    dimensions = examples.shape[1]
    coded = faiss.IndexPQFastScan(
        dimensions, dimensions // DIMENSIONS_OF_A_CODE, 4, faiss.METRIC_INNER_PRODUCT
    )
    coded.pq.cp.min_points_per_centroid = 1  # of 16 centroids, as above
    coded.train(examples)
    index = faiss.IndexRefineFlat(coded)
    index.k_factor = _COMPARED_AGAIN_IN_TRAINING
    return index


def _slices(count: int) -> Iterator[slice]:
    return (slice(start, start + _ROWS_AT_ONCE) for start in range(0, count, _ROWS_AT_ONCE))

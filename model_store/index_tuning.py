"""How many lists an IVF index gets and how many a query probes: the cheapest pair with the wanted recall."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import faiss
import numpy as np
import numpy.typing as npt

from model_store.coded_lists import DIMENSIONS_OF_A_CODE, CodedLists, Told

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

MEASURED_QUERIES: Final = 1_000
# Coded lists lose all of a few queries' items and none of most: their recall is measured with more of them.
MEASURED_QUERIES_OF_CODED: Final = 2_000
# Measured: scanning half of the lists costs about as much as exact search, which is one matrix product.
LARGEST_PROBED_SHARE: Final = 0.5

_NOISE: Final = 0.4
_FEWEST_LISTS: Final = 2.0  # in square roots of the catalogue's size
_MOST_LISTS: Final = 8.0
# Measured: choosing the lists, a matrix product, costs half as much a list as scanning does an item.
_LIST_COST: Final = 0.5
_TRAINING_POINTS_PER_LIST: Final = 64
_MOST_TRAINING_POINTS: Final = 1 << 18
_TRAINING_ROUNDS: Final = 10
_CENTROIDS_PER_PROBE: Final = (4, 8, 16, 32, 64)
# Measured: a centroid that is compared behind its sides costs as much as this many items of a list.
_CENTROID_COST: Final = 4.0
_MOST_CODED_PROBES: Final = 256  # real vectors, in less clear clusters, need many: see decision 0020


@dataclass(frozen=True)
class TunedIndex:
    """A trained index, the probes that suffice, and the mean recall that was measured with them."""

    index: faiss.IndexIVFFlat
    lists: int
    probes: int
    recall: float

    @property
    def scanned_items(self) -> float:
        """How many items a query is compared with, about."""
        return float(self.probes * self.index.ntotal / self.lists)

    @property
    def cost(self) -> float:
        """What a query costs, in comparisons with an item."""
        return self.scanned_items + _LIST_COST * self.lists


def tuned_index(
    item_vectors: Floats, sample: Floats, wanted_items: Indices, wanted_recall: float, seed: int
) -> TunedIndex | None:
    """Return the cheapest index found, or None where exact search is cheaper than one with the wanted recall.

    ``wanted_items`` int64[queries, depth] is the exact answer to ``sample`` float32[queries, dimensions]. The
    mean recall less two standard errors must reach ``wanted_recall``. The ids are the rows of
    ``item_vectors``, of which row 0 is left out.
    """
    root = np.sqrt(len(item_vectors) - 1)
    lists = 1 << round(np.log2(_FEWEST_LISTS * root))
    best: TunedIndex | None = None
    while True:
        found = _with_least_probes(_trained(item_vectors, lists, seed), sample, wanted_items, wanted_recall)
        if found is None or (best is not None and found.cost >= best.cost):
            return best
        best = found
        if found.scanned_items <= _LIST_COST * lists or lists >= _MOST_LISTS * root:
            return best  # twice as many lists would cost more to choose from than they could save
        lists *= 2


@dataclass(frozen=True)
class TunedLists:
    """Coded lists, the probes and the compared centroids that suffice, and the mean recall with them."""

    lists: CodedLists
    probes: int
    compared: int
    recall: float

    @property
    def cost(self) -> float:
        """What a query costs behind the look at all centroids, in comparisons with an item."""
        items_per_list = self.lists.shape[0] / (len(self.lists.lists.starts) - 1)
        return self.probes * items_per_list + _CENTROID_COST * self.compared


def tuned_lists(
    item_vectors: Floats,
    sample: Floats,
    wanted_items: Indices,
    wanted_recall: float,
    seed: int,
    told: Told | None = None,
) -> TunedLists | None:
    """Return coded lists with the cheapest search that suffices, or None where that takes too many probes.

    What suffices is said in `tuned_index`; ``told`` is called as `CodedLists.trained` says.
    """
    if item_vectors.shape[1] % DIMENSIONS_OF_A_CODE:
        return None
    coded = CodedLists.trained(item_vectors, seed, told)
    none, depth = np.zeros((len(sample), 0), np.int64), wanted_items.shape[1]
    count = len(coded.lists.starts) - 1

    def recalls(probes: int, times: int) -> Floats:
        found, _ = coded.search(sample, item_vectors, none, depth, probes, times * probes)
        return _shares(wanted_items, found)

    def found_with(times: int) -> TunedLists | None:
        probes = _least(lambda probes: _suffices(recalls(probes, times), wanted_recall), most)
        if probes is None:
            return None
        recall = round(float(recalls(probes, times).mean()), 6)
        return TunedLists(coded, probes, min(times * probes, count), recall)

    most = min(_MOST_CODED_PROBES, int(count * LARGEST_PROBED_SHARE))
    found = [one for one in map(found_with, _CENTROIDS_PER_PROBE) if one is not None]
    return min(found, key=lambda one: one.cost, default=None)


def sampled_queries(
    item_vectors: Floats, queries: Floats | None, seed: int, number: int = MEASURED_QUERIES
) -> tuple[Floats, str]:
    """Return ``number`` queries, float32[queries, dimensions], and where they come from.

    Up to half of them are of ``queries``, the model's own. The rest are item vectors with noise of 0.4 of
    their length, since a query is near an item and not on it.
    """
    generator = np.random.default_rng(seed)
    own = np.empty((0, item_vectors.shape[1]), np.float32)
    if queries is not None and len(queries):
        count = min(len(queries), number // 2)
        own = queries[generator.choice(len(queries), count, replace=False)]
    rest = number - len(own)
    near = item_vectors[generator.integers(1, len(item_vectors), rest)]
    noise = generator.normal(scale=_NOISE / np.sqrt(near.shape[1]), size=near.shape)
    sample = np.concatenate([own, near + noise]).astype(np.float32)
    sample /= np.linalg.norm(sample, axis=1, keepdims=True)
    return sample, "the model's queries and noisy item vectors" if len(own) else "noisy item vectors"


def _trained(item_vectors: Floats, lists: int, seed: int) -> faiss.IndexIVFFlat:
    """Return an IVF,Flat index of ``lists`` lists that holds every item but the unknown one."""
    dimensions = item_vectors.shape[1]
    quantizer = faiss.IndexFlatIP(dimensions)
    index = faiss.IndexIVFFlat(quantizer, dimensions, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = seed + 1
    index.cp.niter = _TRAINING_ROUNDS
    index.cp.max_points_per_centroid = min(_TRAINING_POINTS_PER_LIST, _MOST_TRAINING_POINTS // lists)
    index.cp.min_points_per_centroid = 1  # fewer than faiss likes cost recall, which is measured here
    known = np.ascontiguousarray(item_vectors[1:], np.float32)
    index.train(known)
    index.add_with_ids(known, np.arange(1, len(item_vectors), dtype=np.int64))
    return index


def _with_least_probes(
    index: faiss.IndexIVFFlat, sample: Floats, wanted_items: Indices, wanted_recall: float
) -> TunedIndex | None:
    """Return ``index`` with the least number of probes that suffices, or None where that is too many."""

    def recalls(probes: int) -> Floats:
        index.nprobe = probes
        return _shares(wanted_items, index.search(sample, wanted_items.shape[1])[1])

    lists = int(index.nlist)
    most = int(lists * LARGEST_PROBED_SHARE)
    probes = _least(lambda probes: _suffices(recalls(probes), wanted_recall), most)
    if probes is None:
        return None
    return TunedIndex(index, lists, probes, round(float(recalls(probes).mean()), 6))


def _shares(wanted_items: Indices, found: Indices) -> Floats:
    """Return the share of each row's wanted items that was found."""
    shares: Floats = (wanted_items[:, :, None] == found[:, None, :]).any(axis=2).mean(axis=1)
    return shares


def _suffices(shares: Floats, wanted_recall: float) -> bool:
    return bool(shares.mean() - 2 * shares.std() / np.sqrt(len(shares)) >= wanted_recall)


def _least(suffices: Callable[[int], bool], most: int) -> int | None:
    """Return the least number in 1..``most`` that suffices, or None where even ``most`` does not."""
    if not suffices(most):
        return None
    low, high = 1, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle + 1, high)
    return low

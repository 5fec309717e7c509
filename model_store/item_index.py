"""Next items: the items of the whole catalogue whose vectors have the largest inner product with a query.

A small catalogue is searched exactly. A large one gets a faiss IVF,Flat index that probes the least number
of lists with which it reaches the wanted recall against the exact answer on sampled queries; the measured
recall is stored beside it. Where no cheap number reaches it, the search stays exact. Row 0 of the vectors
stands for the unknown item and is never found.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol

import faiss
import msgspec
import numpy as np
import numpy.typing as npt

from model_store.errors import FileAbsentError, FileCorruptError
from model_store.index_tuning import sampled_queries, tuned_index
from model_store.kernels.vectors import fill_best
from model_store.top_k import best_columns

Floats = npt.NDArray[np.float32]
Items = npt.NDArray[np.int64]
Found = tuple[npt.NDArray[np.int64], Floats]

INDEX_FILE: Final = "items.faiss"
INDEX_DESCRIPTION_FILE: Final = "index.json"
RECALL_DEPTH: Final = 20
WANTED_RECALL: Final = 0.99
# Measured at 64 dimensions: exact search of 10,000 items takes 23 us a query, a clustered IVF 15 us.
EXACT_UP_TO_ITEMS: Final = 10_000

_SCORES_AT_ONCE: Final = 4_000_000


class IndexDescription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `index.json` says. ``kind`` is ``exact`` or ``ivf``; ``lists`` and ``probes`` are 0 when exact.

    ``recall_at_20`` is the share of the exact 20 best items that the index finds, the mean over
    ``measured_queries`` sampled queries; ``query_source`` tells where those came from.
    """

    kind: str
    items: int
    lists: int
    probes: int
    recall_at_20: float
    measured_queries: int
    query_source: str


class ItemIndex(Protocol):
    """Finds the best items of a whole catalogue. One index may serve many threads."""

    @property
    def description(self) -> IndexDescription:
        """What the index is, and the recall that was measured when it was built."""

    def search(self, queries: Floats, k: int, skipped: Items | None = None) -> Found:
        """Return the ``k`` best items and their inner products for each of ``queries``, without ``skipped``.

        ``queries`` is float32[batch, dimensions]. The indices are int64[batch, k'] and the scores
        float32[batch, k'], best first and by index where scores are equal; k' is ``k``, or the
        catalogue's size where that is smaller, even 0. ``skipped`` int64[batch, any] are items that shall
        not be found, 0 for none; where fewer than k' others are left, the last are 0 with -inf.
        """


class ExactIndex:
    """Compares a query with every item, by one matrix product."""

    def __init__(self, item_vectors: Floats) -> None:
        """Take float32[items, dimensions], row 0 being the unknown item. The array is kept, not copied."""
        self._vectors = item_vectors
        self.description = IndexDescription("exact", len(item_vectors) - 1, 0, 0, 1.0, 0, "")

    def search(self, queries: Floats, k: int, skipped: Items | None = None) -> Found:
        """Return the exact answer; see `ItemIndex.search`. The work is done in slices of bounded memory."""
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


class ApproximateIndex:
    """A faiss IVF,Flat index: compares a query with the items of the nearest lists only."""

    def __init__(self, index: faiss.IndexIVFFlat, description: IndexDescription) -> None:
        """Take a trained index whose ids are the items' rows."""
        self._index = index
        self.description = description

    def search(self, queries: Floats, k: int, skipped: Items | None = None) -> Found:
        """Return the approximate answer; see `ItemIndex.search`.

        A query's answer does not depend on the queries beside it. Where the probed lists hold fewer than
        ``k`` items, all lists are searched.
        """
        k = min(k, self.description.items)
        queries = np.ascontiguousarray(queries, np.float32)
        skipped = np.zeros((len(queries), 0), np.int64) if skipped is None else skipped
        found = np.zeros((len(queries), k), np.int64), np.full((len(queries), k), -np.inf, np.float32)
        self._search(queries, skipped, found, self.description.probes)
        short = np.flatnonzero(found[0][:, -1] == 0) if k else np.empty(0, np.int64)
        if len(short):
            again = np.zeros((len(short), k), np.int64), np.full((len(short), k), -np.inf, np.float32)
            self._search(queries[short], skipped[short], again, self.description.lists)
            found[0][short], found[1][short] = again
        return found

    def _search(self, queries: Floats, skipped: Items, found: Found, probes: int) -> None:
        depth = min(found[0].shape[1] + skipped.shape[1], self.description.items)
        asked = faiss.SearchParametersIVF(nprobe=probes)  # type: ignore[call-arg]
        scores, indices = self._index.search(queries, depth, params=asked)
        fill_best(indices, scores, skipped, *found)

    def save(self, directory: Path) -> None:
        """Write the faiss file into ``directory``."""
        faiss.write_index(self._index, str(directory / INDEX_FILE))


def build_item_index(
    item_vectors: Floats,
    queries: Floats | None = None,
    *,
    exact: bool = False,
    wanted_recall: float = WANTED_RECALL,
    seed: int = 0,
) -> ExactIndex | ApproximateIndex:
    """Return the index for a catalogue: exact for a small one or when asked, else the cheapest that suffices.

    ``item_vectors`` is float32[items, dimensions] with the unknown item as row 0, the others of length 1;
    ``queries``, float32[any, dimensions], are queries that the model itself makes, on which the recall is
    measured beside noisy item vectors (`index_tuning.sampled_queries`).
    """
    items = len(item_vectors) - 1
    if exact or items <= EXACT_UP_TO_ITEMS:
        return ExactIndex(item_vectors)
    sample, source = sampled_queries(item_vectors, queries, seed)
    wanted_items, _ = ExactIndex(item_vectors).search(sample, RECALL_DEPTH)
    tuned = tuned_index(item_vectors, sample, wanted_items, wanted_recall, seed)
    if tuned is None:
        return ExactIndex(item_vectors)
    description = IndexDescription("ivf", items, tuned.lists, tuned.probes, tuned.recall, len(sample), source)
    return ApproximateIndex(tuned.index, description)


def save_item_index(directory: Path, index: ExactIndex | ApproximateIndex) -> None:
    """Write `index.json` into ``directory``, and the faiss file if there is one."""
    described = msgspec.json.format(msgspec.json.encode(index.description), indent=1)
    (directory / INDEX_DESCRIPTION_FILE).write_bytes(described)
    if isinstance(index, ApproximateIndex):
        index.save(directory)


def load_item_index(
    directory: Path, item_vectors: Floats, *, exact: bool = False
) -> ExactIndex | ApproximateIndex:
    """Return the index in ``directory``, or an exact one over ``item_vectors`` when asked.

    The caller has verified the directory against its manifest. Raises `FileAbsentError` or
    `FileCorruptError`.
    """
    path = directory / INDEX_DESCRIPTION_FILE
    try:
        description = msgspec.json.decode(path.read_bytes(), type=IndexDescription)
        if exact or description.kind == "exact":
            return ExactIndex(item_vectors)
        index = faiss.read_index(str(directory / INDEX_FILE))
    except FileNotFoundError as error:
        raise FileAbsentError(f"{path} is missing: train the model again") from error
    except (msgspec.DecodeError, RuntimeError) as error:
        raise FileCorruptError(f"{directory} holds no readable index: train the model again") from error
    if not isinstance(index, faiss.IndexIVFFlat) or (index.ntotal + 1, index.d) != item_vectors.shape:
        raise FileCorruptError(f"{directory} holds another catalogue's index: train the model again")
    return ApproximateIndex(index, description)


def _group(items: int, k: int) -> int:
    """Return how many scores to compare at once: the quickest by measurement, leaving groups enough."""
    group = 16 if items < 8_192 else 32
    return group if items >= 2 * k * group else 1

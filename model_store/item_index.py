"""Next items: the items of the whole catalogue whose vectors have the largest inner product with a query.

A small catalogue is searched exactly. A larger one gets a faiss IVF,Flat index, a very large one coded lists
(`model_store.coded_lists`). It probes the least number of lists with which it reaches the wanted recall
against the exact answer on sampled queries; the measured recall is stored beside it. Where no cheap number
reaches it, the search stays exact. Row 0 of the vectors stands for the unknown item and is never found.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Protocol
from zipfile import BadZipFile

import faiss
import msgspec
import numpy as np
import numpy.typing as npt

from model_store.coded_lists import COMPARED_AGAIN, CodedLists, Told
from model_store.errors import FileAbsentError, FileCorruptError
from model_store.index_kinds import (
    INDEX_FILE,
    ApproximateIndex,
    CodedIndex,
    ExactIndex,
    Found,
    IndexDescription,
)
from model_store.index_tuning import (
    MEASURED_QUERIES,
    MEASURED_QUERIES_OF_CODED,
    sampled_queries,
    tuned_index,
    tuned_lists,
)

Floats = npt.NDArray[np.float32]
Items = npt.NDArray[np.int64]

__all__ = [
    "INDEX_DESCRIPTION_FILE",
    "INDEX_FILE",
    "ApproximateIndex",
    "CodedIndex",
    "ExactIndex",
    "IndexDescription",
    "ItemIndex",
    "build_item_index",
    "load_item_index",
    "save_item_index",
]

INDEX_DESCRIPTION_FILE: Final = "index.json"
RECALL_DEPTH: Final = 20
WANTED_RECALL: Final = 0.99
# Measured at 64 dimensions: exact search of 10,000 items takes 23 us a query, a clustered IVF 15 us.
EXACT_UP_TO_ITEMS: Final = 10_000
CODED_FROM_ITEMS: Final = 200_000


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


StoredIndex = ExactIndex | ApproximateIndex | CodedIndex


def build_item_index(
    item_vectors: Floats,
    queries: Floats | None = None,
    *,
    exact: bool = False,
    wanted_recall: float = WANTED_RECALL,
    seed: int = 0,
    coded_from_items: int = CODED_FROM_ITEMS,
    told: Told | None = None,
) -> StoredIndex:
    """Return the index for a catalogue: exact for a small one or when asked, else the cheapest that suffices.

    ``item_vectors`` is float32[items, dimensions] with the unknown item as row 0, the others of length 1;
    ``queries``, float32[any, dimensions], are queries that the model itself makes, on which the recall is
    measured beside noisy item vectors (`index_tuning.sampled_queries`). From ``coded_from_items`` on the
    lists are coded, and ``told`` is called with how many items are in them and how many there are.
    """
    items = len(item_vectors) - 1
    if exact or items <= EXACT_UP_TO_ITEMS:
        return ExactIndex(item_vectors)
    large = items >= coded_from_items
    number = MEASURED_QUERIES_OF_CODED if large else MEASURED_QUERIES
    sample, source = sampled_queries(item_vectors, queries, seed, number)
    wanted_items, _ = ExactIndex(item_vectors).search(sample, RECALL_DEPTH)
    if large:
        coded = tuned_lists(item_vectors, sample, wanted_items, wanted_recall, seed, told)
        if coded is not None:
            lists = len(coded.lists.lists.starts) - 1
            measured = (
                lists,
                coded.probes,
                coded.recall,
                len(sample),
                source,
                COMPARED_AGAIN,
                coded.compared,
            )
            return CodedIndex(coded.lists, item_vectors, IndexDescription("coded", items, *measured))
    tuned = tuned_index(item_vectors, sample, wanted_items, wanted_recall, seed)
    if tuned is None:
        return ExactIndex(item_vectors)
    description = IndexDescription("ivf", items, tuned.lists, tuned.probes, tuned.recall, len(sample), source)
    return ApproximateIndex(tuned.index, description)


def save_item_index(directory: Path, index: StoredIndex) -> None:
    """Write `index.json` into ``directory``, and the files of the lists if there are any."""
    described = msgspec.json.format(msgspec.json.encode(index.description), indent=1)
    (directory / INDEX_DESCRIPTION_FILE).write_bytes(described)
    if not isinstance(index, ExactIndex):
        index.save(directory)


def load_item_index(directory: Path, item_vectors: Floats, *, exact: bool = False) -> StoredIndex:
    """Return the index in ``directory``, or an exact one over ``item_vectors`` when asked.

    The caller has verified the directory against its manifest. Raises `FileAbsentError` or
    `FileCorruptError`.
    """
    path = directory / INDEX_DESCRIPTION_FILE
    try:
        description = msgspec.json.decode(path.read_bytes(), type=IndexDescription)
        if exact or description.kind == "exact":
            return ExactIndex(item_vectors)
        index: StoredIndex
        if description.kind == "coded":
            coded = CodedLists.load(directory)
            index, shape = CodedIndex(coded, item_vectors, description), coded.shape
        else:
            stored: Any = faiss.read_index(str(directory / INDEX_FILE))
            if not isinstance(stored, faiss.IndexIVFFlat):
                raise ValueError(f"{INDEX_FILE} holds a {type(stored).__name__}")
            index, shape = ApproximateIndex(stored, description), (stored.ntotal, stored.d)
    except FileNotFoundError as error:
        raise FileAbsentError(f"{path} is missing: train the model again") from error
    except (msgspec.DecodeError, RuntimeError, ValueError, KeyError, BadZipFile) as error:
        raise FileCorruptError(f"{directory} holds no readable index: train the model again") from error
    if (shape[0] + 1, shape[1]) != item_vectors.shape:
        raise FileCorruptError(f"{directory} holds another catalogue's index: train the model again")
    return index

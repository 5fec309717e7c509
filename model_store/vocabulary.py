"""Which items and categories a model knows: the frequent ones of its training part, by index from 1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from model_store.chunks import counted
from model_store.kernels.lookup import Table, fill_slots, find_all


class Lookup:
    """Finds the indices (from 1) of known fingerprints; 0 for any other. ``table`` is what kernels search."""

    def __init__(self, fingerprints: npt.NDArray[np.uint64]) -> None:
        bits = max(1, (2 * len(fingerprints)).bit_length())
        keys = np.concatenate((np.zeros(1, np.uint64), fingerprints))
        slots, shift = np.zeros(1 << bits, np.int32), np.uint64(64 - bits)
        fill_slots(keys, slots, shift)
        self.table = Table(keys, slots, shift)

    def indices(self, fingerprints: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
        """Return the index of each fingerprint, in their shape."""
        wanted = np.ascontiguousarray(fingerprints).reshape(-1)
        found = np.empty(wanted.size, np.int32)
        find_all(wanted, *self.table, found)
        return found.reshape(fingerprints.shape)


def vocabulary_of(
    fingerprints: Iterable[npt.NDArray[np.uint64]], texts: Mapping[int, str], min_count: int
) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return the texts of the frequent ones of all ``fingerprints`` and their counts, led by the unknown's.

    The most frequent come first, equals by fingerprint. The fingerprint 0, of an absent text, counts nowhere.
    """
    distinct, counts = counted(fingerprints)
    kept = (counts >= min_count) & (distinct != 0)
    order = np.lexsort((distinct[kept], -counts[kept]))
    names = [texts[int(value)] for value in distinct[kept][order]]
    unknown = counts[~kept & (distinct != 0)].sum()
    return ["", *names], np.concatenate([[unknown], counts[kept][order]]).astype(np.int64)

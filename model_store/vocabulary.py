"""Which items and categories a model knows: the frequent ones of its training part, by index from 1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from model_store.chunks import counted


class Lookup:
    """Finds the indices (from 1) of known fingerprints; 0 for any other."""

    def __init__(self, fingerprints: Sequence[int]) -> None:
        keys = np.array(fingerprints, np.uint64)
        order = np.argsort(keys)
        self._keys = np.append(keys[order], np.uint64(2**64 - 1))
        self._indices = np.append(order + 1, 0).astype(np.int32)

    def indices(self, fingerprints: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
        """Return the index of each fingerprint, in their shape."""
        places = np.searchsorted(self._keys, fingerprints)
        return np.where(self._keys[places] == fingerprints, self._indices[places], np.int32(0))


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

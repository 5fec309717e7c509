"""Going through arrays of any length a stretch at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

CHUNK_EVENTS: Final = 262_144


def chunk_bounds(count: int, chunk: int = CHUNK_EVENTS) -> Iterator[tuple[int, int]]:
    """Yield the first place of each stretch of ``count`` places and the one behind its last."""
    for start in range(0, count, chunk):
        yield start, min(start + chunk, count)


def stretches(array: npt.NDArray[Any], chunk: int = CHUNK_EVENTS) -> Iterator[npt.NDArray[Any]]:
    """Yield ``array`` in stretches of ``chunk``."""
    for start, end in chunk_bounds(len(array), chunk):
        yield array[start:end]


def counted(
    parts: Iterable[npt.NDArray[np.uint64]],
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Return the distinct values of all ``parts``, ascending, and how often each stands there."""
    values, counts = np.empty(0, np.uint64), np.empty(0, np.int64)
    for part in parts:
        found, times = np.unique(part, return_counts=True)
        merged, places = np.unique(np.concatenate([values, found]), return_inverse=True)
        total = np.zeros(len(merged), np.int64)
        np.add.at(total, places, np.concatenate([counts, times]))
        values, counts = merged, total
    return values, counts

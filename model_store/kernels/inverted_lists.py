"""The search of `model_store.inverted_lists`, query by query: which lists, which items, in which order.

A query is compared with the centroids of the groups, then with those of the lists of the nearest groups, then
with the 8-bit codes of the items of the nearest lists; the best are compared again by their vectors, as in
Jégou et al., "Searching in one billion vectors: re-rank with source coding" (2011, arXiv:1102.3828).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.kernels import compiled, compiled_sum

# Codes err by about a thousandth of a cosine, so that an item seldom stands farther than this behind its place.
_COMPARED_AGAIN: Final = 8
_LEAST_ROOM: Final = 16

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class ListArrays(NamedTuple):
    """G groups of L lists of N items with D numbers each; a group's lists and a list's items stand together.

    ``groups`` float32 [G, D] and ``centroids`` float32 [L, D] are the means of what they hold;
    ``group_starts`` int64 [G + 1] counts lists, ``list_starts`` int64 [L + 1] items. ``items`` int32 [N] are
    ascending in each list, ``codes`` int8 [N, D] their vectors divided by ``steps`` float32 [D].
    """

    groups: Floats
    group_starts: Ints
    centroids: Floats
    list_starts: Ints
    items: npt.NDArray[np.int32]
    codes: npt.NDArray[np.int8]
    steps: Floats


@compiled_sum
def inner_product(one: Any, other: Any) -> Any:
    """Return the inner product of two vectors, float32."""
    total = np.float32(0)
    for place in range(len(one)):
        total += np.float32(one[place]) * np.float32(other[place])
    return total


@compiled
def keep_largest(scores: Floats, which: Ints, present: int, kept: int) -> Any:
    """Bring the ``kept`` largest of the first ``present`` scores to the front; return the least of them.

    Of equal ones that with the smaller of ``which`` is larger. They come in no order (quickselect, Hoare 1961).
    """
    first, last = 0, present - 1
    while first < last:
        middle = (first + last) // 2
        pivot, name = scores[middle], which[middle]
        scores[middle], which[middle] = scores[last], which[last]
        place = first
        for at in range(first, last):
            if scores[at] > pivot or (scores[at] == pivot and which[at] < name):
                scores[at], scores[place] = scores[place], scores[at]
                which[at], which[place] = which[place], which[at]
                place += 1
        scores[last], which[last] = scores[place], which[place]
        scores[place], which[place] = pivot, name
        if place >= kept:
            last = place - 1
        if place <= kept:
            first = place + 1
    return scores[:kept].min()


@compiled
def sort_down(scores: Floats, which: Ints, present: int) -> None:
    """Sort the first ``present`` scores, largest first, equal ones by ``which``."""
    for at in range(1, present):
        score, name = scores[at], which[at]
        place = at
        while place and (
            scores[place - 1] < score or (scores[place - 1] == score and which[place - 1] > name)
        ):
            scores[place], which[place] = scores[place - 1], which[place - 1]
            place -= 1
        scores[place], which[place] = score, name


@compiled
def nearest(query: Floats, vectors: Floats, start: int, stop: int, kept: int, wanted: int, room: Any) -> Any:
    """Offer the ``vectors`` from ``start`` to ``stop`` to the ``wanted`` nearest; return how many are kept.

    ``room`` is scores and places, of which ``kept`` are in use.
    """
    scores, places = room
    for place in range(start, stop):
        score = inner_product(query, vectors[place])
        scores[kept], places[kept] = score, place
        kept += 1
        if kept == len(scores):
            keep_largest(scores, places, kept, wanted)
            kept = wanted
    return kept

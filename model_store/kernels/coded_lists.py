"""The search of `model_store.coded_lists`: which lists a query probes, and what they hold.

A query is compared with the 8-bit codes of the lists' items, in integers; the best of them are compared again
by their vectors, as in Jégou et al., "Searching in one billion vectors: re-rank with source coding" (2011,
arXiv:1102.3828).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.kernels import compiled_bare
from model_store.kernels.list_choice import Centroids, Choice, choose_lists, integer_product
from model_store.kernels.vectors import holds, inner_product, insert

_LARGEST_CODE: Final = 127
_LARGEST_NUMBER: Final = 16_383  # of a query in integers: finer than the codes by far
_LARGEST_SCORE: Final = 2**31 - 1

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class Lists(NamedTuple):
    """N items of D numbers in L lists; those of a list stand together and ascend.

    ``starts`` int64 [L + 1] counts items, ``items`` int32 [N] are their rows, ``codes`` int8 [N, D] their
    vectors divided by ``steps`` float32 [D].
    """

    starts: Ints
    items: npt.NDArray[np.int32]
    codes: npt.NDArray[np.int8]
    steps: Floats


class Room(NamedTuple):
    """What a search works in: a choice of lists, a ``query`` [D] in integers, and a short list of items."""

    choice: Choice
    query: npt.NDArray[np.int16]
    scores: npt.NDArray[np.int32]
    items: Ints


@compiled_bare
def search_lists(
    queries: Floats,
    centroids: Centroids,
    compared: int,
    lists: Lists,
    vectors: Floats,
    skipped: Ints,
    room: Room,
    best: Ints,
    best_scores: Floats,
) -> None:
    """Put the best items of the nearest lists into ``best`` [B, k], of zeros.

    Each query probes as many lists as the room's choice has place for, found among ``compared`` centroids at
    least. The items stand best first, equal ones by row; ``best_scores`` [B, k], of -inf, are their inner
    products with ``queries`` [B, D] by the items' own ``vectors`` [1 + N, D]. Both stay as they are where the
    lists hold no more items. None of ``skipped`` [B, S], 0 for none, is found. The room is as long as the
    short list.
    """
    for row in range(len(queries)):
        _in_integers(queries[row], lists.steps, room.query)
        probed = choose_lists(queries[row], room.query, centroids, compared, room.choice)
        short = _short_list(probed, row, lists, skipped, room)
        kept = 0
        for place in range(short):
            item = room.items[place]
            score = inner_product(queries[row], vectors, item)
            kept = insert(score, item, best_scores[row], best[row], kept)


@compiled_bare
def _in_integers(query: Floats, steps: Floats, integers: npt.NDArray[np.int16]) -> None:
    """Put ``query`` times ``steps`` into ``integers``, as large as a sum of products with codes allows."""
    largest = np.float32(0)
    for place in range(len(query)):
        largest = max(largest, abs(query[place] * steps[place]))
    bound = min(_LARGEST_NUMBER, _LARGEST_SCORE // (_LARGEST_CODE * len(query)))
    scale = np.float32(bound) / largest if largest > 0 else np.float32(0)
    for place in range(len(query)):
        integers[place] = np.int16(np.rint(query[place] * steps[place] * scale))


@compiled_bare
def _short_list(probed: int, row: int, lists: Lists, skipped: Ints, room: Room) -> Any:
    """Put the best items of the ``probed`` lists by their codes into the room; return how many there are."""
    kept, length = 0, len(room.items)
    for place in range(probed):
        chosen = room.choice.lists[place]
        for position in range(lists.starts[chosen], lists.starts[chosen + 1]):
            score = integer_product(room.query, lists.codes, position)
            if kept == length and score <= room.scores[length - 1]:
                continue
            item = np.int64(lists.items[position])
            if not holds(skipped, row, item):
                kept = insert(score, item, room.scores, room.items, kept)
    return kept

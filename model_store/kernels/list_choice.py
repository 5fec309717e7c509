"""Which of many lists a query probes: those whose centroids have the largest inner products with it.

Of each centroid and of the query it is known on which side of some random directions they stand. The fewer
sides differ, the smaller is the angle between both (Charikar, "Similarity estimation techniques from rounding
algorithms", 2002). The centroids with the fewest differences are compared by their codes.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
from numba.extending import intrinsic

from model_store.kernels import compiled_bare
from model_store.kernels.vectors import insert

# Measured: fewer cost more minima, more cost more comparisons beside one that is near.
BLOCK_LISTS: Final = 32
WORD_BITS: Final = 64
DIRECTIONS: Final = 128  # two words: how well angles are told apart hangs on this and not on the dimensions

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]


class Centroids(NamedTuple):
    """The centroids of L lists, of D numbers.

    ``directions`` float32 [D, `DIRECTIONS`] are random ones. ``sides`` uint64 [blocks, 2, `BLOCK_LISTS`]
    have a bit for each, for the lists in blocks, of which the last one is filled up with its last list.
    ``codes`` int8 [L, D] are the centroids divided by the steps of the items.
    """

    directions: Floats
    sides: Words
    codes: npt.NDArray[np.int8]


class Choice(NamedTuple):
    """What a choice works in: a query's ``sums`` [`DIRECTIONS`] along the directions and its ``sides`` [2].

    ``least`` [blocks] has the least count of differing sides in each block, ``tally`` [`DIRECTIONS` + 1] how
    many blocks have which. ``scores`` and ``lists`` [P] are the answer.
    """

    sums: Floats
    sides: Words
    least: Ints
    tally: Ints
    scores: npt.NDArray[np.int32]
    lists: Ints


def _intrinsic(function: Any) -> Any:
    decorator: Any = intrinsic
    return decorator(function)


@_intrinsic
def _ones(_context: Any, word: Any) -> Any:
    """Count the bits of a word that are 1, by the processor's instruction."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return numba.types.int64(word), generate


@compiled_bare
def choose_lists(
    query: Floats, integers: npt.NDArray[np.int16], centroids: Centroids, compared: int, choice: Choice
) -> Any:
    """Put the nearest lists into ``choice``, best first, and return how many there are.

    At least ``compared`` centroids are compared, or all. ``integers`` [D] are the query as it is multiplied
    with codes.
    """
    _find_sides(query, centroids.directions, choice)
    _find_least(centroids.sides, choice)
    most = _bound(choice, compared)
    kept, count = 0, len(centroids.codes)
    for block in range(len(choice.least)):
        if choice.least[block] > most:
            continue
        near = _near_in_block(centroids.sides[block], choice.sides, most)
        while near:
            position = block * BLOCK_LISTS + _ones((near & -near) - np.int64(1))
            near &= near - 1
            if position < count:
                score = integer_product(integers, centroids.codes, position)
                kept = insert(score, position, choice.scores, choice.lists, kept)
    return kept


@compiled_bare
def integer_product(query: npt.NDArray[np.int16], codes: npt.NDArray[np.int8], position: Any) -> Any:
    """Return the inner product, int32, of ``query`` [D] and one of ``codes`` [any, D]."""
    total = np.int32(0)
    for place in range(len(query)):
        total = np.int32(total + np.int32(query[place]) * np.int32(codes[position, place]))
    return total


@compiled_bare
def _find_sides(query: Floats, directions: Floats, choice: Choice) -> None:
    sums = choice.sums
    sums[:] = 0
    for place in range(len(query)):
        number, along = query[place], directions[place]
        for direction in range(np.uint64(len(sums))):
            sums[direction] += number * along[direction]
    for word in range(len(choice.sides)):
        bits = np.uint64(0)
        for bit in range(WORD_BITS):
            bits |= np.uint64(sums[word * WORD_BITS + bit] > 0) << np.uint64(bit)
        choice.sides[word] = bits


@compiled_bare
def _find_least(sides: Words, choice: Choice) -> None:
    """Find each block's least count of sides that differ."""
    one, other = choice.sides[0], choice.sides[1]
    for block in range(len(sides)):
        first, second = sides[block, 0], sides[block, 1]
        least = np.int64(DIRECTIONS)
        for place in range(np.uint64(BLOCK_LISTS)):
            least = min(least, _ones(first[place] ^ one) + _ones(second[place] ^ other))
        choice.least[block] = least


@compiled_bare
def _near_in_block(sides: Words, query: Words, most: Any) -> Any:
    """Return a word with a bit for each list of the block of which at most ``most`` sides differ."""
    one, other, first, second = query[0], query[1], sides[0], sides[1]
    near = np.int64(0)
    for place in range(np.uint64(BLOCK_LISTS)):
        near |= np.int64(_ones(first[place] ^ one) + _ones(second[place] ^ other) <= most) << np.int64(place)
    return near


@compiled_bare
def _bound(choice: Choice, wanted: int) -> Any:
    """Return the count that the least ones of ``wanted`` blocks do not exceed, or of all blocks.

    So at least as many lists have it, without a look at all of them.
    """
    tally = choice.tally
    tally[:] = 0
    for block in range(len(choice.least)):
        tally[choice.least[block]] += 1
    if wanted > len(choice.least):
        return len(tally)
    seen = most = 0
    while seen + tally[most] < wanted:
        seen += tally[most]
        most += 1
    return most

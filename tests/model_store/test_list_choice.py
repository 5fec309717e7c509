"""The choice of lists against bits that are counted in text and products that are sorted."""

import numpy as np
import numpy.typing as npt
import pytest

from model_store.kernels.list_choice import BLOCK_LISTS, DIRECTIONS, Centroids, Choice, choose_lists

Floats = npt.NDArray[np.float32]
DIMENSIONS = 6


def sides_of(vectors: Floats, directions: Floats) -> list[str]:
    along = vectors.astype(float) @ directions.astype(float)
    return ["".join("1" if number > 0 else "0" for number in row) for row in along]


def centroids_of(lists: int, seed: int) -> Centroids:
    random = np.random.default_rng(seed)
    directions = random.normal(size=(DIMENSIONS, DIRECTIONS)).astype(np.float32)
    codes = random.integers(-127, 128, size=(lists, DIMENSIONS)).astype(np.int8)
    blocks = -(-lists // BLOCK_LISTS)
    sides = np.zeros((blocks, 2, BLOCK_LISTS), np.uint64)
    texts = sides_of(codes.astype(np.float32), directions)
    for number, text in enumerate([*texts, *texts[-1:] * (-lists % BLOCK_LISTS)]):
        for word in range(2):
            bits = text[64 * word : 64 * word + 64]
            sides[number // BLOCK_LISTS, word, number % BLOCK_LISTS] = int(bits[::-1], 2)
    return Centroids(directions, sides, codes)


def chosen(query: npt.NDArray[np.int16], centroids: Centroids, compared: int, probes: int) -> list[int]:
    choice = Choice(
        np.empty(DIRECTIONS, np.float32),
        np.empty(2, np.uint64),
        np.empty(len(centroids.sides), np.int64),
        np.empty(DIRECTIONS + 1, np.int64),
        np.empty(probes, np.int32),
        np.empty(probes, np.int64),
    )
    kept = choose_lists(query.astype(np.float32), query, centroids, compared, choice)
    return [int(number) for number in choice.lists[:kept]]


@pytest.mark.parametrize("lists", [16, 32, 33, 500])
@pytest.mark.parametrize("compared", [1, 3, 10, 1_000])
def test_the_best_of_the_lists_on_the_same_sides_are_chosen(lists: int, compared: int) -> None:
    centroids = centroids_of(lists, seed=lists)
    queries = np.random.default_rng(compared).integers(-1_000, 1_000, size=(20, DIMENSIONS)).astype(np.int16)
    all_sides = sides_of(centroids.codes.astype(np.float32), centroids.directions)
    for query in queries:
        (own,) = sides_of(query[None].astype(np.float32), centroids.directions)
        differing = [sum(map(str.__ne__, own, text)) for text in all_sides]
        products = centroids.codes.astype(int) @ query.astype(int)
        order = sorted(range(lists), key=lambda number: (-products[number], number))
        found = chosen(query, centroids, compared, 4)
        blocks = [min(differing[at : at + BLOCK_LISTS]) for at in range(0, lists, BLOCK_LISTS)]
        most = sorted(blocks)[compared - 1] if compared <= len(blocks) else DIRECTIONS
        near = [number for number in order if differing[number] <= most]
        assert len(near) >= min(compared, lists)
        assert found == near[:4]


def test_a_query_of_zeros_gets_lists_too() -> None:
    assert len(chosen(np.zeros(DIMENSIONS, np.int16), centroids_of(70, seed=1), 2, 3)) == 3

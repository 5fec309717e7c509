"""Exact and approximate search against a brute-force sort."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from model_store.errors import FileAbsentError, FileCorruptError
from model_store.item_index import (
    INDEX_FILE,
    ApproximateIndex,
    CodedIndex,
    ExactIndex,
    build_item_index,
    load_item_index,
    save_item_index,
)
from tests.model_store.catalogues import clustered_catalogue, unit

Floats = npt.NDArray[np.float32]
Indexes = dict[str, ExactIndex | ApproximateIndex | CodedIndex]


def brute_force(vectors: Floats, queries: Floats, k: int) -> npt.NDArray[np.int64]:
    scores = queries.astype(float) @ vectors[1:].astype(float).T
    return np.argsort(-scores, axis=1, kind="stable")[:, :k] + 1


@pytest.fixture(scope="module")
def large() -> Floats:
    return clustered_catalogue(12_000, 16, 100, seed=1)


@pytest.fixture(scope="module")
def approximate(large: Floats) -> ApproximateIndex:
    index = build_item_index(large)
    assert isinstance(index, ApproximateIndex)
    return index


@pytest.fixture(scope="module")
def coded(large: Floats) -> CodedIndex:
    index = build_item_index(large, coded_from_items=12_000)
    assert isinstance(index, CodedIndex)
    return index


@pytest.fixture(scope="module")
def indexes(large: Floats, approximate: ApproximateIndex, coded: CodedIndex) -> Indexes:
    return {"exact": ExactIndex(large), "approximate": approximate, "coded": coded}


@pytest.mark.parametrize(("items", "k"), [(1, 5), (7, 3), (300, 20), (3_000, 20), (9_000, 300)])
def test_exact_search_is_a_full_sort(items: int, k: int) -> None:
    vectors = clustered_catalogue(items, 8, 5, seed=items)
    queries = unit(np.random.default_rng(2).normal(size=(130, 8)))
    indices, scores = ExactIndex(vectors).search(queries, k)
    assert indices.shape == (130, min(k, items))
    expected = brute_force(vectors, queries, k)
    of_expected = np.take_along_axis(queries @ vectors.T, expected, axis=1)
    np.testing.assert_allclose(scores, of_expected, rtol=0, atol=1e-5)
    assert (indices == expected).mean() > 0.999  # float32 may swap two that are nearly equal


def test_the_unknown_item_is_never_found_even_when_it_scores_best() -> None:
    vectors = unit(np.array([[1.0, 0.0], [-1.0, 0.1], [-1.0, -0.1]]))
    indices, _ = ExactIndex(vectors).search(vectors[:1], 5)
    assert sorted(indices[0].tolist()) == [1, 2]


def test_a_catalogue_of_unknown_items_only_has_no_answer() -> None:
    indices, scores = ExactIndex(np.zeros((1, 4), np.float32)).search(np.ones((3, 4), np.float32), 5)
    assert indices.shape == scores.shape == (3, 0)


def test_equal_items_stand_by_index() -> None:
    vectors = unit(np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]))
    indices, scores = ExactIndex(vectors).search(np.array([[1.0, 0.0]], np.float32), 3)
    assert indices.tolist() == [[2, 4, 1]]
    assert scores.tolist() == [[1.0, 1.0, 0.0]]


def test_a_zero_query_gets_the_first_items() -> None:
    indices, _ = ExactIndex(clustered_catalogue(5_000, 8, 5, seed=3)).search(np.zeros((1, 8), np.float32), 4)
    assert indices.tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize("kind", ["approximate", "coded"])
def test_the_recall_holds_on_queries_that_were_not_measured(
    large: Floats, kind: str, indexes: Indexes
) -> None:
    index = indexes[kind]
    generator = np.random.default_rng(5)
    near = large[generator.integers(1, len(large), 500)]
    queries = unit(near + 0.1 * generator.normal(size=near.shape))
    expected = brute_force(large, queries, 20)
    found, _ = index.search(queries, 20)
    recall = np.mean([len({*a} & {*b}) / 20 for a, b in zip(found.tolist(), expected.tolist(), strict=True)])
    assert recall >= 0.985
    assert index.description.recall_at_20 >= 0.99
    assert index.description.items == 12_000


@pytest.mark.parametrize("kind", ["approximate", "coded"])
def test_approximate_scores_are_inner_products_best_first(large: Floats, kind: str, indexes: Indexes) -> None:
    index = indexes[kind]
    queries = large[5:9]
    indices, scores = index.search(queries, 10)
    products = np.einsum("bkd,bd->bk", large[indices], queries)
    np.testing.assert_allclose(scores, products, rtol=0, atol=1e-5)
    assert (np.diff(scores, axis=1) <= 0).all()
    assert indices[:, 0].tolist() == [5, 6, 7, 8]


@pytest.mark.parametrize("kind", ["approximate", "coded"])
def test_more_items_than_the_probed_lists_hold_are_found_elsewhere(kind: str, indexes: Indexes) -> None:
    queries = unit(np.random.default_rng(6).normal(size=(3, 16)))
    indices, _ = indexes[kind].search(queries, 20_000)
    assert [sorted(row) for row in indices.tolist()] == [list(range(1, 12_001))] * 3


@pytest.mark.parametrize("kind", ["exact", "approximate", "coded"])
def test_an_answer_does_not_depend_on_the_queries_beside_it(
    kind: str, large: Floats, indexes: Indexes
) -> None:
    index = indexes[kind]
    queries = unit(np.random.default_rng(7).normal(size=(200, 16)))
    _, together = index.search(queries, 10)
    alone = np.concatenate([index.search(queries[row : row + 1], 10)[1] for row in range(200)])
    np.testing.assert_allclose(alone, together, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["exact", "approximate", "coded"])
def test_skipped_items_are_not_found_and_the_next_ones_take_their_places(
    kind: str, large: Floats, indexes: Indexes
) -> None:
    index = indexes[kind]
    queries = large[100:130]
    best, scores = index.search(queries, 15)
    skipped = np.zeros((30, 6), np.int64)
    skipped[::2, 1:] = best[::2, [0, 2, 3, 7, 9]]
    found, found_scores = index.search(queries, 10, skipped)
    left = [
        [(item, score) for item, score in zip(items, of_items, strict=True) if item not in without][:10]
        for items, of_items, without in zip(best.tolist(), scores.tolist(), skipped.tolist(), strict=True)
    ]
    assert found.tolist() == [[item for item, _ in row] for row in left]
    np.testing.assert_allclose(found_scores, [[score for _, score in row] for row in left], atol=1e-6)


@pytest.mark.parametrize("kind", ["exact", "approximate", "coded"])
def test_where_all_but_a_few_items_are_skipped_the_places_behind_them_stay_empty(
    kind: str, large: Floats, indexes: Indexes
) -> None:
    index = indexes[kind]
    skipped = np.arange(3, 12_001)[None]
    found, scores = index.search(large[:1] + large[1:2], 4, skipped)
    assert sorted(found[0].tolist()) == [0, 0, 1, 2]
    assert np.isinf(scores[0]).tolist() == [False, False, True, True]


def test_the_models_own_queries_are_measured_too(large: Floats) -> None:
    description = build_item_index(large, queries=large[1:2_000]).description
    assert description.query_source == "the model's queries and noisy item vectors"
    assert description.measured_queries == 1_000


def test_a_catalogue_without_clusters_is_searched_exactly() -> None:
    vectors = unit(np.random.default_rng(9).normal(size=(11_000, 64)))
    assert build_item_index(vectors).description.kind == "exact"


def test_exact_search_can_be_asked_for(large: Floats, approximate: ApproximateIndex, tmp_path: Path) -> None:
    assert build_item_index(large, exact=True).description.kind == "exact"
    save_item_index(tmp_path, approximate)
    assert load_item_index(tmp_path, large, exact=True).description.kind == "exact"


@pytest.mark.parametrize("kind", ["approximate", "coded"])
def test_a_stored_index_answers_as_before(large: Floats, kind: str, indexes: Indexes, tmp_path: Path) -> None:
    index = indexes[kind]
    save_item_index(tmp_path, index)
    loaded = load_item_index(tmp_path, large)
    assert loaded.description == index.description
    queries = large[1:50]
    before, after = index.search(queries, 20), loaded.search(queries, 20)
    assert before[0].tolist() == after[0].tolist()
    assert before[1].tolist() == after[1].tolist()


def test_an_exact_index_is_stored_as_its_description_alone(tmp_path: Path) -> None:
    vectors = clustered_catalogue(50, 4, 3, seed=10)
    save_item_index(tmp_path, ExactIndex(vectors))
    assert [path.name for path in tmp_path.iterdir()] == ["index.json"]
    assert load_item_index(tmp_path, vectors).search(vectors[7:8], 1)[0].tolist() == [[7]]


def test_a_missing_or_broken_index_says_so(
    large: Floats, approximate: ApproximateIndex, tmp_path: Path
) -> None:
    with pytest.raises(FileAbsentError, match="train the model again"):
        load_item_index(tmp_path, large)
    save_item_index(tmp_path, approximate)
    with pytest.raises(FileCorruptError, match="another catalogue"):
        load_item_index(tmp_path, large[:-1])
    (tmp_path / INDEX_FILE).write_bytes((tmp_path / INDEX_FILE).read_bytes()[:100])
    with pytest.raises(FileCorruptError, match="no readable index"):
        load_item_index(tmp_path, large)
    (tmp_path / "index.json").write_text("[]")
    with pytest.raises(FileCorruptError, match="no readable index"):
        load_item_index(tmp_path, large)


def test_a_description_from_before_coded_lists_is_read(
    large: Floats, approximate: ApproximateIndex, tmp_path: Path
) -> None:
    save_item_index(tmp_path, approximate)
    path = tmp_path / "index.json"
    described = json.loads(path.read_text())
    del described["compared_again"]
    path.write_text(json.dumps(described))
    assert load_item_index(tmp_path, large).description == approximate.description

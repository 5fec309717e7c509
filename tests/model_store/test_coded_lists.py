"""Coded lists: answers in any batch, edges and files. `test_item_index` holds what all kinds share."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from model_store.coded_lists import LISTS_FILE
from model_store.errors import FileAbsentError, FileCorruptError
from model_store.item_index import CodedIndex, build_item_index, load_item_index, save_item_index
from tests.model_store.catalogues import clustered_catalogue, unit

Floats = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def large() -> Floats:
    return clustered_catalogue(12_000, 16, 100, seed=1)


@pytest.fixture(scope="module")
def coded(large: Floats) -> CodedIndex:
    index = build_item_index(large, coded_from_items=12_000)
    assert isinstance(index, CodedIndex)
    return index


@pytest.mark.parametrize("batch", [1, 2, 7, 20, 64, 1_000, 8_192])
def test_an_answer_of_coded_lists_is_the_same_to_the_bit_in_any_batch(
    batch: int, large: Floats, coded: CodedIndex
) -> None:
    near = large[np.arange(1, 8_193)] + 0.1 * np.random.default_rng(11).normal(size=(8_192, 16))
    queries = unit(near)
    items, scores = coded.search(queries, 10)
    for start in range(0, min(8_192, 50 * batch), batch):
        part = slice(start, start + batch)
        found, found_scores = coded.search(queries[part], 10)
        assert found.tolist() == items[part].tolist()
        assert found_scores.tobytes() == scores[part].tobytes()


def test_coded_lists_say_what_they_are(large: Floats, coded: CodedIndex) -> None:
    told: list[tuple[int, int]] = []
    index = build_item_index(large, coded_from_items=12_000, told=lambda *counts: told.append(counts))
    assert index.description == coded.description
    assert (coded.description.kind, coded.description.lists) == ("coded", 256)
    assert coded.description.measured_queries == 2_000
    assert coded.description.compared_again > 0
    assert told == [(12_000, 12_000)]
    assert build_item_index(large, coded_from_items=12_001).description.kind == "ivf"


def test_equal_items_in_coded_lists_stand_by_index_and_a_zero_query_is_answered() -> None:
    vectors = clustered_catalogue(12_000, 16, 100, seed=12)
    vectors[11_000] = vectors[77]
    index = build_item_index(vectors, coded_from_items=12_000)
    assert index.search(vectors[77:78], 2)[0].tolist() == [[77, 11_000]]
    items, scores = index.search(np.zeros((1, 16), np.float32), 5)
    assert len(set(items[0].tolist()) - {0}) == 5
    assert scores.tolist() == [[0.0] * 5]


def test_dimensions_that_have_no_codes_of_two_get_another_index() -> None:
    vectors = clustered_catalogue(12_000, 15, 100, seed=13)
    assert build_item_index(vectors, coded_from_items=12_000).description.kind == "ivf"


def test_missing_or_broken_coded_lists_say_so(large: Floats, coded: CodedIndex, tmp_path: Path) -> None:
    save_item_index(tmp_path, coded)
    with pytest.raises(FileCorruptError, match="another catalogue"):
        load_item_index(tmp_path, large[:-1])
    lists = (tmp_path / LISTS_FILE).read_bytes()
    (tmp_path / LISTS_FILE).write_bytes(lists[:1_000])
    with pytest.raises(FileCorruptError, match="no readable index"):
        load_item_index(tmp_path, large)
    (tmp_path / LISTS_FILE).unlink()
    with pytest.raises(FileAbsentError, match="train the model again"):
        load_item_index(tmp_path, large)

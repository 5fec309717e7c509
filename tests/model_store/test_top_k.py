"""The k best, against a full sort."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_store.top_k import best_columns, in_order


def sorted_fully(scores: np.ndarray, k: int) -> list[list[int]]:
    return [sorted(range(len(row)), key=lambda column: (-row[column], column))[:k] for row in scores.tolist()]


@given(
    rows=st.integers(1, 4),
    groups=st.integers(1, 12),
    group=st.sampled_from([1, 2, 4]),
    distinct=st.integers(1, 50),
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_best_columns_are_those_of_a_full_sort(
    rows: int, groups: int, group: int, distinct: int, seed: int, data: st.DataObject
) -> None:
    scores = np.random.default_rng(seed).integers(0, distinct, (rows, groups * group)).astype(np.float32)
    k = data.draw(st.integers(1, groups))
    columns, values = best_columns(scores, k, group)
    assert columns.tolist() == sorted_fully(scores, k)
    assert values.tolist() == np.take_along_axis(scores, columns, axis=1).tolist()


@pytest.mark.parametrize("group", [1, 16])
def test_scores_without_ties(group: int) -> None:
    scores = np.random.default_rng(0).normal(size=(20, 1_600)).astype(np.float32)
    assert best_columns(scores, 20, group)[0].tolist() == sorted_fully(scores, 20)


def test_equal_scores_stand_by_index() -> None:
    indices, scores = in_order(np.array([[9, 4, 7]]), np.array([[1.0, 1.0, 2.0]], np.float32))
    assert (indices.tolist(), scores.tolist()) == ([[7, 4, 9]], [[2.0, 1.0, 1.0]])

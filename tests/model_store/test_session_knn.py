"""Session kNN against the same rule written out pair by pair."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_store.session_knn import SessionKnn

SESSIONS = st.lists(st.lists(st.integers(0, 7), min_size=1, max_size=6), min_size=1, max_size=12)


def fitted(sessions: list[list[int]], *, neighbours: int = 500, candidates: int = 2_500) -> SessionKnn:
    numbers = [number for number, items in enumerate(sessions) for _ in items]
    items = [item for session in sessions for item in session]
    return SessionKnn.fit(
        np.array(numbers, np.int64), np.array(items, np.int64), neighbours=neighbours, candidates=candidates
    )


def brute_force(
    sessions: list[list[int]], current: list[int], neighbours: int, candidates: int
) -> dict[int, float]:
    age = {item: current[::-1].index(item) + 1 for item in current}
    sharing = [number for number, items in enumerate(sessions) if set(items) & set(current)]
    weighed = []
    for number in sharing[-candidates:]:
        items = set(sessions[number])
        shared = items & set(current)
        likeness = sum(1 - (age[item] - 1) / len(current) for item in shared) / math.sqrt(len(items))
        weighed.append((likeness, number, likeness / min(age[item] for item in shared)))
    # likenesses that differ by rounding only are ties, which the newer session wins
    weighed.sort(key=lambda each: (-round(each[0], 9), -each[1]))
    scores: dict[int, float] = {}
    for _, number, counted in weighed[:neighbours]:
        for item in set(sessions[number]):
            holding = sum(item in other for other in sessions)
            scores[item] = scores.get(item, 0.0) + counted * math.log(len(sessions) / holding)
    return scores


@given(SESSIONS, st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(1, 12))
def test_scores_are_those_of_the_rule(sessions: list[list[int]], current: list[int], candidates: int) -> None:
    knn = fitted(sessions, candidates=candidates)
    items, scores = knn.scores(np.array(current, np.int64))
    expected = brute_force(sessions, current, 500, candidates)
    assert items.tolist() == sorted(expected)
    assert scores.tolist() == pytest.approx([expected[item] for item in items.tolist()])


def test_only_the_nearest_sessions_count() -> None:
    sessions = [[0, 1], [0, 2, 3], [0, 4]]
    current = [0]
    for neighbours in (1, 2, 3):
        items, scores = fitted(sessions, neighbours=neighbours).scores(np.array(current))
        expected = brute_force(sessions, current, neighbours, 500)
        assert dict(zip(items.tolist(), scores.tolist(), strict=True)) == pytest.approx(expected)
    assert fitted(sessions, neighbours=1).next_items(np.array(current), 2).tolist() == [4, 0]


def test_a_late_item_counts_more_than_an_early_one() -> None:
    # Two known sessions of like size and frequencies: only the place of what is shared tells them apart.
    knn = fitted([[0, 1], [2, 3]])
    assert knn.next_items(np.array([0, 2]), 4).tolist() == [2, 3, 0, 1]
    assert knn.next_items(np.array([2, 0]), 4).tolist() == [0, 1, 2, 3]


def test_unknown_items_are_passed_over() -> None:
    knn = fitted([[0, 1], [2, 3]])
    assert knn.next_items(np.array([-1, 99]), 20).tolist() == []
    assert knn.next_items(np.array([2, -1]), 20).tolist() == [2, 3]


def test_nothing_is_known_of_no_session() -> None:
    assert fitted([]).next_items(np.array([3]), 20).tolist() == []

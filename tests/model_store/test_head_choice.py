"""Which of the heads that read the event alone is taken, where nobody else can tell."""

from __future__ import annotations

import numpy as np

from model_store.head_choice import CANDIDATES, _best_of_the_event, _Rows
from model_store.head_fitting import ActionTruth

UNITS = 2


def rows_of(logits: np.ndarray, known: np.ndarray) -> _Rows:
    """Return 300 events in 100 windows, whose actions follow ``logits``."""
    noise = np.random.default_rng(5).gumbel(size=logits.shape)
    return _Rows(known, ActionTruth((logits + noise).argmax(axis=1).astype(np.int32), 3), np.arange(300) // 3)


def test_numbers_that_tell_much_are_held_loosely() -> None:
    known = np.random.default_rng(0).normal(size=(300, 6))
    told = known[:, UNITS:] @ np.random.default_rng(1).normal(0, 3, (4, 3))
    assert CANDIDATES[_best_of_the_event(rows_of(told, known), UNITS)] == (None, 1.0)


def test_numbers_that_tell_nothing_are_held_fast() -> None:
    known = np.random.default_rng(0).normal(size=(300, 6))
    assert CANDIDATES[_best_of_the_event(rows_of(np.zeros((300, 3)), known), UNITS)] == (None, 100.0)


def test_what_the_hidden_vector_knows_is_not_asked() -> None:
    """It is the network's own training part, of which it may know everything by heart."""
    known = np.random.default_rng(0).normal(size=(300, 6))
    by_heart = known[:, :UNITS] @ np.random.default_rng(1).normal(0, 9, (UNITS, 3))
    assert CANDIDATES[_best_of_the_event(rows_of(by_heart, known), UNITS)] == (None, 100.0)


def test_one_window_can_judge_nothing() -> None:
    known = np.random.default_rng(0).normal(size=(300, 6))
    rows = rows_of(np.zeros((300, 3)), known)
    assert _best_of_the_event(rows._replace(window=np.zeros(300, np.int64)), UNITS) == 0

"""The convex fits of the heads, held to scikit-learn and to sums by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from model_store.head_fitting import (
    ActionTruth,
    Penalty,
    SilenceTruth,
    first_clearly_better,
    fitted,
    start_of,
)


def known_events(events: int = 400) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(events, 5))


def some_actions(known: np.ndarray) -> np.ndarray:
    logits = known @ np.random.default_rng(1).normal(size=(known.shape[1], 3))
    noise = np.random.default_rng(2).gumbel(size=logits.shape)
    actions: np.ndarray = (logits + noise).argmax(axis=1).astype(np.int32)
    return actions


def test_the_actions_head_is_a_ridge_penalised_logistic_regression() -> None:
    known = known_events()
    truth = ActionTruth(some_actions(known), 3)
    fit = fitted(known, truth, Penalty(hidden=4.0, direct=4.0), 2, start_of(truth, 5))
    oracle = LogisticRegression(C=1 / 4, tol=1e-8, max_iter=1_000).fit(known, truth.action)
    said = np.exp(fit(known))
    assert said / said.sum(axis=1, keepdims=True) == pytest.approx(oracle.predict_proba(known), abs=2e-3)


def test_a_head_without_the_hidden_vector_reads_none_of_it() -> None:
    known = known_events()
    truth = ActionTruth(some_actions(known), 3)
    fit = fitted(known, truth, Penalty(hidden=None, direct=1.0), 2, start_of(truth, 5))
    assert not fit.kernel[:2].any()
    assert fit.kernel[2:].all()


def test_a_penalty_on_the_hidden_vector_spares_the_rest() -> None:
    known = known_events()
    truth = ActionTruth(some_actions(known), 3)
    free, held = (
        fitted(known, truth, Penalty(hidden, direct=1.0), 2, start_of(truth, 5)) for hidden in (1.0, 1e4)
    )
    assert np.abs(held.kernel[:2]).max() < 0.1 * np.abs(free.kernel[:2]).max()
    assert np.abs(held.kernel[2:]).max() > 0.3 * np.abs(free.kernel[2:]).max()


def test_a_head_starts_from_the_share_of_each_action() -> None:
    truth = ActionTruth(np.array([0, 0, 0, 1], np.int32), 3)
    said = np.exp(start_of(truth, 2)(np.zeros((1, 2))))[0]
    assert said == pytest.approx([4 / 7, 2 / 7, 1 / 7])


def test_the_losses_of_silences_are_summed_by_hand() -> None:
    truth = SilenceTruth.of(
        np.array([1, 2], np.int32), np.array([0.0, 0.25], np.float32), np.array([1.0, 0.0], np.float32), 3
    )
    hazard = np.array([0.1, 0.2, 0.5])
    logits = np.log(hazard / (1 - hazard))[None].repeat(2, axis=0)
    ended = -np.log(0.9) - np.log(0.2)
    lasted = -np.log(0.9) - np.log(0.8) - 0.25 * np.log(0.5)
    assert truth.losses(logits) == pytest.approx([ended, lasted])


@pytest.mark.parametrize("kind", ["action", "silence"])
def test_slopes_are_those_of_the_losses(kind: str) -> None:
    generator = np.random.default_rng(3)
    logits = generator.normal(size=(6, 4))
    bins = generator.integers(0, 4, 6).astype(np.int32)
    shares = generator.random(6).astype(np.float32)
    returned = np.array([1, 0, 1, 0, 1, 0], np.float32)
    truth = ActionTruth(bins, 4) if kind == "action" else SilenceTruth.of(bins, shares, returned, 4)
    slope = truth.slope(logits)
    for event, output in np.ndindex(logits.shape):
        moved = np.zeros_like(logits)
        moved[event, output] = 1e-6
        change = (truth.losses(logits + moved) - truth.losses(logits - moved)).sum() / 2e-6
        assert slope[event, output] == pytest.approx(change, abs=1e-5)


def test_a_rich_head_is_taken_only_when_it_is_clearly_better() -> None:
    plain = np.array([1.0, 1.0, 1.0, 1.0])
    lucky = np.array([2.0, 2.0, 0.0, -0.4])  # better by 0.1, its differences scatter by about 1
    better = plain - 0.2
    windows = np.arange(4)
    assert first_clearly_better([plain, lucky], windows) == 0
    assert first_clearly_better([plain, lucky, better], windows) == 2
    assert first_clearly_better([plain, better, plain], windows) == 1
    assert first_clearly_better([np.empty(0), np.empty(0)], windows[:0]) == 0


def test_events_of_one_window_count_as_one() -> None:
    plain = np.ones(8)
    seldom = np.array([0.0, 0.0, 0.0, 0.0, 1.4, 1.4, 1.4, 1.4])  # better in one half, worse in the other
    assert first_clearly_better([plain, seldom], np.arange(8)) == 1  # 2.4 in all, beyond an error of 2.0
    assert first_clearly_better([plain, seldom], np.repeat([0, 1], 4)) == 0  # but within one of 4.0

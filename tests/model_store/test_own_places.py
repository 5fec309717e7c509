"""The offsets of the own items' places: the likelihood's maximum, found by hand and by differences."""

from __future__ import annotations

import numpy as np
import pytest

from model_store.own_places import _Asked, _fitted, _loss

ABSENT = -np.inf


def test_a_place_that_is_next_half_the_time_gets_the_logit_of_the_others() -> None:
    # each event: the others weigh exp(3) together, its only own item exp(5), and is next every second time
    asked = _Asked(np.full(40_000, 3.0), np.full((40_000, 1), 5.0), np.tile([0, -1], 20_000))

    offsets = _fitted([asked])

    assert offsets[0] == pytest.approx(-2.0, abs=0.01)  # 5 - 2 = 3: as likely as the others
    assert not offsets[1:].any()


def test_a_little_evidence_moves_little() -> None:
    asked = _Asked(np.array([3.0]), np.array([[5.0]]), np.array([-1]))

    # the penalty's slope, the offset itself, equals the chance that the item is next: x = -sigmoid(2 + x)
    (offset, *_) = _fitted([asked])

    assert offset == pytest.approx(-1 / (1 + np.exp(-(2 + offset))), abs=1e-4)


def test_the_gradient_is_that_of_the_loss() -> None:
    random = np.random.default_rng(3)
    own = random.normal(0, 2, (30, 11))
    own[random.random(own.shape) < 0.4] = ABSENT
    own[:, 0] = 1.0
    true = np.where(random.random(30) < 0.5, 0, -1)
    asked = [_Asked(random.normal(3, 1, 30), own, true)]
    offsets = random.normal(0, 1, 8)

    _, gradient = _loss(offsets, asked)

    step = 1e-5
    for rank, slope in enumerate(gradient):
        moved = np.zeros(8)
        moved[rank] = step
        rise = _loss(offsets + moved, asked)[0] - _loss(offsets - moved, asked)[0]
        assert slope == pytest.approx(rise / (2 * step), abs=1e-4)


def test_without_an_event_nothing_moves() -> None:
    assert not _fitted([]).any()

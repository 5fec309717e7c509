"""The checker's own churn arithmetic: by hand, and against the curve that serving uses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreclick.checking.parity import silent_until
from model_store.survival import Survival

EDGES_MS = (0, 10, 30, 100)
HAZARD = np.array([[0.5, 0.2, 0.1, 0.4]], np.float32)


@pytest.mark.parametrize(
    ("until_ms", "expected"),
    [
        (0, 1.0),
        (10, 0.5),
        (30, 0.5 * 0.8),
        (20, 0.5 * 0.8**0.5),  # half of a bin, at a constant rate
        (100, 0.5 * 0.8 * 0.9),
        (240, 0.5 * 0.8 * 0.9 * 0.6**2),  # the open bin goes on in stretches of 70
    ],
)
def test_each_whole_bin_leaves_its_share(until_ms: int, expected: float) -> None:
    assert silent_until(HAZARD, EDGES_MS, until_ms)[0] == pytest.approx(expected, abs=1e-6)


@given(
    st.lists(st.floats(0.0, 0.9375, width=32, allow_subnormal=False), min_size=4, max_size=4),
    st.integers(min_value=1, max_value=1_000),
)
def test_serving_draws_the_same_curve(hazard: list[float], horizon_ms: int) -> None:
    hazards = np.array([hazard], np.float32)

    served = Survival(EDGES_MS, horizon_ms).churn_probability(hazards, 0)

    assert silent_until(hazards, EDGES_MS, horizon_ms)[0] == pytest.approx(served[0], abs=1e-9)

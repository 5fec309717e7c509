"""Survival and churn against numeric integration of the rate, and worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_store.survival import NEVER_MS, Survival

EDGES_MS = (0, 1_000, 3_000, 10_000)
HORIZON_MS = 4_000
EVENT_MS = 1_700_000_000_000

hazards = st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4)
silences = st.integers(0, 200_000)


def survival_by_integration(hazard: list[float], until_ms: int, step_ms: int = 5) -> float:
    """Adds up the rate in small steps; a bin's rate is its -log(1 - hazard) spread over its length."""
    lengths = [1_000, 2_000, 7_000, 7_000]
    total = 0.0
    for start in range(0, until_ms, step_ms):
        place = max(index for index, edge in enumerate(EDGES_MS) if edge <= start)
        total += -math.log1p(-hazard[place]) / lengths[place] * min(step_ms, until_ms - start)
    return math.exp(-total)


def batch(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_at_the_edges_survival_is_the_product_of_what_the_bins_leave() -> None:
    curve = Survival(EDGES_MS, HORIZON_MS)
    hazard = batch([0.5, 0.2, 0.75, 0.5])
    at = [0, 1_000, 3_000, 10_000, 17_000, 24_000]  # the open last bin goes on in stretches of 7 s
    survived = [float(curve.survival(hazard, silent_ms)[0]) for silent_ms in at]
    assert survived == pytest.approx([1.0, 0.5, 0.4, 0.1, 0.05, 0.025])


def test_between_edges_the_rate_is_constant() -> None:
    survived = Survival(EDGES_MS, HORIZON_MS).survival(batch([0.75, 0.2, 0.5, 0.5]), 500)
    assert survived.tolist() == [pytest.approx(0.5)]  # half of a bin that leaves a quarter leaves its root


def test_churn_is_what_survives_of_the_survivors() -> None:
    curve = Survival(EDGES_MS, 2_000)
    hazard = batch([0.5, 0.2, 0.75, 0.5], [0.5, 0.2, 0.75, 0.5])
    assert curve.churn_probability(hazard, [1_000, 10_000 + 7_000]).tolist() == pytest.approx(
        [0.4 / 0.5, 0.5 ** (2 / 7)]
    )
    assert curve.churn_probability(hazard, 0, horizon_ms=3_000).tolist() == pytest.approx([0.4, 0.4])
    assert curve.churn_probability(hazard).tolist() == pytest.approx([0.5 * 0.8**0.5] * 2)


@given(
    hazard=st.lists(st.floats(0, 0.96875, width=32), min_size=4, max_size=4), silent_ms=st.integers(0, 30_000)
)
def test_survival_equals_the_integral_of_the_rate(hazard: list[float], silent_ms: int) -> None:
    survived = Survival(EDGES_MS, HORIZON_MS).survival(batch(hazard), silent_ms)
    assert survived[0] == pytest.approx(survival_by_integration(hazard, silent_ms), rel=1e-6)


@given(hazard=hazards, silent_ms=silences, later_ms=silences)
def test_survival_falls_and_everything_is_a_probability(
    hazard: list[float], silent_ms: int, later_ms: int
) -> None:
    curve = Survival(EDGES_MS, HORIZON_MS)
    before, after = curve.survival(batch(hazard, hazard), [silent_ms, silent_ms + later_ms]).tolist()
    assert 0 <= after <= before <= 1
    churn = curve.churn_probability(batch(hazard), silent_ms)[0]
    further = curve.churn_probability(batch(hazard), silent_ms, horizon_ms=HORIZON_MS + later_ms)[0]
    assert 0 <= further <= churn <= 1


@given(rows=st.lists(hazards, min_size=1, max_size=5), silent_ms=silences)
def test_a_row_does_not_depend_on_the_others(rows: list[list[float]], silent_ms: int) -> None:
    curve = Survival(EDGES_MS, HORIZON_MS)
    together = curve.churn_probability(batch(*rows), [silent_ms] * len(rows))
    alone = [curve.churn_probability(batch(row), silent_ms)[0] for row in rows]
    assert together.tolist() == pytest.approx(alone, abs=1e-12)


def test_the_alert_falls_where_churn_reaches_the_level() -> None:
    curve = Survival((0, 1_000, 2_000), 1_000)
    hazard = batch([0.75, 0.25, 0.25])
    # Over the first second churn rises from 0.25 to 0.75 and its logarithm evenly; then it stays at 0.75.
    wait_ms = 1_000 * math.log(0.5 / 0.25) / math.log(0.75 / 0.25)
    assert curve.alert_at_ms(hazard, [EVENT_MS], 0.5).tolist() == [EVENT_MS + math.ceil(wait_ms)]
    assert curve.alert_at_ms(hazard, [EVENT_MS], 0.2).tolist() == [EVENT_MS]
    assert curve.alert_at_ms(hazard, [EVENT_MS], 0.8).tolist() == [NEVER_MS]


@given(hazard=hazards, level=st.floats(0.01, 0.99))
def test_before_the_alert_churn_is_below_the_level(hazard: list[float], level: float) -> None:
    curve = Survival(EDGES_MS, HORIZON_MS)
    alert_ms = int(curve.alert_at_ms(batch(hazard), [EVENT_MS], level)[0])
    ends_ms = 30_000 if alert_ms == NEVER_MS else alert_ms - EVENT_MS
    waits_ms = np.arange(0, max(ends_ms - 1, 0), 50)
    rows = np.repeat(batch(hazard), len(waits_ms), axis=0)
    assert (curve.churn_probability(rows, waits_ms) < level * (1 + 1e-9)).all()
    if alert_ms != NEVER_MS:
        assert curve.churn_probability(batch(hazard), ends_ms)[0] >= level * (1 - 1e-9)


def test_sure_and_impossible_events_are_no_trouble() -> None:
    curve = Survival(EDGES_MS, HORIZON_MS)
    churn = curve.churn_probability(batch([1.0] * 4, [0.0] * 4, [1.0, 0.0, 0.0, 0.0]), [0, 10**12, 500])
    assert churn[0] < 1e-7
    assert churn[1] == 1.0
    assert churn[2] == pytest.approx(math.sqrt(2**-24))
    assert curve.alert_at_ms(batch([0.0] * 4, [1.0] * 4), [EVENT_MS, EVENT_MS], 0.5).tolist() == [
        EVENT_MS,
        NEVER_MS,
    ]


def test_an_empty_batch_has_an_empty_answer() -> None:
    curve = Survival(EDGES_MS, HORIZON_MS)
    empty = np.empty((0, 4), np.float32)
    assert curve.churn_probability(empty).shape == (0,)
    assert curve.alert_at_ms(empty, [], 0.5).shape == (0,)


@pytest.mark.parametrize("edges_ms", [(0,), (1, 2), (0, 5, 5), (0, 5, 4)])
def test_edges_must_ascend_from_zero(edges_ms: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="ascend from 0"):
        Survival(edges_ms, HORIZON_MS)


def test_a_horizon_and_a_level_must_make_sense() -> None:
    with pytest.raises(ValueError, match="horizon"):
        Survival(EDGES_MS, 0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        Survival(EDGES_MS, HORIZON_MS).alert_at_ms(batch([0.5] * 4), [EVENT_MS], 1.0)

"""The exported forest and factor against scikit-learn, the bounds by hand, and what too little data gives."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor

from model_store.cleaning.detectors import Screened
from model_store.cleaning.fitting import export_factor, export_forest, fit_detector
from model_store.cleaning.rules import (
    Anomaly,
    InterquartileRange,
    IsolationForestRule,
    LocalOutlierFactorRule,
    ZScore,
)

Floats = npt.NDArray[np.float32]
COLUMNS = ("price_against_category", "price_jump")


def normal(rows: int, seed: int = 0, columns: int = 2, spread: float = 1.0) -> Floats:
    return np.random.default_rng(seed).normal(0, spread, (rows, columns)).astype(np.float32)


@settings(max_examples=8, deadline=None)
@given(
    st.integers(2, 300), st.integers(1, 4), st.integers(2, 64), st.sampled_from([1, 7]), st.integers(0, 99)
)
def test_forests_score_as_scikit_learn_does(
    rows: int, columns: int, sample: int, trees: int, seed: int
) -> None:
    learned, asked = normal(rows, seed, columns).round(1), normal(50, seed + 1, columns, 3.0)
    forest = IsolationForest(n_estimators=trees, max_samples=min(sample, rows), random_state=seed).fit(
        learned
    )
    np.testing.assert_allclose(export_forest(forest).scores(asked), forest.score_samples(asked), atol=1e-12)


@settings(max_examples=8, deadline=None)
@given(st.integers(12, 200), st.integers(1, 4), st.integers(1, 10), st.integers(0, 99))
def test_factors_score_as_scikit_learn_does(rows: int, columns: int, neighbours: int, seed: int) -> None:
    learned, asked = normal(rows, seed, columns).astype(np.float64), normal(50, seed + 1, columns, 3.0)
    factor = LocalOutlierFactor(n_neighbors=neighbours, novelty=True).fit(learned)
    wanted = factor.score_samples(asked.astype(np.float64))
    np.testing.assert_allclose(export_factor(factor, learned).scores(asked), wanted, rtol=1e-6)


def test_a_z_score_counts_deviations_from_the_mean() -> None:
    learned = np.repeat(np.array([[-1.0], [1.0]], np.float32), 50, axis=0)  # mean 0, deviation 1
    detector = fit_detector(ZScore(columns=COLUMNS[:1], threshold=3.0), learned)
    assert detector is not None
    asked = np.array([[2.9], [3.1], [-2.9], [-3.1]], np.float32)
    assert detector.outlying(asked).tolist() == [False, True, False, True]


def test_quartiles_reach_as_far_as_they_are_told() -> None:
    learned = np.arange(101, dtype=np.float32)[:, None]  # quartiles 25 and 75
    detector = fit_detector(InterquartileRange(columns=COLUMNS[:1], reach=2.0), learned)
    assert detector is not None
    asked = np.array([[-74.0], [-76.0], [174.0], [176.0]], np.float32)
    assert detector.outlying(asked).tolist() == [False, True, False, True]


@pytest.mark.parametrize("rule", [IsolationForestRule, LocalOutlierFactorRule])
def test_without_a_screen_the_contamination_is_the_share_of_anomalies(rule: type[Anomaly]) -> None:
    learned = normal(400)
    detector = fit_detector(rule(columns=COLUMNS, contamination=0.05, screen=0.0), learned)  # type: ignore[call-arg]
    assert isinstance(detector, Screened)
    assert detector.outlying(learned).sum() == pytest.approx(20, abs=1)
    lowest = np.argsort(detector.scores(learned))[: detector.outlying(learned).sum()]
    assert set(np.flatnonzero(detector.outlying(learned))) == set(lowest)
    assert detector.outlying(np.array([[9.0, -9.0], [0.0, 0.0]], np.float32)).tolist() == [True, False]


@pytest.mark.parametrize("rule", [IsolationForestRule, LocalOutlierFactorRule])
def test_a_screen_takes_anomalies_away_and_adds_none(rule: type[Anomaly]) -> None:
    learned = normal(400)
    whole = fit_detector(rule(columns=COLUMNS, contamination=0.2, screen=0.0), learned)  # type: ignore[call-arg]
    screened = fit_detector(rule(columns=COLUMNS, contamination=0.2, screen=0.9), learned)  # type: ignore[call-arg]
    assert whole is not None
    assert screened is not None
    found, fewer = whole.outlying(learned), screened.outlying(learned)
    assert 0 < fewer.sum() < found.sum()
    assert not (fewer & ~found).any()


@pytest.mark.parametrize("rule", [ZScore, InterquartileRange, IsolationForestRule, LocalOutlierFactorRule])
def test_too_few_rows_teach_nothing(rule: type[Anomaly]) -> None:
    assert fit_detector(rule(columns=COLUMNS), normal(10)) is None
    assert fit_detector(rule(columns=COLUMNS), normal(0)) is None


@pytest.mark.parametrize("rule", [IsolationForestRule, LocalOutlierFactorRule])
def test_equal_rows_teach_nothing(rule: type[Anomaly]) -> None:
    assert fit_detector(rule(columns=COLUMNS), np.ones((100, 2), np.float32)) is None

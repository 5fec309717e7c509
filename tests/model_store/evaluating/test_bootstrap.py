"""Resampling by users, held to scikit-learn's weights and to what is certain."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from model_store.evaluating.bootstrap import (
    WeightedCurve,
    intervals,
    row_weights,
    weighted_macro_f1,
    weighted_mean,
)

ROWS = st.lists(
    st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 3), st.integers(0, 2)), min_size=2, max_size=30
)


@given(ROWS)
def test_weighted_measures_are_those_of_scikit_learn(rows: list[tuple[int, bool, int, int]]) -> None:
    score, flags, weight, decided = (np.array(column) for column in zip(*rows, strict=True))
    curve, weights = WeightedCurve(score / 5, flags), weight.astype(float)
    found, missed = weights[flags].sum(), weights[~flags].sum()
    if found and missed:
        assert curve.auc(weights) == pytest.approx(roc_auc_score(flags, score, sample_weight=weights))
        expected = average_precision_score(flags, score, sample_weight=weights)
        assert curve.pr_auc(weights) == pytest.approx(expected)
    if weights.sum():
        kept = weights > 0
        expected = f1_score(
            flags[kept], decided[kept], average="macro", sample_weight=weights[kept], zero_division=0
        )
        measure = weighted_macro_f1(decided, flags.astype(np.int64), 3)
        assert measure(weights) == pytest.approx(expected)


def test_rows_of_a_user_stay_together() -> None:
    user = np.array([4, 4, 9, 4, 9])
    for weights in row_weights(user, draws=20):
        assert weights[0] == weights[1] == weights[3]
        assert weights[2] == weights[4]
        assert weights[0] + weights[2] == 2


def test_rows_of_one_user_make_a_mean_no_surer() -> None:
    values, users = np.tile([0.0, 1.0], 50), np.tile([0, 1], 50)
    measures = {"mean": weighted_mean(values)}
    together = intervals(measures, users)["mean"]
    apart = intervals(measures, np.arange(100))["mean"]
    assert together is not None
    assert apart is not None
    assert (together.low, together.high) == (0.0, 1.0)  # a draw of two users often takes one of them twice
    assert apart.high - apart.low < 0.25  # 4 standard errors of 0.05


def test_what_cannot_be_measured_has_no_interval() -> None:
    curve = WeightedCurve(np.array([0.1, 0.2, 0.3]), np.zeros(3, bool))
    assert intervals({"area": curve.pr_auc}, np.arange(3))["area"] is None
    assert intervals({"mean": weighted_mean(np.empty(0))}, np.empty(0, np.int64)) == {"mean": None}

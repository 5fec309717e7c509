"""Metrics by hand, and against scikit-learn and brute force."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from model_store import metrics

labels = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)
scored = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9, 1.0]), st.booleans()), min_size=2)


def test_log_loss_is_the_mean_surprise_in_nats() -> None:
    loss = metrics.log_loss([[0.5, 0.5], [0.75, 0.25]], [0, 1])
    assert loss == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_an_impossible_truth_costs_no_more_than_a_millionth() -> None:
    assert metrics.log_loss([[1.0, 0.0]], [1]) == pytest.approx(math.log(1e6))


def test_class_scores_by_hand() -> None:
    scores = metrics.class_scores(predicted=[0, 0, 1, 1, 1], truth=[0, 1, 1, 1, 2], classes=4)
    assert scores.precision.tolist() == pytest.approx([1 / 2, 2 / 3, 0, 0])
    assert scores.recall.tolist() == pytest.approx([1, 2 / 3, 0, 0])
    assert scores.f1.tolist() == pytest.approx([2 / 3, 2 / 3, 0, 0])
    assert metrics.macro_f1([0, 0, 1, 1, 1], [0, 1, 1, 1, 2], 4) == pytest.approx(4 / 9)
    assert metrics.accuracy([0, 0, 1, 1, 1], [0, 1, 1, 1, 2]) == pytest.approx(3 / 5)


@given(labels)
def test_class_scores_agree_with_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    predicted, truth = zip(*pairs, strict=True)
    expected = sklearn_metrics.precision_recall_fscore_support(
        truth, predicted, labels=[0, 1, 2, 3], zero_division=0
    )
    for found, wanted in zip(metrics.class_scores(predicted, truth, 4), expected[:3], strict=True):
        assert found == pytest.approx(wanted)
    expected_macro = sklearn_metrics.f1_score(truth, predicted, average="macro", zero_division=0)
    assert metrics.macro_f1(predicted, truth, 4) == pytest.approx(expected_macro)


@given(scored)
def test_auc_is_the_share_of_pairs_in_order(rows: list[tuple[float, bool]]) -> None:
    positives = [score for score, positive in rows if positive]
    negatives = [score for score, positive in rows if not positive]
    assume(positives and negatives)
    pairs = [(p > n) + (p == n) / 2 for p in positives for n in negatives]
    scores, flags = zip(*rows, strict=True)
    assert metrics.roc_auc(scores, flags) == pytest.approx(sum(pairs) / len(pairs))


@given(scored)
def test_average_precision_agrees_with_scikit_learn(rows: list[tuple[float, bool]]) -> None:
    scores, flags = zip(*rows, strict=True)
    assume(any(flags))
    expected = sklearn_metrics.average_precision_score(flags, scores)
    assert metrics.average_precision(scores, flags) == pytest.approx(expected)


def test_average_precision_by_hand() -> None:
    # Recall rises to 1/2 at precision 1, and to 1 at precision 2/3.
    assert metrics.average_precision([0.9, 0.8, 0.7], [True, False, True]) == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_brier_and_calibration_by_hand() -> None:
    probabilities, outcomes = [0.1, 0.15, 0.9, 0.9], [False, True, True, True]
    assert metrics.brier_score(probabilities, outcomes) == pytest.approx((0.01 + 0.85**2 + 0.01 + 0.01) / 4)
    curve = metrics.reliability(probabilities, outcomes, bins=5)
    assert curve.mean_probability.tolist() == pytest.approx([0.125, 0.9])
    assert curve.frequency.tolist() == [0.5, 1.0]
    assert curve.rows.tolist() == [2, 2]
    assert metrics.calibration_error(probabilities, outcomes, bins=5) == pytest.approx((0.375 + 0.1) / 2)


def test_a_probability_of_one_is_in_the_last_bin() -> None:
    assert metrics.reliability([1.0, 0.95], [True, True], bins=10).rows.tolist() == [2]


def test_ranked_items_by_hand() -> None:
    ranks = metrics.ranks_of([[4, 5, 6], [7, 8, 9], [1, 2, 3], [5, 0, 0]], [6, 7, 9, 5])
    assert ranks.tolist() == [3, 1, 0, 1]
    assert metrics.recall_at(ranks, 3) == pytest.approx(3 / 4)
    assert metrics.recall_at(ranks, 2) == pytest.approx(2 / 4)
    assert metrics.mrr_at(ranks, 3) == pytest.approx((1 / 3 + 1 + 0 + 1) / 4)
    assert metrics.mrr_at(ranks, 2) == pytest.approx((1 + 1) / 4)
    assert metrics.ndcg_at(ranks, 3) == pytest.approx((1 / 2 + 1 + 0 + 1) / 4)  # log2(1 + 3) = 2


@given(st.lists(st.integers(0, 10), min_size=1, max_size=20))
def test_ndcg_agrees_with_scikit_learn(ranks: list[int]) -> None:
    relevance = [[float(rank == place) for place in range(1, 11)] for rank in ranks]
    gains = [[float(10 - place) for place in range(10)] for _ in ranks]
    expected = sklearn_metrics.ndcg_score(relevance, gains, k=5)
    assert metrics.ndcg_at(ranks, 5) == pytest.approx(expected)


def test_nothing_has_no_measure() -> None:
    with pytest.raises(ValueError, match="no rows"):
        metrics.accuracy([], [])
    with pytest.raises(ValueError, match="no rows"):
        metrics.recall_at(np.empty(0, np.int64), 20)
    with pytest.raises(ValueError, match="both classes"):
        metrics.roc_auc([0.1, 0.2], [True, True])
    with pytest.raises(ValueError, match="positive rows"):
        metrics.average_precision([0.1, 0.2], [False, False])

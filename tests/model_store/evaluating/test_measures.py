"""Measures by hand, and on rows that leave nothing to measure: None, and never NaN."""

import json
import math

import msgspec
import numpy as np
import pytest

from model_store.evaluating.actions import action_measures
from model_store.evaluating.probabilities import (
    calibration_error,
    pr_curve,
    probability_measures,
    reliability_curve,
)
from model_store.evaluating.ranking import NO_ITEM, ranking_measures

NAMES = ("view", "cart", "none")


def test_a_probability_by_hand() -> None:
    probability = np.array([0.9, 0.8, 0.3, 0.2])
    positive = np.array([True, False, True, False])
    measures = probability_measures(probability, positive)
    assert (measures.rows, measures.positives) == (4, 2)
    assert measures.auc == pytest.approx(3 / 4)  # of four pairs, 0.3 is below 0.8
    assert measures.pr_auc == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert measures.brier == pytest.approx((0.01 + 0.64 + 0.49 + 0.04) / 4)
    expected = -(math.log(0.9) + math.log(0.2) + math.log(0.3) + math.log(0.8)) / 4
    assert measures.log_loss == pytest.approx(expected)


def test_calibration_by_hand() -> None:
    probability = np.array([0.1] * 10 + [0.5] * 10)
    positive = np.array([True] * 2 + [False] * 8 + [True] * 5 + [False] * 5)
    curve = reliability_curve(probability, positive, bins=2)
    assert curve.mean_probability == pytest.approx([0.1, 0.5])
    assert (curve.frequency, curve.rows) == ([0.2, 0.5], [10, 10])
    assert calibration_error(probability, positive, bins=2) == pytest.approx(0.05)


@pytest.mark.parametrize("positives", [0, 3])
def test_one_class_has_no_areas(positives: int) -> None:
    positive = np.arange(3) < positives
    measures = probability_measures(np.array([0.0, 0.5, 1.0]), positive)
    assert measures.auc is None
    assert measures.pr_auc is None
    assert measures.log_loss is not None
    assert math.isfinite(measures.log_loss)
    assert pr_curve(np.array([0.0, 0.5, 1.0]), positive).recall == []


def test_nothing_is_measured_as_none() -> None:
    nothing, none = np.empty(0), np.empty(0, bool)
    measures = [
        probability_measures(nothing, none),
        action_measures(np.empty((0, 3)), np.empty(0, int), np.empty(0, int), NAMES),
        ranking_measures(
            np.empty((0, 20), np.uint64), np.empty(0, np.uint64), np.empty(0, np.uint64), nothing
        ),
    ]
    for each in measures:
        values = json.loads(msgspec.json.encode(each)).values()
        assert all(value in (None, 0, {}, []) for value in values)
    assert reliability_curve(nothing, none).rows == []


def test_next_actions_by_hand() -> None:
    truth, decided = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0])
    probabilities = np.array([[0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.4, 0.5, 0.1], [0.6, 0.2, 0.2]])
    measures = action_measures(probabilities, decided, truth, NAMES)
    assert measures.accuracy == pytest.approx(3 / 4)  # of the likeliest: view, view, cart, view
    assert measures.decided_accuracy == pytest.approx(2 / 4)
    assert measures.by_class["view"].precision == pytest.approx(1 / 2)
    assert measures.by_class["view"].recall == pytest.approx(1 / 2)
    assert measures.macro_f1 == pytest.approx((1 / 2 + 2 / 3 + 0) / 3)
    assert measures.confusion == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    assert measures.log_loss == pytest.approx(-(math.log(0.8 * 0.5 * 0.5 * 0.2)) / 4)


def test_ranked_items_by_hand() -> None:
    lists = np.full((3, 20), NO_ITEM)
    lists[0, :2], lists[1, :3], lists[2, :1] = [7, 8], [9, 7, 8], [7]
    truth = np.array([8, 9, 5], np.uint64)
    measures = ranking_measures(
        lists, truth, np.array([7, 8, 9, 10], np.uint64), np.array([6.0, 3.0, 3.0, 1.0])
    )
    assert measures.recall == pytest.approx({"1": 1 / 3, "5": 2 / 3, "10": 2 / 3, "20": 2 / 3})
    assert measures.mrr is not None
    assert measures.mrr["20"] == pytest.approx((1 / 2 + 1) / 3)
    assert measures.ndcg is not None
    assert measures.ndcg["5"] == pytest.approx((1 / math.log2(3) + 1) / 3)
    assert measures.coverage == pytest.approx(3 / 4)
    # shown: 4.5, 4 and 6 on average; wanted: 3, 3 and, not in the catalogue, 0
    assert measures.popularity_bias == pytest.approx((4.5 + 4 + 6) / (3 + 3 + 0))

"""Classifiers on rows that tell the class, and on rows of one class."""

import numpy as np
import pytest

from model_store.baselines.classifiers import boosted_trees, logistic_regression

FITS = {"logistic": logistic_regression, "trees": boosted_trees}


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("validated", [0, 300])
def test_a_feature_that_tells_the_class_is_learned(name: str, validated: int) -> None:
    generator = np.random.default_rng(1)
    features = generator.normal(size=(600 + validated, 2)).astype(np.float32)
    truth = np.where(features[:, 0] > 0, 2, 0)  # class 1 never comes
    validation = (features[600:], truth[600:])
    fitted = FITS[name](features[:600], truth[:600], validation, 3)
    probabilities = fitted.probabilities(np.array([[2.0, 0.0], [-2.0, 0.0]], np.float32))
    assert probabilities.sum(axis=1) == pytest.approx([1, 1])
    assert probabilities[:, 1].tolist() == [0, 0]
    assert probabilities[0, 2] > 0.9
    assert probabilities[1, 0] > 0.9


@pytest.mark.parametrize("name", FITS)
def test_one_class_is_all_that_is_known(name: str) -> None:
    nothing = (np.empty((0, 2), np.float32), np.empty(0, np.int64))
    fitted = FITS[name](np.ones((8, 2), np.float32), np.zeros(8, np.int64), nothing, 2)
    assert fitted.probabilities(np.ones((1, 2), np.float32)) == pytest.approx(np.array([[0.9, 0.1]]))


@pytest.mark.parametrize("name", FITS)
def test_a_class_of_one_row_is_learned_from(name: str) -> None:
    truth = np.array([0] * 30 + [1])
    features = np.arange(31, dtype=np.float32)[:, None]
    probabilities = FITS[name](features, truth, (features[:0], truth[:0]), 2).probabilities(features)
    assert np.isfinite(probabilities).all()

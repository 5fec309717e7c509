"""Classifiers of plain features: logistic regression and gradient-boosted trees, by scikit-learn."""

from __future__ import annotations

from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

Features = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_STRENGTHS: Final = (0.001, 0.01, 0.1)
_TREE_ROUNDS: Final = 300
_LEAST_VALIDATION_ROWS: Final = 200
_MOST_ROWS: Final = 100_000


class Classifier(Protocol):
    """What the baselines need of a fitted classifier."""

    def probabilities(self, features: Features) -> Floats:
        """Return the probabilities [R, C] of the classes of ``features`` [R, F]."""


class Constant:
    """Knows shares of classes and nothing else: what is left of a classifier that saw one class."""

    def __init__(self, truth: Ints, classes: int) -> None:
        """Take the classes [R] that came true; each counts once more than it was seen."""
        counts = np.bincount(truth, minlength=classes) + 1.0
        self._shares = counts / counts.sum()

    def probabilities(self, features: Features) -> Floats:
        """Return the same probabilities [R, C] for each row."""
        return np.tile(self._shares, (len(features), 1))


class Fitted:
    """A scikit-learn classifier whose classes may be fewer than ``classes``; those have the probability 0."""

    def __init__(self, estimator: Any, classes: int) -> None:
        self._estimator = estimator
        self._classes = classes

    def probabilities(self, features: Features) -> Floats:
        """Return the probabilities [R, C] of ``features`` [R, F]."""
        whole = np.zeros((len(features), self._classes))
        if len(features):
            whole[:, self._estimator.classes_] = self._estimator.predict_proba(features)
        return whole


def logistic_regression(
    features: Features, truth: Ints, validation: tuple[Features, Ints], classes: int, seed: int = 0
) -> Classifier:
    """Fit on ``features`` [R, F] and ``truth`` [R]; ``validation`` chooses the strength of the penalty.

    With under 200 rows to validate, the second half of the shuffled training rows chooses it. At most
    100,000 rows, drawn by ``seed``, are fitted: more of them change so few weights little.
    """
    if len(np.unique(truth)) < 2:
        return Constant(truth, classes)
    order = np.random.default_rng(seed).permutation(len(truth))[:_MOST_ROWS]
    features, truth = features[order], truth[order]
    learned, judged = (features, truth), validation
    if len(validation[1]) < _LEAST_VALIDATION_ROWS:
        half = len(truth) // 2
        learned, judged = (features[:half], truth[:half]), (features[half:], truth[half:])
    best = _STRENGTHS[0]
    if len(np.unique(learned[1])) > 1:
        best = min(_STRENGTHS, key=lambda each: _log_loss(_fitted(each, *learned), *judged, classes))
    return Fitted(_fitted(best, features, truth), classes)


def _fitted(strength: float, features: Features, truth: Ints) -> Pipeline:
    regression = LogisticRegression(C=strength, max_iter=200, tol=1e-3)
    return make_pipeline(StandardScaler(), regression).fit(features.astype(np.float64), truth)


def boosted_trees(
    features: Features, truth: Ints, validation: tuple[Features, Ints], classes: int, seed: int = 0
) -> Classifier:
    """Fit gradient-boosted trees, as many as ``validation`` asks for.

    With under 200 rows to validate, a tenth of the training rows says how many.
    """
    if len(np.unique(truth)) < 2:
        return Constant(truth, classes)
    trees = HistGradientBoostingClassifier(
        learning_rate=0.06,
        max_leaf_nodes=15,
        min_samples_leaf=20,
        l2_regularization=1.0,
        max_iter=_TREE_ROUNDS,
        early_stopping=True,
        n_iter_no_change=15,
        random_state=seed,
    )
    seen = np.isin(validation[1], np.unique(truth))
    if np.count_nonzero(seen) >= _LEAST_VALIDATION_ROWS:
        trees.fit(features, truth, X_val=validation[0][seen], y_val=validation[1][seen])
    elif np.bincount(truth)[np.unique(truth)].min() > 1:
        trees.fit(features, truth)
    else:  # a class of one row cannot be in both parts
        trees.set_params(early_stopping=False, max_iter=50).fit(features, truth)
    return Fitted(trees, classes)


def _log_loss(estimator: Pipeline, features: Features, truth: Ints, classes: int) -> float:
    probabilities = Fitted(estimator, classes).probabilities(features)
    return float(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-6)).mean())

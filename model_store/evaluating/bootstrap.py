"""Intervals of measures by resampling users: rows of one user stay together, since they are not independent.

The clustered bootstrap with percentile intervals (Efron and Tibshirani 1993, An Introduction to the
Bootstrap, chapters 8 and 13). A draw takes as many users as there are, with replacement; a row weighs
as often as its user was drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Weighted = Callable[[Floats], float | None]

DRAWS: Final = 200
_TAILS: Final = (0.025, 0.975)


class Interval(msgspec.Struct, frozen=True):
    """The middle 95 per cent of a measure's resampled values."""

    low: float
    high: float


def row_weights(user: Ints, draws: int = DRAWS, seed: int = 0) -> Iterator[Floats]:
    """Yield, ``draws`` times, how often each row [R] counts when its users [R] are drawn again."""
    _, place = np.unique(user, return_inverse=True)
    users = int(place.max(initial=-1)) + 1
    generator = np.random.default_rng(seed)
    for _ in range(draws if users else 0):
        drawn = np.bincount(generator.integers(users, size=users), minlength=users)
        yield drawn[place].astype(np.float64)


def intervals(
    measures: dict[str, Weighted], user: Ints, draws: int = DRAWS, seed: int = 0
) -> dict[str, Interval | None]:
    """Return the interval of each of ``measures`` of weights [R]; None where a fifth of the draws had none.

    All measures see the same draws, so that predictors on the same rows can be compared.
    """
    values: dict[str, list[float]] = {name: [] for name in measures}
    for weights in row_weights(user, draws, seed):
        for name, measure in measures.items():
            value = measure(weights)
            if value is not None:
                values[name].append(value)
    return {name: interval_of(found, draws) for name, found in values.items()}


def interval_of(found: list[float], draws: int) -> Interval | None:
    """Return the interval of the values ``found`` in ``draws``; None where they are under 4 / 5 of it."""
    if not found or len(found) < 0.8 * draws:
        return None
    low, high = np.quantile(found, _TAILS)
    return Interval(float(low), float(high))


class WeightedCurve:
    """The areas of one score under any weights of its rows; it is put in order once."""

    def __init__(self, score: Floats, positive: Flags) -> None:
        """Take ``score`` [R] and what came true [R]."""
        self._order = np.argsort(-score, kind="stable")
        ordered = score[self._order]
        self._last = np.flatnonzero(np.append(np.diff(ordered) != 0, np.ones(min(len(ordered), 1), bool)))
        self._positive = positive[self._order].astype(np.float64)

    def pr_auc(self, weights: Floats) -> float | None:
        """Return the average precision, None without a positive row of any weight."""
        found, taken = self._counted(weights)
        if not len(found) or found[-1] == 0:
            return None
        precision = np.divide(found, taken, out=np.zeros_like(found), where=taken > 0)
        return float((precision * np.diff(found, prepend=0)).sum() / found[-1])

    def auc(self, weights: Floats) -> float | None:
        """Return the area under the ROC curve, None without rows of both classes."""
        found, taken = self._counted(weights)
        missed = taken - found
        if not len(found) or found[-1] == 0 or missed[-1] == 0:
            return None
        middle = found - np.diff(found, prepend=0) / 2
        return float((np.diff(missed, prepend=0) * middle).sum() / (found[-1] * missed[-1]))

    def _counted(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return the weight of positive rows, and of all, down to each distinct score."""
        ordered = weights[self._order]
        found = np.cumsum(ordered * self._positive)[self._last]
        return found, np.cumsum(ordered)[self._last]


def weighted_macro_f1(decided: Ints, truth: Ints, classes: int) -> Weighted:
    """Return the macro F1 of `actions.action_measures` as a measure of weights."""

    def measure(weights: Floats) -> float | None:
        hits = np.bincount(truth, weights * (decided == truth), classes)
        rows = np.bincount(truth, weights, classes)
        guesses = np.bincount(decided, weights, classes)
        seen = rows + guesses > 0
        return float((2 * hits[seen] / (rows + guesses)[seen]).mean()) if seen.any() else None

    return measure


def weighted_mean(values: npt.ArrayLike) -> Weighted:
    """Return the mean of ``values`` [R] as a measure of weights."""
    held = np.asarray(values, np.float64)

    def measure(weights: Floats) -> float | None:
        total = weights.sum()
        return float((held * weights).sum() / total) if total else None

    return measure

"""Which class to bet on: the likeliest one never is a rare one, and F1 asks for those too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_POWERS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
_FACTORS: Final = (0.25, 0.5, 0.7, 0.85, 1.2, 1.4, 2.0, 4.0)
_ROUNDS: Final = 3
LEAST_ROWS: Final = 10


@dataclass(frozen=True)
class DecisionRule:
    """Bets on the class with the highest probability times weight; ``weights`` is [C]."""

    weights: Floats

    def decide(self, probabilities: Floats) -> Ints:
        """Return the class of each row of ``probabilities`` [R, C]."""
        decided: Ints = (probabilities * self.weights).argmax(axis=1)
        return decided

    @classmethod
    def fit(cls, probabilities: Floats, truth: Ints) -> DecisionRule:
        """Return the weights with the best macro F1 on [R, C] ``probabilities`` and ``truth`` [R].

        First one power of the classes' mean probabilities for all, then a factor for each class that at least
        `LEAST_ROWS` rows have: fewer rows would only fit their noise. Without a row all weights are 1.
        """
        classes = probabilities.shape[1]
        if not len(truth):
            return cls(np.ones(classes))
        mean = np.maximum(probabilities.mean(axis=0), 1e-6)
        candidates = [mean**-power for power in _POWERS]
        best = max(candidates, key=lambda weights: _macro_f1(probabilities, weights, truth))
        best_f1 = _macro_f1(probabilities, best, truth)
        tuned = np.flatnonzero(np.bincount(truth, minlength=classes) >= LEAST_ROWS)
        for _ in range(_ROUNDS):
            before = best_f1
            for each in tuned:
                for factor in _FACTORS:
                    weights = best.copy()
                    weights[each] *= factor
                    found = _macro_f1(probabilities, weights, truth)
                    if found > best_f1:
                        best, best_f1 = weights, found
            if best_f1 == before:
                break
        return cls(best)


def _macro_f1(probabilities: Floats, weights: Floats, truth: Ints) -> float:
    classes = len(weights)
    decided = (probabilities * weights).argmax(axis=1)
    hits = np.bincount(truth[decided == truth], minlength=classes)
    rows, guesses = np.bincount(truth, minlength=classes), np.bincount(decided, minlength=classes)
    seen = rows + guesses > 0
    return float((2 * hits[seen] / (rows + guesses)[seen]).mean())

"""Measures of the next action: one of several classes, its probabilities and the one that is bet on."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from model_store.metrics import accuracy, log_loss

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class ClassMeasures(msgspec.Struct, frozen=True):
    """One class: how many rows have it and get it, and how well. A share of nothing counts as 0."""

    rows: int
    predicted: int
    precision: float
    recall: float
    f1: float
    auc: float | None


class ActionMeasures(msgspec.Struct, frozen=True):
    """What a predictor of the next action is worth; None where nothing could be measured.

    ``accuracy`` is that of the likeliest class. The macro measures and those by class are of the decisions
    of a `DecisionRule`; they are plain means over ``classes``, which are true or decided in any row.
    ``auc`` is the mean of the classes' one-vs-rest areas. ``confusion`` has a row for each true class.
    """

    rows: int
    accuracy: float | None
    log_loss: float | None
    auc: float | None
    decided_accuracy: float | None
    macro_precision: float | None
    macro_recall: float | None
    macro_f1: float | None
    by_class: dict[str, ClassMeasures]
    classes: list[str]
    confusion: list[list[int]]


def action_measures(
    probabilities: Floats, decided: Ints, truth: Ints, names: tuple[str, ...]
) -> ActionMeasures:
    """Return the measures of ``probabilities`` [R, C] and of what was ``decided`` [R], against ``truth``."""
    seen = np.union1d(truth, decided).astype(np.int64)
    if not len(truth):
        return ActionMeasures(0, None, None, None, None, None, None, None, {}, [], [])
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, decided, labels=seen, zero_division=0
    )
    areas = [_one_vs_rest(probabilities[:, each], truth == each) for each in seen]
    by_class = {
        names[each]: ClassMeasures(
            rows=int(support[place]),
            predicted=int(np.count_nonzero(decided == each)),
            precision=float(precision[place]),
            recall=float(recall[place]),
            f1=float(f1[place]),
            auc=areas[place],
        )
        for place, each in enumerate(seen)
    }
    known = [area for area in areas if area is not None]
    return ActionMeasures(
        rows=len(truth),
        accuracy=accuracy(probabilities.argmax(axis=1), truth),
        log_loss=log_loss(probabilities, truth),
        auc=float(np.mean(known)) if known else None,
        decided_accuracy=accuracy(decided, truth),
        macro_precision=float(precision.mean()),
        macro_recall=float(recall.mean()),
        macro_f1=float(f1.mean()),
        by_class=by_class,
        classes=[names[each] for each in seen],
        confusion=_confusion(np.searchsorted(seen, truth), np.searchsorted(seen, decided), len(seen)),
    )


def _confusion(truth: Ints, decided: Ints, classes: int) -> list[list[int]]:
    counts = np.bincount(truth * classes + decided, minlength=classes * classes)
    rows: list[list[int]] = counts.reshape(classes, classes).tolist()
    return rows


def _one_vs_rest(probability: Floats, positive: npt.NDArray[np.bool_]) -> float | None:
    if not 0 < np.count_nonzero(positive) < len(positive):
        return None
    return float(roc_auc_score(positive, probability))

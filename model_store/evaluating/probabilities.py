"""Measures of a probability that comes true or not: areas, Brier, calibration, and their curves.

Nothing is measured as None, never as NaN: an area needs rows of both classes.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    log_loss,
    precision_recall_curve,
    roc_auc_score,
)

from model_store.metrics import LEAST_PROBABILITY

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

BINS: Final = 10
_CURVE_POINTS: Final = 200


class ProbabilityMeasures(msgspec.Struct, frozen=True):
    """What a probability is worth on ``rows``, ``positives`` of which came true.

    ``pr_auc`` is the average precision; ``brier`` the mean squared distance; ``log_loss`` is in nats, with no
    probability below `LEAST_PROBABILITY`; ``calibration_error`` is that of `calibration_error`.
    """

    rows: int
    positives: int
    auc: float | None
    pr_auc: float | None
    brier: float | None
    log_loss: float | None
    calibration_error: float | None


class ReliabilityCurve(msgspec.Struct, frozen=True):
    """Of each bin of rows: the mean probability, the share that came true, and how many rows."""

    mean_probability: list[float]
    frequency: list[float]
    rows: list[int]


class PrecisionRecallCurve(msgspec.Struct, frozen=True):
    """Points by ascending recall, at most 200 of them."""

    recall: list[float]
    precision: list[float]


def probability_measures(probability: Floats, positive: Flags) -> ProbabilityMeasures:
    """Return the measures of ``probability`` [R] against what came true [R]."""
    rows, positives = len(positive), int(np.count_nonzero(positive))
    both = 0 < positives < rows
    bounded = np.clip(probability, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return ProbabilityMeasures(
        rows=rows,
        positives=positives,
        auc=float(roc_auc_score(positive, probability)) if both else None,
        pr_auc=float(average_precision_score(positive, probability)) if both else None,
        brier=float(brier_score_loss(positive, probability, pos_label=True)) if rows else None,
        log_loss=float(log_loss(positive, bounded, labels=[False, True])) if rows else None,
        calibration_error=calibration_error(probability, positive),
    )


def reliability_curve(probability: Floats, positive: Flags, bins: int = BINS) -> ReliabilityCurve:
    """Return the curve over ``bins`` bins of equally many rows, by ascending probability.

    Rows of one probability share a bin, so that there may be fewer bins, and none without rows.
    """
    if not len(positive):
        return ReliabilityCurve([], [], [])
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, bins + 1)[1:-1]))
    place = np.searchsorted(edges, probability, side="right")
    rows = np.bincount(place, minlength=len(edges) + 1)
    held = rows > 0
    mean = np.bincount(place, probability, len(rows))[held] / rows[held]
    frequency = np.bincount(place, positive.astype(np.float64), len(rows))[held] / rows[held]
    return ReliabilityCurve(mean.tolist(), frequency.tolist(), rows[held].tolist())


def calibration_error(probability: Floats, positive: Flags, bins: int = BINS) -> float | None:
    """Return the expected calibration error over the bins of `reliability_curve`.

    It is the mean over rows of |mean probability - share that came true| of the row's bin (Naeini et al.
    2015, Obtaining Well Calibrated Probabilities Using Bayesian Binning), with bins of equally many rows
    as of Nguyen and O'Connor 2015 (arXiv:1508.05154): of bins of equal width, the first one holds nearly
    all rows of a rare event.
    """
    curve = reliability_curve(probability, positive, bins)
    if not curve.rows:
        return None
    distance = np.abs(np.subtract(curve.mean_probability, curve.frequency))
    return float(np.average(distance, weights=curve.rows))


def pr_curve(probability: Floats, positive: Flags) -> PrecisionRecallCurve:
    """Return the precision-recall curve; without a row of each class, no point."""
    if not 0 < np.count_nonzero(positive) < len(positive):
        return PrecisionRecallCurve([], [])
    precision, recall, _ = precision_recall_curve(positive, probability, drop_intermediate=True)
    precision, recall = precision[::-1], recall[::-1]
    kept = np.unique(np.linspace(0, len(recall) - 1, _CURVE_POINTS).astype(np.int64))
    return PrecisionRecallCurve(recall[kept].tolist(), precision[kept].tolist())

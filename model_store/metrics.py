"""Measures of predictions, in NumPy. Empty input raises ValueError: there is no measure of nothing."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

LEAST_PROBABILITY: Final = 1e-6  # published probabilities have six decimals, so a 0 means less than this

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class ClassScores(NamedTuple):
    """Float64[classes] each. A share of nothing (a class never predicted, or never true) counts as 0."""

    precision: Floats
    recall: Floats
    f1: Floats


class Reliability(NamedTuple):
    """The points of a reliability curve, [bins] each, of the bins that hold any row."""

    mean_probability: Floats
    frequency: Floats
    rows: Ints


def log_loss(probabilities: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Return the mean of -log of the probability of what came true, in nats.

    ``probabilities`` is [rows, classes], ``truth`` int[rows]. A probability below `LEAST_PROBABILITY`
    counts as that.
    """
    given, true = np.asarray(probabilities, np.float64), np.asarray(truth)
    _require_rows(len(true))
    of_truth = given[np.arange(len(true)), true]
    return float(-np.log(np.maximum(of_truth, LEAST_PROBABILITY)).mean())


def accuracy(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Return the share of rows whose predicted class is the true one."""
    _require_rows(len(np.asarray(truth)))
    return float((np.asarray(predicted) == np.asarray(truth)).mean())


def class_scores(predicted: npt.ArrayLike, truth: npt.ArrayLike, classes: int) -> ClassScores:
    """Return precision, recall and F1 of each of the classes 0 to ``classes`` - 1."""
    guesses, true = np.asarray(predicted, np.int64), np.asarray(truth, np.int64)
    _require_rows(len(true))
    hits = np.bincount(true[guesses == true], minlength=classes).astype(np.float64)
    guessed = np.bincount(guesses, minlength=classes)
    present = np.bincount(true, minlength=classes)
    return ClassScores(
        hits / np.maximum(guessed, 1),
        hits / np.maximum(present, 1),
        2 * hits / np.maximum(guessed + present, 1),
    )


def macro_f1(predicted: npt.ArrayLike, truth: npt.ArrayLike, classes: int) -> float:
    """Return the plain mean of F1 over the classes that are predicted or true in any row."""
    scores = class_scores(predicted, truth, classes)
    seen = np.union1d(np.asarray(predicted, np.int64), np.asarray(truth, np.int64))
    return float(scores.f1[seen].mean())


def roc_auc(scores: npt.ArrayLike, positive: npt.ArrayLike) -> float:
    """Return P(a positive row scores above a negative one), ties counted half.

    ``scores`` and ``positive`` are [rows]. By the rank sum of Mann and Whitney (1947). Raises
    ValueError unless there are positive and negative rows.
    """
    given, flags = np.asarray(scores, np.float64), np.asarray(positive, bool)
    positives = int(flags.sum())
    negatives = len(flags) - positives
    if not positives or not negatives:
        raise ValueError("an AUC needs rows of both classes")
    _, place, counts = np.unique(given, return_inverse=True, return_counts=True)
    middle_rank = np.cumsum(counts) - (counts - 1) / 2  # of each distinct score, from 1
    rank_sum = middle_rank[place][flags].sum()
    return float((rank_sum - positives * (positives + 1) / 2) / (positives * negatives))


def average_precision(scores: npt.ArrayLike, positive: npt.ArrayLike) -> float:
    """Return the area under the precision-recall curve as a sum of steps: precision times gain in recall.

    ``scores`` and ``positive`` are [rows]; rows of one score enter together. Raises ValueError when no
    row is positive.
    """
    given, flags = np.asarray(scores, np.float64), np.asarray(positive, bool)
    if not flags.any():
        raise ValueError("an average precision needs positive rows")
    order = np.argsort(-given, kind="stable")
    last_of_score = np.append(np.diff(given[order]) != 0, True)
    found = np.cumsum(flags[order])[last_of_score]
    taken = np.flatnonzero(last_of_score) + 1
    return float((found / taken * np.diff(found, prepend=0)).sum() / flags.sum())


def brier_score(probabilities: npt.ArrayLike, positive: npt.ArrayLike) -> float:
    """Return the mean squared distance between [rows] probabilities and what came true, 0 or 1."""
    outcomes = np.asarray(positive, np.float64)
    _require_rows(len(outcomes))
    return float(np.square(np.asarray(probabilities, np.float64) - outcomes).mean())


def reliability(probabilities: npt.ArrayLike, positive: npt.ArrayLike, bins: int = 15) -> Reliability:
    """Return how often rows came true, by bins of equal width of their probability; [rows] both."""
    given, outcomes = np.asarray(probabilities, np.float64), np.asarray(positive, np.float64)
    _require_rows(len(outcomes))
    place = np.minimum((given * bins).astype(np.int64), bins - 1)
    rows = np.bincount(place, minlength=bins)
    held = rows > 0
    return Reliability(
        np.bincount(place, given, bins)[held] / rows[held],
        np.bincount(place, outcomes, bins)[held] / rows[held],
        rows[held],
    )


def calibration_error(probabilities: npt.ArrayLike, positive: npt.ArrayLike, bins: int = 15) -> float:
    """Return the expected calibration error: the mean over rows of |mean probability - frequency| of its bin.

    As Naeini et al. 2015 (Obtaining Well Calibrated Probabilities Using Bayesian Binning), bins of
    equal width.
    """
    curve = reliability(probabilities, positive, bins)
    distance = np.abs(curve.mean_probability - curve.frequency)
    return float((distance * curve.rows).sum() / curve.rows.sum())


def ranks_of(found: npt.ArrayLike, truth: npt.ArrayLike) -> Ints:
    """Return where, from 1, each row of ``found`` [rows, k] holds its ``truth`` [rows]; 0 if nowhere."""
    hits = np.asarray(found) == np.asarray(truth)[:, None]
    ranks: Ints = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, 0)
    return ranks


def recall_at(ranks: npt.ArrayLike, k: int) -> float:
    """Return the share of rows whose one true item is among the first ``k``; ``ranks`` as of `ranks_of`."""
    return float(_within(ranks, k).mean())


def mrr_at(ranks: npt.ArrayLike, k: int) -> float:
    """Return the mean of 1 / rank, 0 where the true item is not among the first ``k``."""
    within = _within(ranks, k)
    return float(np.divide(1.0, ranks, out=np.zeros(len(within)), where=within).mean())


def ndcg_at(ranks: npt.ArrayLike, k: int) -> float:
    """Return the mean of 1 / log2(1 + rank), 0 beyond ``k``.

    That is the normalised discounted cumulative gain with one relevant item, whose ideal is 1.
    """
    within = _within(ranks, k)
    gains = np.log2(1.0 + np.asarray(ranks))
    return float(np.divide(1.0, gains, out=np.zeros(len(within)), where=within).mean())


def _within(ranks: npt.ArrayLike, k: int) -> Flags:
    places = np.asarray(ranks, np.int64)
    _require_rows(len(places))
    return (places > 0) & (places <= k)


def _require_rows(rows: int) -> None:
    if not rows:
        raise ValueError("there are no rows to measure")

"""From measured numbers to those that are reported."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np


def spread(values: Sequence[float], digits: int = 2) -> list[float]:
    """Return the least and the largest."""
    return [round(min(values), digits), round(max(values), digits)]


def median(values: Sequence[float], digits: int = 2) -> float:
    return round(statistics.median(values), digits)


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the ratios, round by round: what drifts over a run cancels."""
    return median([one / other for one, other in zip(ours, theirs, strict=True)])


def fall(before: Sequence[float], after: Sequence[float]) -> float:
    """Return which share of ``before`` is lost in ``after``, the median of the rounds; below 0 is a gain."""
    return median([1 - one / other for one, other in zip(after, before, strict=True)], 3)


def latencies_ms(scheduled_s: Sequence[float], seen_s: Sequence[float | None]) -> list[float]:
    """Return how long after its scheduled moment each event's prediction was seen, without the lost ones.

    What is sent late because a system has stalled counts from when it was due.
    """
    return [(seen - due) * 1000 for due, seen in zip(scheduled_s, seen_s, strict=True) if seen is not None]


def percentile(values_ms: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of 100 are below or at; NaN without any."""
    return round(float(np.percentile(values_ms, share)), 3) if len(values_ms) else float("nan")

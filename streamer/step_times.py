"""How long each step of a batch took on the wall, waiting included: what Prometheus reads as histograms.

Nothing is timed before somebody has asked for it once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Final

UPPER_BOUNDS_S: Final = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class StepTimes:
    """Counts, by step, how many batches took up to each of `UPPER_BOUNDS_S`; the last count is unbounded."""

    def __init__(self) -> None:
        self.counting = False
        self.counts: dict[str, list[int]] = {}
        self.sums_s: dict[str, float] = {}

    def observe(self, step: str, took_s: float) -> None:
        """Count one batch that took ``took_s`` seconds for ``step``."""
        counts = self.counts.setdefault(step, [0] * (len(UPPER_BOUNDS_S) + 1))
        counts[bisect_left(UPPER_BOUNDS_S, took_s)] += 1
        self.sums_s[step] = self.sums_s.get(step, 0.0) + took_s

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Time the block; a failure counts too. Does nothing unless `counting`."""
        if not self.counting:
            yield
            return
        before_s = perf_counter()
        try:
            yield
        finally:
            self.observe(step, perf_counter() - before_s)

    def buckets(self, step: str) -> list[tuple[str, float]]:
        """Return Prometheus' buckets of ``step``: an upper bound in seconds, and how many took up to it."""
        reached, buckets = 0, []
        for bound, count in zip((*UPPER_BOUNDS_S, None), self.counts[step], strict=True):
            reached += count
            buckets.append(("+Inf" if bound is None else str(bound), float(reached)))
        return buckets

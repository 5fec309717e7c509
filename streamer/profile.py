"""Where the time of an event goes, by step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter, thread_time


class Profile:
    """Sums the time of each step. CPU time is the calling thread's own; waiting counts in neither.

    Use `measure` only around code that does not await.
    """

    def __init__(self) -> None:
        self.events = 0
        self._cpu_s: defaultdict[str, float] = defaultdict(float)
        self._wall_s: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def measure(self, step: str) -> Iterator[None]:
        """Add the time that the block takes to ``step``."""
        cpu_s, wall_s = thread_time(), perf_counter()
        try:
            yield
        finally:
            self._cpu_s[step] += thread_time() - cpu_s
            self._wall_s[step] += perf_counter() - wall_s

    def us_per_event(self) -> dict[str, float]:
        """Return the microseconds of CPU that each step took per event; empty before the first event."""
        if not self.events:
            return {}
        return {step: round(spent * 1e6 / self.events, 2) for step, spent in self._cpu_s.items()}

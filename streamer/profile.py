"""Where the time of an event goes, by step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import perf_counter, process_time, thread_time
from typing import Final

from streamer.step_times import StepTimes

REST = "clients and event loop"
_UNTIMED: Final = nullcontext()


class Profile:
    """Sums the CPU time of each step, from the first event on; waiting counts nowhere.

    Use `measure` only around code that does not await. It costs nothing unless ``measuring``, or unless
    somebody counts ``times``, which are of the wall.
    """

    def __init__(self, *, measuring: bool = True) -> None:
        self.events = 0
        self.times = StepTimes()
        self._measuring = measuring
        self._started_s: float | None = None
        self._cpu_s: defaultdict[str, float] = defaultdict(float)

    def measure(self, step: str) -> AbstractContextManager[None]:
        """Add the CPU time that the block takes in its thread to ``step``."""
        return self._timed(step) if self._measuring or self.times.counting else _UNTIMED

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        if self._started_s is None:
            self._started_s = process_time()
        before_s, began_s = thread_time(), perf_counter()
        try:
            yield
        finally:
            self._cpu_s[step] += thread_time() - before_s
            if self.times.counting:
                self.times.observe(step, perf_counter() - began_s)

    def us_per_event(self) -> dict[str, float]:
        """Return the microseconds of CPU that each step took per event; empty before the first event.

        `REST` is what the process took beside the steps: the Kafka and Redis clients, Faust and the event
        loop, fetching included.
        """
        if not self.events or self._started_s is None:
            return {}
        rest_s = process_time() - self._started_s - sum(self._cpu_s.values())
        return {
            step: round(spent_s * 1e6 / self.events, 2)
            for step, spent_s in (*self._cpu_s.items(), (REST, rest_s))
        }

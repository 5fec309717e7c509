"""The time, passed in wherever a test must be able to pass its own."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """The time, and a way to let it pass."""

    def now_ms(self) -> float:
        """Unix milliseconds, which never run backwards."""

    def sleep_ms(self, duration_ms: float) -> None:
        """Let the time pass."""


class SystemClock:
    """The machine's clock as it stood at the start, carried on by its monotonic clock."""

    def __init__(self) -> None:
        self._offset_ms = time.time_ns() / 1e6 - time.perf_counter() * 1e3

    def now_ms(self) -> float:
        """Unix milliseconds."""
        return self._offset_ms + time.perf_counter() * 1e3

    def sleep_ms(self, duration_ms: float) -> None:
        """Sleep."""
        time.sleep(duration_ms / 1e3)

"""When each event of a replay is due: by the log's own gaps, at a fixed rate, or at once."""

from __future__ import annotations

from typing import Final, Protocol

DEFAULT_MAX_GAP_S: Final = 60.0


class Pacing(Protocol):
    """A schedule. It is asked in the log's order, and keeps its place; make a new one for each replay."""

    def advance(self, reading_ms: int) -> None:
        """Take note of an event in the log, published or not, by the log's clock."""

    def due_ms(self) -> float | None:
        """Give the time at which the event just noted is due, from the replay's start; None is at once."""


class LogGaps:
    """The log's own gaps, divided by ``speed``; a gap that would last over ``max_gap_s`` is cut to that."""

    def __init__(self, speed: float = 1.0, max_gap_s: float = DEFAULT_MAX_GAP_S) -> None:
        if not speed > 0 or not max_gap_s > 0:
            raise ValueError("the speed and the longest gap must be over 0")
        self._ms_per_log_ms = 1.0 / speed
        self._max_gap_ms = max_gap_s * 1_000.0
        self._reading_ms: int | None = None
        self._due_ms = 0.0
        self.cut_gaps = 0
        self.cut_ms = 0.0

    def advance(self, reading_ms: int) -> None:
        """Move the schedule on by the gap since the event before."""
        if self._reading_ms is not None:
            gap_ms = (reading_ms - self._reading_ms) * self._ms_per_log_ms
            if gap_ms > self._max_gap_ms:
                self.cut_gaps += 1
                self.cut_ms += gap_ms - self._max_gap_ms
                gap_ms = self._max_gap_ms
            self._due_ms += gap_ms
        self._reading_ms = reading_ms

    def due_ms(self) -> float:
        """Give the time at which the event just noted is due."""
        return self._due_ms


class FixedRate:
    """``events_per_s`` published events a second, evenly spaced, whatever the log's times."""

    def __init__(self, events_per_s: float) -> None:
        if not events_per_s > 0:
            raise ValueError("the rate must be over 0")
        self._ms_per_event = 1_000.0 / events_per_s
        self._published = 0

    def advance(self, reading_ms: int) -> None:
        """Ignore the log's clock."""

    def due_ms(self) -> float:
        """Give the next place in the schedule."""
        due_ms = self._published * self._ms_per_event
        self._published += 1
        return due_ms


class AtOnce:
    """As fast as the brokers take them."""

    def advance(self, reading_ms: int) -> None:
        """Ignore the log's clock."""

    def due_ms(self) -> None:
        """Give no time: at once."""

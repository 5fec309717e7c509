"""One look through a whole log: what it holds, over which time, and whether it is in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from producers.errors import LogNotSorted
from producers.events import Event
from producers.log_clock import DEFAULT_TOLERANCE_MS, LogClock
from producers.readers import LineCount, LogLine, ReadEvent
from producers.selection import EVERYTHING, Selection, UserSample


@dataclass(frozen=True)
class Survey:
    """What a log holds. Times are Unix milliseconds; None where there is no event.

    ``first_ms`` and ``last_ms`` are by the log's clock, which broken times do not move, over the span of the
    selection; ``ms_over_limit`` is by how much the clock's gaps there exceed the limit that was asked for,
    all together. The rest is over the whole log.
    """

    lines: int
    events: int
    rejected: dict[str, int]
    event_types: dict[str, int]
    earliest_ms: int | None
    latest_ms: int | None
    first_unsorted_line: int | None
    unsorted: int
    slightly_late: int
    strays: int
    first_ms: int | None
    last_ms: int | None
    gaps_over_limit: int
    ms_over_limit: int

    def require_order(self) -> None:
        """Raise `LogNotSorted` if the log is not in order of time."""
        if self.first_unsorted_line is not None:
            raise LogNotSorted(self.first_unsorted_line)

    @property
    def span_ms(self) -> int:
        """From the first to the last event by the log's clock."""
        return 0 if self.first_ms is None or self.last_ms is None else self.last_ms - self.first_ms


class Surveyor:
    """Makes a `Survey` of the lines that pass through."""

    def __init__(
        self,
        selection: Selection = EVERYTHING,
        *,
        tolerance_ms: int = DEFAULT_TOLERANCE_MS,
        gap_limit_ms: float = float("inf"),
        sample: UserSample | None = None,
    ) -> None:
        self._selection = selection
        self._clock = LogClock(tolerance_ms, strict=False)
        self._gap_limit_ms = gap_limit_ms
        self._sample = sample
        self._count = LineCount()
        self._event_types: Counter[str] = Counter()
        self._extent_ms: tuple[int, int] | None = None
        self._span_ms: tuple[int, int] | None = None
        self._gaps_over_limit = 0
        self._ms_over_limit = 0.0

    def look(self, lines: Iterable[LogLine]) -> Survey:
        """Read all of ``lines`` and say what they hold."""
        for line, reading_ms in self._clock.follow(self._count.count(lines)):
            if isinstance(line, ReadEvent):
                self._event(line.event, reading_ms)
        clock = self._clock
        earliest_ms, latest_ms = self._extent_ms or (None, None)
        first_ms, last_ms = self._span_ms or (None, None)
        return Survey(
            lines=self._count.lines,
            events=self._count.events,
            rejected=dict(self._count.rejected),
            event_types=dict(self._event_types),
            earliest_ms=earliest_ms,
            latest_ms=latest_ms,
            first_unsorted_line=clock.first_unsorted_line,
            unsorted=clock.unsorted,
            slightly_late=clock.slightly_late,
            strays=clock.strays,
            first_ms=first_ms,
            last_ms=last_ms,
            gaps_over_limit=self._gaps_over_limit,
            ms_over_limit=int(self._ms_over_limit),
        )

    def _event(self, event: Event, reading_ms: int) -> None:
        time_ms = event.event_time_ms
        self._event_types[event.event_type.value] += 1
        earliest_ms, latest_ms = self._extent_ms or (time_ms, time_ms)
        self._extent_ms = min(earliest_ms, time_ms), max(latest_ms, time_ms)
        if not self._selection.in_span(event):
            return
        first_ms, last_ms = self._span_ms or (reading_ms, reading_ms)
        self._span_ms = first_ms, reading_ms
        gap_ms = reading_ms - last_ms
        if gap_ms > self._gap_limit_ms:
            self._gaps_over_limit += 1
            self._ms_over_limit += gap_ms - self._gap_limit_ms
        if self._sample is not None:
            self._sample.add(event.user_id)

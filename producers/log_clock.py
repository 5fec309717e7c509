"""A log's own clock, which one broken time does not move, and the check that a log is in order of time.

The clock's reading at an event is the median of its time and those of its `NEIGHBOURS` on either side; the
clock never runs backwards. In a log in order of time the median is the event's own time. Up to four wrong
times among nine in a row leave the clock where the others put it, and are counted as strays. Only when the
median itself falls back by more than the tolerance is the log not in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from producers.errors import LogNotSorted
from producers.readers import LogLine, ReadEvent

NEIGHBOURS: Final = 4
DEFAULT_TOLERANCE_MS: Final = 60_000


class LogClock:
    """Reads a log's clock line by line.

    With ``strict``, a log that is not in order raises `LogNotSorted`; otherwise ``first_unsorted_line`` and
    ``unsorted`` (its events so far that are out of order) tell. ``strays`` counts events whose time is far
    from their neighbours', ``slightly_late`` others that are earlier than an event before them.
    """

    def __init__(self, tolerance_ms: int = DEFAULT_TOLERANCE_MS, *, strict: bool = True) -> None:
        self._tolerance_ms = tolerance_ms
        self._strict = strict
        self._before: deque[int] = deque(maxlen=NEIGHBOURS)
        self._ahead: deque[int] = deque()
        self._newest_ms = 0
        self._ascending = 0
        self._newest_in_order_ms = 0
        self.first_ms: int | None = None
        self.last_ms: int | None = None
        self.first_unsorted_line: int | None = None
        self.unsorted = 0
        self.slightly_late = 0
        self.strays = 0

    def follow(self, lines: Iterable[LogLine]) -> Iterator[tuple[LogLine, int]]:
        """Yield each line with the clock's reading in Unix milliseconds.

        The clock looks four events ahead, so a rejected line, which has no time, may overtake events; it
        comes with the reading so far, or 0. Raises `LogNotSorted` if strict.
        """
        waiting: deque[ReadEvent] = deque()
        for line in lines:
            if not isinstance(line, ReadEvent):
                yield line, self.last_ms or 0
                continue
            waiting.append(line)
            self._take_in(line.event.event_time_ms)
            if len(waiting) > NEIGHBOURS:
                yield self._next(waiting)
        while waiting:
            yield self._next(waiting)

    def _take_in(self, time_ms: int) -> None:
        self._ascending = self._ascending + 1 if time_ms >= self._newest_ms else 1
        self._newest_ms = time_ms
        self._ahead.append(time_ms)

    def _next(self, waiting: deque[ReadEvent]) -> tuple[LogLine, int]:
        line = waiting.popleft()
        time_ms = self._ahead.popleft()
        low_ms, median_ms, high_ms = self._middle_of_window(time_ms)
        self._before.append(time_ms)
        reading_ms = median_ms if self.last_ms is None else max(self.last_ms, median_ms)
        if self.first_ms is None:
            self.first_ms = reading_ms
        self.last_ms = reading_ms
        if median_ms < reading_ms - self._tolerance_ms:
            self._out_of_order(line.line_number)
        elif not low_ms - self._tolerance_ms <= time_ms <= high_ms + self._tolerance_ms:
            self.strays += 1
        elif time_ms < self._newest_in_order_ms:
            self.slightly_late += 1
        else:
            self._newest_in_order_ms = time_ms
        return line, reading_ms

    def _middle_of_window(self, time_ms: int) -> tuple[int, int, int]:
        """Give the median of the window around an event, and the times two places below and above it.

        Where the log begins or ends, the window is short of times on one side; they count as lower than all,
        or higher. The very first and last event have only one side to be judged by: they may not be later,
        or earlier, than most of it.
        """
        if self._ascending > 2 * NEIGHBOURS:
            return time_ms, time_ms, time_ms
        known = sorted([*self._before, time_ms, *self._ahead])
        middle = len(self._before)
        low_ms, high_ms = known[max(0, middle - 2)], known[min(middle + 2, len(known) - 1)]
        median_ms = known[middle]
        if not self._before:
            median_ms = min(time_ms, _median(self._ahead, time_ms))
        elif not self._ahead:
            median_ms = max(time_ms, _median(self._before, time_ms))
        return low_ms, median_ms, high_ms

    def _out_of_order(self, line_number: int) -> None:
        if self._strict:
            raise LogNotSorted(line_number)
        self.first_unsorted_line = self.first_unsorted_line or line_number
        self.unsorted += 1


def _median(times: deque[int], default: int) -> int:
    """Give the median, or the lower of the two in the middle."""
    return sorted(times)[(len(times) - 1) // 2] if times else default

"""Replaying a log into Kafka: each event when it is due, each line accounted for."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec

from producers.checkpoint import START, Position
from producers.clock import Clock, SystemClock
from producers.events import MAX_IDENTIFIER_LENGTH, Event
from producers.log_clock import DEFAULT_TOLERANCE_MS, LogClock
from producers.pacing import Pacing
from producers.readers import LogLine, RejectedLine
from producers.selection import EVERYTHING, Selection

_LONGEST_SLEEP_MS: Final = 50.0
_BETWEEN_SAVES_MS: Final = 1_000.0
_BETWEEN_REPORTS_MS: Final = 200.0


class EventSink(Protocol):
    """Where a replay sends its events: what it uses of a `producers.publisher.Publisher`."""

    @property
    def delivered(self) -> int:
        """Events acknowledged so far."""

    @property
    def failed(self) -> int:
        """Events given up so far."""

    def publish(self, event: Event, timestamp_ms: int | None = None) -> None:
        """Send an event; ``timestamp_ms`` is its record's, None is now."""

    def poll(self) -> None:
        """Take in what has been acknowledged, without waiting."""

    def flush(self) -> object:
        """Wait until every event is acknowledged or given up, within a time limit of its own."""


@dataclass(frozen=True)
class ReplayPlan:
    """What of the log is published, and how it is changed.

    In loop k, from 0, each event's time is moved by ``shift_ms`` + k times ``loop_span_ms``, and from the
    second loop on its id differs. Up to ``start`` the log is read but not published.
    """

    selection: Selection = EVERYTHING
    loops: int = 1
    loop_span_ms: int = 0
    shift_ms: int = 0
    tolerance_ms: int = DEFAULT_TOLERANCE_MS
    start: Position = START


@dataclass
class ReplayReport:
    """What became of the lines read since the start: ``lines`` = rejected + ``left_out`` + ``published``.

    ``left_out`` are events outside the selection. ``published`` = ``delivered`` + ``failed`` +
    ``undelivered``. ``strays`` and ``slightly_late`` are the log clock's. ``complete`` says whether the log's
    end was reached.
    """

    lines: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    left_out: int = 0
    published: int = 0
    delivered: int = 0
    failed: int = 0
    strays: int = 0
    slightly_late: int = 0
    seconds: float = 0.0
    complete: bool = False
    position: Position = START

    @property
    def undelivered(self) -> int:
        """Published, with no word from the brokers when the replay ended."""
        return self.published - self.delivered - self.failed

    @property
    def all_delivered(self) -> bool:
        """Whether every event of the log that was to be published was acknowledged."""
        return self.complete and self.delivered == self.published


def replay(
    read: Callable[[], Iterable[LogLine]],
    publisher: EventSink,
    pacing: Pacing,
    plan: ReplayPlan | None = None,
    *,
    clock: Clock | None = None,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[ReplayReport], None] = lambda _report: None,
    save: Callable[[Position], None] | None = None,
) -> ReplayReport:
    """Publish the log that ``read`` gives, once for each loop, and wait for the brokers' word on all of it.

    An event with a due time is sent at that time or, after a stall, as soon as possible, and its record is
    stamped with the due time; without one the record is stamped with the time of sending. The replay ends
    early when ``stop`` says so, which is asked at least every 50 ms, or when a record failed. ``progress``
    is called a few times a second with the report so far. ``save`` is called about once a second, when all
    events up to a position are acknowledged; a crash in between repeats what came after, with the same ids.

    Raises `LogNotSorted`, and whatever ``read`` and ``save`` raise; what was published stays published.
    """
    run = _Run(publisher, pacing, plan or ReplayPlan(), clock or SystemClock(), stop, progress, save)
    return run.all_loops(read)


class _Run:
    def __init__(
        self,
        publisher: EventSink,
        pacing: Pacing,
        plan: ReplayPlan,
        clock: Clock,
        stop: Callable[[], bool],
        progress: Callable[[ReplayReport], None],
        save: Callable[[Position], None] | None,
    ) -> None:
        self._publisher = publisher
        self._pacing = pacing
        self._plan = plan
        self._clock = clock
        self._stop = stop
        self._progress = progress
        self._save = save
        self._report = ReplayReport(position=plan.start)
        self._delivered_before = publisher.delivered
        self._failed_before = publisher.failed
        self._start_ms = clock.now_ms()
        self._next_report_ms = self._start_ms
        self._next_save_ms = self._start_ms + _BETWEEN_SAVES_MS

    def all_loops(self, read: Callable[[], Iterable[LogLine]]) -> ReplayReport:
        start = self._plan.start
        ended = True
        for loop in range(start.loop, self._plan.loops):
            log_clock = LogClock(self._plan.tolerance_ms)
            ended = self._one_loop(loop, log_clock.follow(read()), start.lines if loop == start.loop else 0)
            self._report.strays += log_clock.strays
            self._report.slightly_late += log_clock.slightly_late
            if not ended:
                break
        self._settle()
        self._report.complete = ended
        self._progress(self._report)
        return self._report

    def _one_loop(self, loop: int, lines: Iterable[tuple[LogLine, int]], done: int) -> bool:
        """Publish one loop but for its first ``done`` lines; say whether its end was reached."""
        report = self._report
        loop_ms = loop * self._plan.loop_span_ms
        for number, (line, reading_ms) in enumerate(lines, start=1):
            if number <= done:
                continue
            if self._stop() or self._publisher.failed > self._failed_before:
                return False
            report.lines += 1
            if isinstance(line, RejectedLine):
                report.rejected[line.reason] += 1
            elif not self._event(line.event, loop, reading_ms + loop_ms):
                report.lines -= 1
                return False
            report.position = Position(loop, number)
            self._now_and_then()
        return True

    def _event(self, event: Event, loop: int, reading_ms: int) -> bool:
        """Publish one event if it is chosen, when it is due; say no if the replay was stopped before."""
        selection = self._plan.selection
        if not selection.in_span(event):
            self._report.left_out += 1
            return True
        self._pacing.advance(reading_ms)
        if not selection.has_user(event):
            self._report.left_out += 1
            return True
        due_ms = self._pacing.due_ms()
        timestamp_ms = None
        if due_ms is not None:
            if not self._wait_until(self._start_ms + due_ms):
                return False
            timestamp_ms = int(self._start_ms + due_ms)
        moved = _moved(event, loop, self._plan.shift_ms + loop * self._plan.loop_span_ms)
        self._publisher.publish(moved, timestamp_ms)
        self._report.published += 1
        return True

    def _wait_until(self, due_ms: float) -> bool:
        while (ahead_ms := due_ms - self._clock.now_ms()) > 0:
            if self._stop():
                return False
            self._publisher.poll()
            self._now_and_then()
            self._clock.sleep_ms(min(ahead_ms, _LONGEST_SLEEP_MS))
        return True

    def _now_and_then(self) -> None:
        now_ms = self._clock.now_ms()
        if now_ms >= self._next_report_ms:
            self._count_deliveries()
            self._progress(self._report)
            self._next_report_ms = now_ms + _BETWEEN_REPORTS_MS
        if self._save is not None and now_ms >= self._next_save_ms:
            self._settle()
            self._next_save_ms = self._clock.now_ms() + _BETWEEN_SAVES_MS

    def _settle(self) -> None:
        """Wait for the brokers' word on all that was published; save the position if they have it all."""
        self._publisher.flush()
        self._count_deliveries()
        if self._save is not None and self._report.delivered == self._report.published:
            self._save(self._report.position)

    def _count_deliveries(self) -> None:
        self._report.delivered = self._publisher.delivered - self._delivered_before
        self._report.failed = self._publisher.failed - self._failed_before
        self._report.seconds = (self._clock.now_ms() - self._start_ms) / 1e3


def _moved(event: Event, loop: int, by_ms: int) -> Event:
    """Give the event as it stands in a loop: another time, and from the second loop on another id."""
    if not loop:
        if not by_ms:
            return event
        return msgspec.structs.replace(event, event_time_ms=event.event_time_ms + by_ms)
    event_id = f"{event.event_id}~{loop}"
    if len(event_id) > MAX_IDENTIFIER_LENGTH:
        event_id = hashlib.blake2b(event_id.encode(), digest_size=32).hexdigest()
    return msgspec.structs.replace(event, event_id=event_id, event_time_ms=event.event_time_ms + by_ms)

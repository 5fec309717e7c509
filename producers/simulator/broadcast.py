"""Sending a simulated shop's records at their pace, and counting what was sent by kind."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import BinaryIO, Final, Protocol

from producers.clock import Clock, SystemClock
from producers.pacing import Pacing
from producers.publisher import Delivery
from producers.simulator.faults import SimulatedRecord

_LONGEST_SLEEP_MS: Final = 50.0
_BETWEEN_REPORTS_MS: Final = 200.0


class Sink(Protocol):
    """Where records go: `producers.publisher.Publisher`, or a file."""

    def publish_raw(self, key: bytes | None, value: bytes | None, timestamp_ms: int | None = None) -> None:
        """Send a record as it is."""

    def poll(self) -> None:
        """Take in what has been reported of earlier records, without waiting."""

    def flush(self) -> Delivery:
        """Wait until every record has arrived or is given up."""


class LinesFile:
    """A sink that writes each record's value as one line: a log of JSON lines, unless faults are in it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._written = 0

    def publish_raw(self, key: bytes | None, value: bytes | None, timestamp_ms: int | None = None) -> None:  # noqa: ARG002
        """Write the value; a tombstone is an empty line."""
        self._file.write((value or b"") + b"\n")
        self._written += 1

    def poll(self) -> None:
        """Report nothing: what is written has arrived."""

    def flush(self) -> Delivery:
        """Hand all lines to the system."""
        self._file.flush()
        return Delivery(self._written, 0)


@dataclass
class BroadcastReport:
    """What was sent. ``sent`` sums up ``by_kind``; ``delivered`` and ``failed`` are known at the end.

    ``shop_ms`` is the shop's own time at the last record, in Unix milliseconds; 0 before the first.
    """

    by_kind: Counter[str] = field(default_factory=Counter)
    malformed: Counter[str] = field(default_factory=Counter)
    delivered: int = 0
    failed: int = 0
    seconds: float = 0.0
    shop_ms: int = 0

    @property
    def sent(self) -> int:
        """All records handed over, good and bad."""
        return self.by_kind.total()

    @property
    def all_delivered(self) -> bool:
        """Whether the brokers acknowledged every record."""
        return self.delivered == self.sent


def broadcast(
    records: Iterable[SimulatedRecord],
    sink: Sink,
    pacing: Pacing,
    *,
    clock: Clock | None = None,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[BroadcastReport], None] = lambda _report: None,
    note_fault: Callable[[int, SimulatedRecord], None] = lambda _place, _record: None,
) -> BroadcastReport:
    """Send ``records`` when they are due, until they end or ``stop`` says so, and wait for their arrival.

    A record with a due time is stamped with it; without one it is stamped with the time of sending.
    ``note_fault`` is told of each record that is not genuine, with its place among all sent, from 0.
    ``progress`` is called a few times a second.
    """
    clock = clock or SystemClock()
    report = BroadcastReport()
    start_ms = next_report_ms = clock.now_ms()
    for record in records:
        pacing.advance(record.sent_ms)
        due_ms = pacing.due_ms()
        if due_ms is not None and not _wait(start_ms + due_ms, sink, clock, stop):
            break
        if stop():
            break
        sink.publish_raw(record.key, record.value, None if due_ms is None else int(start_ms + due_ms))
        if record.kind != "genuine":
            note_fault(report.sent, record)
        report.by_kind[record.kind] += 1
        report.shop_ms = record.sent_ms
        if record.kind == "malformed":
            report.malformed[record.detail] += 1
        if report.sent % 64 == 0 and (now_ms := clock.now_ms()) >= next_report_ms:
            report.seconds = (now_ms - start_ms) / 1e3
            progress(report)
            next_report_ms = now_ms + _BETWEEN_REPORTS_MS
    arrived = sink.flush()
    report.delivered, report.failed = arrived.delivered, arrived.failed
    report.seconds = (clock.now_ms() - start_ms) / 1e3
    progress(report)
    return report


def fault_line(place: int, record: SimulatedRecord) -> str:
    """Return one JSON line about an injected fault. It names the event, never the user."""
    about = {"record": place, "kind": record.kind, "detail": record.detail, "event_id": record.event_id}
    return json.dumps(about)


def _wait(due_ms: float, sink: Sink, clock: Clock, stop: Callable[[], bool]) -> bool:
    """Let time pass until ``due_ms``; say no if the broadcast is to stop before."""
    while (ahead_ms := due_ms - clock.now_ms()) > 0:
        if stop():
            return False
        sink.poll()
        clock.sleep_ms(min(ahead_ms, _LONGEST_SLEEP_MS))
    return True

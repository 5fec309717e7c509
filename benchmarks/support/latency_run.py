"""One paced run: a sender on schedule, the system between, and a reader that is neither."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from subprocess import PIPE, Popen
from typing import IO, cast

import msgspec

from benchmarks.support.brokers import make_topic, wait_for_group
from benchmarks.support.child import Child
from benchmarks.support.competitors import competitor_environment
from benchmarks.support.paced import Pace, Seen, Sent, Watcher
from benchmarks.support.workload import Workload
from foreclick.settings import Settings

WARMING_S = 2.0
PATIENCE_S = 15.0
FIRST_PATIENCE_S = 300.0  # a first run on a machine compiles what later ones find in the cache
FIRST_RATE = 100.0
_numbers = count()


@dataclass(frozen=True)
class PacedRun:
    """What was seen of events sent at ``rate``, without those of the first `WARMING_S`."""

    rate: float
    sent: Sent
    seen: Seen

    @property
    def latencies_ms(self) -> list[float]:
        return self.seen.latencies_ms(self.sent.start_s, self.rate, first=round(self.rate * WARMING_S))

    @property
    def lost(self) -> int:
        return self.seen.lost

    def between_ms(self, from_s: float, to_s: float) -> list[float]:
        """Return the latencies of the events that were due between two moments of `time.monotonic`."""
        first, end = (
            max(0, round((moment_s - self.sent.start_s) * self.rate)) for moment_s in (from_s, to_s)
        )
        return self.seen.latencies_ms(self.sent.start_s, self.rate, first, end)


def paced_run(
    settings: Settings,
    in_topic: str,
    out_topic: str,
    rate: float,
    seconds: float,
    workload: Workload,
    note: Callable[[bytes, float], None] | None = None,
    check: Callable[[], None] = lambda: None,
    patience_s: float = PATIENCE_S,
) -> PacedRun:
    """Send to ``in_topic`` at ``rate``, and watch ``out_topic``. ``workload`` gives users, items and times.

    Raises RuntimeError when the brokers did not take an event.
    """
    prefix = f"paced{next(_numbers)}"
    events = round(rate * (seconds + WARMING_S))
    paced = replace(workload, events=events, prefix=prefix, seed=next(_numbers), spacing_ms=1000 / rate)
    watcher = Watcher(settings.kafka, out_topic, settings.partitions, prefix, events)
    pace = Pace(settings.kafka, in_topic, rate, paced)
    with Popen([sys.executable, "-m", "benchmarks.support.paced"], stdin=PIPE, stdout=PIPE) as sender:
        try:
            pipe = cast("IO[bytes]", sender.stdin)
            pipe.write(msgspec.json.encode(pace))
            pipe.close()

            def over() -> bool:
                check()
                return sender.poll() is not None

            seen = watcher.watch(patience_s, over, note)
            sent = msgspec.json.decode(cast("IO[bytes]", sender.stdout).read(), type=Sent)
        finally:
            sender.kill()
    if sent.failed:
        raise RuntimeError(f"{sent.failed} events were not delivered")
    return PacedRun(rate, sent, seen)


def warm(settings: Settings, workload: Workload, check: Callable[[], None]) -> None:
    """Let a fresh worker score what nobody counts. Raises TimeoutError if it does not."""
    places = settings.events_topic, settings.predictions_topic
    run = paced_run(settings, *places, FIRST_RATE, 1.0, workload, check=check, patience_s=FIRST_PATIENCE_S)
    if run.lost:
        raise TimeoutError(f"{run.lost} of the first events got no prediction in {FIRST_PATIENCE_S:g} s")


@contextmanager
def echo(settings: Settings, record_bytes: int, scratch: Path) -> Iterator[tuple[str, str]]:
    """Run the bare echo, and yield the topics that it reads and writes.

    It is librdkafka in Python, which consumes an event, and at once produces a record as large as ours.
    """
    number = next(_numbers)
    topics = f"echo.in-{number}", f"echo.out-{number}"
    for topic in topics:
        make_topic(settings.kafka, topic, settings.partitions)
    command = [sys.executable, "-m", "benchmarks.competitors.on_librdkafka", settings.kafka, *topics]
    with Child(
        [*command, str(record_bytes), "echo"], scratch / "echo.log", competitor_environment(), scratch
    ) as child:
        wait_for_group(settings.kafka, topics[1], topics[0], settings.partitions, 1, child.check)
        yield topics

"""Events sent on schedule, whatever becomes of them: an open loop, so that a stall is not hidden.

Run as a program, it is the sender: `python -m benchmarks.support.paced`, with a `Pace` as JSON on standard
input. It prints a `Sent` when all is delivered.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from confluent_kafka import Consumer, Producer

from benchmarks.support.brokers import ends
from benchmarks.support.figures import latencies_ms, percentile
from benchmarks.support.workload import Workload
from producers.events import encode_event

LONGEST_SLEEP_S = 0.001
LEAD_S = 0.5
FLUSH_TIMEOUT_S = 60.0
POLL_S = 0.05
_EVENT_ID = b'"event_id":"'


class Pace(msgspec.Struct, frozen=True):
    """What to send: the ``workload``'s events, ``rate`` a second. Ids go on from the workload's prefix."""

    kafka: str
    topic: str
    rate: float
    workload: Workload


class Sent(msgspec.Struct, frozen=True):
    """When the first event was due (`time.monotonic`), and how late the sender itself was, in ms."""

    start_s: float
    late_p99_ms: float
    failed: int


@dataclass(frozen=True)
class Seen:
    """When each event's outcome was seen, by the event's number; None where it never was.

    ``versions`` gives the model's version where one was asked for.
    """

    at_s: list[float | None]

    @property
    def lost(self) -> int:
        return sum(at_s is None for at_s in self.at_s)

    def latencies_ms(
        self, start_s: float, rate: float, first: int = 0, end: int | None = None
    ) -> list[float]:
        """Return the latencies of the events ``first`` to ``end`` that were seen."""
        seen = self.at_s[first:end]
        due_s = [start_s + (first + place) / rate for place in range(len(seen))]
        return latencies_ms(due_s, seen)


class Watcher:
    """Reads a topic from where it ends now, and notes when the outcome of each event of one prefix comes."""

    def __init__(self, kafka: str, topic: str, partitions: int, prefix: str, events: int) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": kafka,
                "group.id": "benchmark-watcher",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 10,
            }
        )
        self._consumer.assign(ends(kafka, topic, partitions))
        self._marker = _EVENT_ID + prefix.encode() + b"-"
        self._at_s: list[float | None] = [None] * events
        self._left = events

    def watch(
        self,
        patience_s: float,
        over: Callable[[], bool],
        note: Callable[[bytes, float], None] | None = None,
    ) -> Seen:
        """Read until all have been seen, or none for ``patience_s`` after ``over`` says that all are sent.

        ``note`` is told of each record and its moment.
        """
        last_s = time.monotonic()
        while self._left and (time.monotonic() - last_s < patience_s or not over()):
            message = self._consumer.poll(POLL_S)
            now_s = time.monotonic()
            if message is None or message.error() is not None:
                continue
            value = message.value() or b""
            at = value.find(self._marker)
            if at < 0:
                continue
            start = at + len(self._marker)
            number = int(value[start : value.index(b'"', start)])
            if self._at_s[number] is None:
                self._at_s[number] = now_s
                self._left -= 1
            last_s = now_s
            if note is not None:
                note(value, now_s)
        self._consumer.close()
        return Seen(self._at_s)


def send(pace: Pace) -> Sent:
    """Send every event when it is due, or at once if that is over."""
    producer = Producer(
        {
            "bootstrap.servers": pace.kafka,
            "acks": "all",
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "linger.ms": 0,
        }
    )
    records = [(event.user_id.encode(), encode_event(event)) for event in pace.workload]
    failures: list[object] = []

    def report(error: object, _message: object) -> None:
        if error is not None:
            failures.append(error)

    producer.list_topics(pace.topic)
    start_s = time.monotonic() + LEAD_S
    late_ms = np.empty(len(records))
    for number, (key, value) in enumerate(records):
        due_s = start_s + number / pace.rate
        while (left_s := due_s - time.monotonic()) > 0:
            producer.poll(0)
            time.sleep(min(left_s, LONGEST_SLEEP_S))
        producer.produce(pace.topic, value, key, on_delivery=report)
        late_ms[number] = -left_s * 1000
    unsent = producer.flush(FLUSH_TIMEOUT_S)
    return Sent(start_s, percentile(late_ms.tolist(), 99), len(failures) + unsent)


def summary(latencies: Sequence[float]) -> dict[str, float]:
    """Return the percentiles that are reported."""
    return {
        f"p{name}_ms": percentile(latencies, share) for name, share in (("50", 50), ("99", 99), ("999", 99.9))
    }


if __name__ == "__main__":
    print(msgspec.json.encode(send(msgspec.json.decode(sys.stdin.buffer.read(), type=Pace))).decode())

"""Events for as long as it takes, and an account of them that stays small.

Run as a program, it is the producer: `python -m benchmarks.support.faults.steady SETTINGS`, which are the
names of `send` as JSON. It sends until SIGTERM, waits for the acks, and prints how many it sent as JSON.
Before, it prints when it began.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Iterable
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from benchmarks.support.brokers import ends_by
from benchmarks.support.faults.load import Due, Load
from foreclick.demo.reading_thread import ReadingThread
from foreclick.settings import Settings
from producers.events import Event, EventType, encode_event
from producers.publisher import CLIENT_DEFAULTS

USERS: Final = 20_000
ITEMS: Final = 500
START_MS: Final = 1_704_067_200_000
_STEP_S: Final = 0.005
_FLUSH_TIMEOUT_S: Final = 300.0
_RECORDS_PER_POLL: Final = 5_000
_POLL_S: Final = 0.1
_ID_STARTS: Final = len(b'{"prediction_id":"')
_QUEUE: Final = {"queue.buffering.max.messages": "2000000", "queue.buffering.max.kbytes": "1048576"}


def event(number: int) -> Event:
    """Return the event of that number: all users in turn, each a millisecond behind the one before."""
    return Event(
        event_id=f"e{number}",
        user_id=f"u{number * 7919 % USERS}",
        event_type=EventType.VIEW,
        event_time_ms=START_MS + number,
        item_id=f"i{number * 104_729 % ITEMS}",
    )


def send(
    *, kafka: str, topic: str, predictions_topic: str, partitions: int, rate: float, backlog: int
) -> dict[str, int]:
    """Send until SIGTERM; return how many events were sent, and how many were given up."""
    admin = AdminClient({"bootstrap.servers": kafka, "log_level": 1})

    def predictions() -> int:
        return sum(place.offset for place in ends_by(admin, predictions_topic, partitions))

    due = Due(Load(rate, backlog), predictions)
    producer = Producer({"bootstrap.servers": kafka, **CLIENT_DEFAULTS, **_QUEUE, "log_level": "1"})
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    failed = sent = 0

    def report(error: object, _message: object) -> None:
        nonlocal failed
        failed += error is not None

    start_s = time.monotonic()
    print(json.dumps({"start_s": start_s}), flush=True)
    while not stopped.is_set():
        wanted = due(time.monotonic() - start_s)
        while sent < wanted:
            made = event(sent)
            producer.produce(topic, encode_event(made), made.user_id.encode(), on_delivery=report)
            sent += 1
        producer.poll(0)
        stopped.wait(_STEP_S)
    failed += producer.flush(_FLUSH_TIMEOUT_S)
    return {"sent": sent, "failed": failed}


class Frontier(ReadingThread):
    """Which records have their prediction: all below an offset in each partition, and some beyond it.

    It reads the predictions topic in a thread of its own; ``repeated`` counts predictions seen before. Its
    memory grows only with what is out of order. Use it as a context manager.
    """

    def __init__(self, settings: Settings) -> None:
        self.reached = dict.fromkeys(range(settings.partitions), 0)
        self.repeated = 0
        self._beyond: dict[int, set[int]] = {number: set() for number in self.reached}
        consumer = Consumer(
            {
                "bootstrap.servers": settings.kafka,
                "group.id": "frontier",
                "enable.auto.commit": False,
                "error_cb": lambda _error: None,
                "log_level": 1,
                "reconnect.backoff.max.ms": 500,
            }
        )
        topic = settings.predictions_topic
        places = [TopicPartition(topic, number, OFFSET_BEGINNING) for number in self.reached]
        super().__init__(consumer, places, "frontier")

    @property
    def count(self) -> int:
        """How many records have their prediction."""
        return sum(self.reached.values()) + sum(map(len, self._beyond.values()))

    def behind(self, ends: Iterable[tuple[int, int]]) -> int:
        """Return how many records before ``ends`` (partition, offset) have no prediction yet."""
        return sum(max(0, end - self.reached[number] - len(self._beyond[number])) for number, end in ends)

    def take(self, prediction_id: bytes) -> None:
        """Note one prediction."""
        _, partition_text, offset_text = prediction_id.rsplit(b"-", 2)
        partition, offset = int(partition_text), int(offset_text)
        beyond, reached = self._beyond[partition], self.reached[partition]
        if offset < reached or offset in beyond:
            self.repeated += 1
            return
        beyond.add(offset)
        while reached in beyond:
            beyond.remove(reached)
            reached += 1
        self.reached[partition] = reached

    def _read(self) -> None:
        while not self._stopped.is_set():
            for message in self._consumer.consume(_RECORDS_PER_POLL, _POLL_S):
                if message.error() is None:
                    value = message.value() or b""
                    self.take(value[_ID_STARTS : value.index(b'"', _ID_STARTS)])


if __name__ == "__main__":
    print(json.dumps(send(**json.loads(sys.argv[1]))), flush=True)

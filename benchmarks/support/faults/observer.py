"""The independent reader: sees what arrives in the two output topics, and when, whatever happens to Kafka."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from foreclick.demo.reading_thread import ReadingThread, dead_letter_source
from foreclick.settings import Settings

_RECORDS_PER_POLL: Final = 2_000
_POLL_S: Final = 0.05
_METADATA_MAX_AGE_MS: Final = 1_000  # partitions may be added
_BACKOFF: Final = {"reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 500}
_ID_STARTS: Final = len(b'{"prediction_id":"')
_NOT_YET: Final = float("inf")


class Observer(ReadingThread):
    """Reads both topics in a thread of its own, from their beginning. Use it as a context manager.

    ``seen`` are the ids of the source records that have ended, ``last_value`` is the newest prediction.
    """

    def __init__(self, settings: Settings) -> None:
        self.seen: set[str] = set()
        self.records = 0
        self.last_value = b""
        self._arrivals: defaultdict[int, list[tuple[int, float]]] = defaultdict(list)
        self._topics = (settings.predictions_topic, settings.dead_letters_topic)
        self._wanted = settings.partitions
        consumer = Consumer(
            {
                "bootstrap.servers": settings.kafka,
                "group.id": "fault-bench-observer",
                "enable.auto.commit": False,
                "error_cb": lambda _error: None,  # a lost broker comes back; librdkafka sees to it
                "log_level": 1,
                "topic.metadata.refresh.interval.ms": _METADATA_MAX_AGE_MS,
                **_BACKOFF,
            }
        )
        super().__init__(consumer, self._places(range(settings.partitions)), "observer")

    def read_also(self, partitions: int) -> None:
        """Read the partitions that were added, too: both topics have ``partitions`` now."""
        self._wanted = partitions

    def first_after(self, ends: Mapping[int, int]) -> dict[int, float]:
        """Return, by partition, when its first new prediction at or behind an offset came; infinity if none.

        ``ends`` are offsets of the predictions topic; times are of `time.monotonic`. A prediction that
        repeats an earlier one is not a new one.
        """
        return {partition: self._first_after(partition, end) for partition, end in ends.items()}

    def _first_after(self, partition: int, end: int) -> float:
        arrivals = self._arrivals[partition]
        place = bisect_left(arrivals, (end, 0.0))
        return arrivals[place][1] if place < len(arrivals) else _NOT_YET

    def _places(self, partitions: Iterable[int]) -> list[TopicPartition]:
        return [
            TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions for topic in self._topics
        ]

    def _assign_added(self) -> None:
        known = len(self._partitions) // len(self._topics)
        if known < self._wanted:
            reached = self._consumer.position(self._partitions)
            for place in reached:
                place.offset = max(place.offset, OFFSET_BEGINNING)  # nothing was read there yet
            self._partitions = [*reached, *self._places(range(known, self._wanted))]
            self._consumer.assign(self._partitions)

    def _read(self) -> None:
        while not self._stopped.is_set():
            self._assign_added()
            messages = self._consumer.consume(_RECORDS_PER_POLL, _POLL_S)
            now_s = time.monotonic()
            for message in messages:
                if message.error() is None:
                    self._take(message, now_s)

    def _take(self, message: Message, now_s: float) -> None:
        self.records += 1
        value = message.value() or b""
        source = dead_letter_source(message)
        if source is None:
            source = value[_ID_STARTS : value.index(b'"', _ID_STARTS)].decode()
            self.last_value = value
        if source not in self.seen:
            self.seen.add(source)
            if value is self.last_value:
                self._arrivals[message.partition() or 0].append((message.offset() or 0, now_s))

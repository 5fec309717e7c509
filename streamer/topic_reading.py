"""Reading a topic up to its present end, with a plain consumer that belongs to no group."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streamer.errors import BrokerUnavailable, TopicMissing

TIMEOUT_S: Final = 15.0
LOG_ALERTS_ONLY: Final = 1
_MESSAGES_PER_POLL: Final = 1_000


class TopicReader:
    """Reads what is committed of ``topic``. Every method may raise `BrokerUnavailable` or `TopicMissing`."""

    def __init__(self, bootstrap: str, topic: str, security: Mapping[str, str]) -> None:
        self.topic = topic
        self._bootstrap = bootstrap
        self.client: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "log_level": LOG_ALERTS_ONLY,
            **security,
        }

    def ranges(self) -> dict[int, tuple[int, int]]:
        """Return the first offset kept and the end of each partition."""
        with self._consumer() as consumer:
            return {number: self._range(consumer, number) for number in self._partitions(consumer)}

    def offsets_at(self, time_ms: int) -> dict[int, int]:
        """Return, for each partition, the offset before which every record is older than ``time_ms``."""
        with self._consumer() as consumer:
            asked = [TopicPartition(self.topic, number, time_ms) for number in self._partitions(consumer)]
            try:
                found = consumer.offsets_for_times(asked, timeout=TIMEOUT_S)
            except KafkaException as error:
                raise self._unanswered(error) from error
            ends = {place.partition: self._range(consumer, place.partition)[1] for place in found}
        return {
            place.partition: place.offset if place.offset >= 0 else ends[place.partition] for place in found
        }

    def read(self, partition: int, first: int, end: int) -> Iterator[Message]:
        """Yield the records of ``partition`` from offset ``first`` up to ``end``, as far as there are any."""
        if first >= end:
            return
        with self._consumer() as consumer:
            consumer.assign([TopicPartition(self.topic, partition, first)])
            heard_s = time.monotonic()
            while True:
                for message in consumer.consume(_MESSAGES_PER_POLL, 0.2):
                    heard_s = time.monotonic()
                    error = message.error()
                    if error is not None and error.code() == KafkaError._PARTITION_EOF:
                        return
                    if error is not None:
                        raise BrokerUnavailable(f"cannot read {self.topic}: {error.str()}")
                    offset = message.offset() or 0
                    if offset < end:
                        yield message
                    if offset >= end - 1:
                        return
                if time.monotonic() - heard_s > TIMEOUT_S:
                    raise BrokerUnavailable(f"{self.topic}: nothing came for {TIMEOUT_S:g} s; are they up?")

    def _partitions(self, consumer: Consumer) -> list[int]:
        try:
            found = consumer.list_topics(self.topic, timeout=TIMEOUT_S).topics[self.topic]
        except KafkaException as error:
            raise self._unanswered(error) from error
        if found.error is not None:
            raise TopicMissing(f"there is no topic {self.topic}; `foreclick topics` creates what is missing")
        return sorted(found.partitions)

    def _range(self, consumer: Consumer, partition: int) -> tuple[int, int]:
        place = TopicPartition(self.topic, partition)
        try:
            first, end = consumer.get_watermark_offsets(place, timeout=TIMEOUT_S)
        except KafkaException as error:
            raise self._unanswered(error) from error
        return first, end

    def _unanswered(self, error: KafkaException) -> BrokerUnavailable:
        said = error.args[0].str()
        return BrokerUnavailable(f"the brokers at {self._bootstrap} did not answer ({said}); are they up?")

    def _consumer(self) -> Consumer:
        return Consumer(
            {
                **self.client,
                "group.id": "foreclick-reader",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
            }
        )
